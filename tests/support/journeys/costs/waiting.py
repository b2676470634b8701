"""What the words cost that let time pass."""

from datetime import time

from journeys.vocabulary import PERSON, Journey, days, holding, hours, journey
from profiles.events import (
    OrderDelivered,
    OrderFulfilled,
    ProductAdded,
    ProductViewed,
    TicketOpened,
    TicketSolved,
)
from tests.support.journeys.costs.row import ACTIVITY, TIMER, Row

HOUR, DAY = hours(1), days(1)

DELIVERED = ("Order Delivered", {"order_id": "o-1"})

FULFILLED = ("Order Fulfilled", {"order_id": "o-1"})

OPENED = ("Ticket Opened", {"ticket_id": "t-1"})

SOLVED = ("Ticket Solved", {"ticket_id": "t-1"})

ticket_is_open = holding(TicketOpened, until=TicketSolved, by="ticket_id")


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class WaitsWithoutEnd(Journey):
    row = Row("wait_for", "without `within`", (), happens=(HOUR, DELIVERED))

    async def run(self, entry: ProductViewed) -> str:
        return "came" if await self.wait_for(OrderDelivered) else "did not"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class WaitsForSomeTime(Journey):
    row = Row(
        "wait_for", "with `within`, whether or not an event arrives", (TIMER,), happens=(HOUR, DELIVERED)
    )

    async def run(self, entry: ProductViewed) -> str:
        return "came" if await self.wait_for(OrderDelivered, within=days(2)) else "did not"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class FindsWhatCame(Journey):
    row = Row("wait_for", "for an event that has already arrived", (), happens=(HOUR, DELIVERED, FULFILLED))

    async def run(self, entry: ProductViewed) -> str:
        await self.wait_for(OrderFulfilled)
        return "came" if await self.wait_for(OrderDelivered, within=days(2)) else "did not"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class WaitsForAll(Journey):
    row = Row(
        "wait_for_all",
        "with `within`, for any number of events",
        (TIMER,),
        happens=(HOUR, DELIVERED, FULFILLED),
    )

    async def run(self, entry: ProductViewed) -> str:
        return (
            "came" if await self.wait_for_all(OrderFulfilled, OrderDelivered, within=days(2)) else "did not"
        )


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Forgets(Journey):
    row = Row("forget", "", (), happens=(HOUR, DELIVERED))

    async def run(self, entry: ProductViewed) -> str:
        self.forget(ProductViewed)
        return "came" if await self.wait_for(OrderDelivered) else "did not"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Quiet(Journey):
    row = Row("quiet", "without an event meanwhile", (TIMER,), happens=(days(2),))

    async def run(self, entry: ProductViewed) -> str:
        await self.quiet(hours(10), of=(ProductAdded,))
        return "quiet"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Disturbed(Journey):
    row = Row(
        "quiet",
        "restarted once, for any number of events",
        (TIMER, TIMER),
        happens=(
            hours(2),
            ("Product Added", {"product_id": "lamp"}),
            hours(2),
            ("Product Added", {"product_id": "desk"}),
            days(2),
        ),
    )

    async def run(self, entry: ProductViewed) -> str:
        await self.quiet(hours(10), of=(ProductAdded,))
        return "quiet"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Sleeps(Journey):
    row = Row("sleep", "of any length", (TIMER,), happens=(days(40),))

    async def run(self, entry: ProductViewed) -> str:
        await self.sleep(days(30))
        return "woke"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SleepsUntilNine(Journey):
    row = Row(
        "sleep_until", "the first one in a run, which reads the zone", (ACTIVITY, TIMER), happens=(days(2),)
    )

    async def run(self, entry: ProductViewed) -> str:
        await self.sleep_until(time(9))
        return "woke"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SleepsUntilNineAgain(Journey):
    row = Row(
        "sleep_until",
        "two in a run: the zone is read once, also by a send or `profile()`",
        (ACTIVITY, TIMER, TIMER),
        happens=(days(3),),
    )

    async def run(self, entry: ProductViewed) -> str:
        await self.sleep_until(time(9))
        await self.sleep_until(time(9))
        return "woke"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class HoldsForNothing(Journey):
    row = Row("hold_while", "nothing is open", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return "free" if await self.hold_while(ticket_is_open, within=days(9)) else "held"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class HoldsForOne(Journey):
    row = Row(
        "hold_while",
        "one case is open; read again when it is closed",
        (ACTIVITY, TIMER, ACTIVITY),
        before=(OPENED,),
        happens=(HOUR, SOLVED),
    )

    async def run(self, entry: ProductViewed) -> str:
        return "free" if await self.hold_while(ticket_is_open, within=days(9)) else "held"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class HoldsWithoutEnd(Journey):
    row = Row(
        "hold_while",
        "the same without `within`",
        (ACTIVITY, ACTIVITY),
        before=(OPENED,),
        happens=(HOUR, SOLVED),
    )

    async def run(self, entry: ProductViewed) -> str:
        return "free" if await self.hold_while(ticket_is_open) else "held"
