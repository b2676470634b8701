"""What the words cost that reach the person."""

from journeys.vocabulary import EMAIL, PERSON, SMS, Journey, days, holding, hours, if_not_seen, journey
from profiles.events import Item, ProductViewed, TicketOpened, TicketSolved
from tests.support.journeys.costs.row import ACTIVITY, TIMER, Row

OPENED = ("Ticket Opened", {"ticket_id": "t-1"})

SOLVED = ("Ticket Solved", {"ticket_id": "t-1"})

MIDNIGHT = hours(12)

SEEN_WITHIN = if_not_seen(within=hours(6), then=SMS)

ticket_is_open = holding(TicketOpened, until=TicketSolved, by="ticket_id")


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Sends(Journey):
    row = Row("send", "sent at once, or withheld", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None, prefer=(EMAIL,))).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SendsInTheMorning(Journey):
    row = Row(
        "send",
        "deferred, for example by quiet hours, and repeated at the new time",
        (ACTIVITY, TIMER, ACTIVITY),
        later=MIDNIGHT,
        happens=(days(1),),
    )

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None, prefer=(SMS,))).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON, hold_while=ticket_is_open)
class SendsWhenItIsSolved(Journey):
    row = Row(
        "send",
        "held by an open case for less than a day; two more for each day",
        (ACTIVITY, TIMER, ACTIVITY),
        before=(OPENED,),
        happens=(hours(1), SOLVED),
    )

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None, prefer=(EMAIL,))).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SendsWhereItSuits(Journey):
    row = Row("send", "without `prefer`, if email is the preferred channel", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None)).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SendsElsewhere(Journey):
    row = Row(
        "send",
        "without `prefer`, if another channel is preferred",
        (ACTIVITY, ACTIVITY),
        traits={"preferred_channel": "sms"},
    )

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None)).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SendsElsewhereTwice(Journey):
    row = Row(
        "send",
        "the same, two in a run: the channel is chosen once",
        (ACTIVITY, ACTIVITY, ACTIVITY),
        traits={"preferred_channel": "sms"},
    )

    async def run(self, entry: ProductViewed) -> str:
        await self.send("note", promoting=None)
        return type(await self.send("note", promoting=None)).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SendsOnTheNextChannel(Journey):
    row = Row("send", "on the second channel, if the first has no address", (ACTIVITY, ACTIVITY), phone=False)

    async def run(self, entry: ProductViewed) -> str:
        return type(await self.send("note", promoting=None, prefer=(SMS, EMAIL))).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class FallsBack(Journey):
    row = Row("send", "with `fallback`, not seen", (ACTIVITY, TIMER, ACTIVITY), happens=(hours(7),))

    async def run(self, entry: ProductViewed) -> str:
        sent = await self.send("note", promoting=None, prefer=(EMAIL,), fallback=SEEN_WITHIN)
        return type(sent).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class IsSeen(Journey):
    row = Row(
        "send",
        "with `fallback`, seen in time",
        (ACTIVITY, TIMER),
        happens=(hours(1), ("Message Opened", {})),
    )

    async def run(self, entry: ProductViewed) -> str:
        sent = await self.send("note", promoting=None, prefer=(EMAIL,), fallback=SEEN_WITHIN)
        return type(sent).__name__


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Retargets(Journey):
    row = Row("retarget", "to enter an ad audience; to leave it is free", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        await self.retarget([Item(product_id="lamp")], audience="viewed")
        return "entered"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class OptsOut(Journey):
    row = Row("opt_out", "", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        await self.opt_out(SMS)
        return "left in peace"
