"""What a journey starts on types its filter, one kind of event to four."""

from enum import StrEnum

from journeys.vocabulary import (
    PERSON,
    After,
    AtMost,
    Journey,
    Once,
    Unlimited,
    cart_is_empty_or_bought,
    days,
    exit_on,
    goal,
    journey,
)
from profiles.events import (
    CartViewed,
    CheckoutStarted,
    OrderCompleted,
    ProductAdded,
    ProductViewed,
    TicketOpened,
)


class Outcome(StrEnum):
    DONE = "done"


@journey(starts_on=ProductAdded, keyed_by="cart_id", where=lambda e: (e.price or 0) > 10)
class OnOne(Journey):
    async def run(self, entry: ProductAdded) -> Outcome:
        return Outcome.DONE


@journey(starts_on=(ProductAdded,), keyed_by="cart_id", where=lambda e: e.quantity > 1, reentry=Once())
class OnOneInATuple(Journey):
    async def run(self, entry: ProductAdded) -> Outcome:
        return Outcome.DONE


@journey(
    starts_on=(ProductAdded, CheckoutStarted),
    keyed_by="cart_id",
    where=lambda e: e.cart_id is not None and (isinstance(e, CheckoutStarted) or e.item.key != ""),
    ends_on=cart_is_empty_or_bought,
    reentry=After(days(3)),
)
class OnTwo(Journey):
    async def run(self, entry: ProductAdded | CheckoutStarted) -> Outcome:
        return Outcome.DONE


@journey(
    starts_on=(ProductAdded, CheckoutStarted, CartViewed),
    keyed_by=PERSON,
    where=lambda e: isinstance(e, ProductAdded) or len(e.products) > 1,
    ends_on=(goal(OrderCompleted, outcome="bought"), exit_on(TicketOpened)),
    reentry=AtMost(3),
    also_listens_to=(ProductViewed,),
    holdout=5,
    on_merge="continue",
    name="on-three-kinds",
)
class OnThree(Journey):
    async def run(self, entry: ProductAdded | CheckoutStarted | CartViewed) -> Outcome:
        return Outcome.DONE


@journey(
    starts_on=(ProductAdded, ProductViewed, CheckoutStarted, CartViewed),
    keyed_by=PERSON,
    where=lambda e: isinstance(e, CheckoutStarted | CartViewed) or e.product_id is not None,
    reentry=Unlimited(),
    on_merge="end",
)
class OnFour(Journey):
    async def run(self, entry: ProductAdded | ProductViewed | CheckoutStarted | CartViewed) -> Outcome:
        return Outcome.DONE
