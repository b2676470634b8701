"""Journeys of the tests that start on a segment, or when a caller says so."""

from journeys.vocabulary import PERSON, AtMost, Journey, Once, Segment, days, hours, journey
from profiles.events import CheckoutStarted, OrderCompleted, SegmentEntered

REGULARS = Segment("regulars", "SELECT profile_id FROM person WHERE orders >= 2;", every=hours(2))


@journey(starts_on=REGULARS, keyed_by=PERSON)
class ThankRegulars(Journey):
    """Takes its time with a regular."""

    async def run(self, entry: SegmentEntered) -> str:
        await self.sleep(days(2))
        return f"thanked among the {entry.segment}"


@journey(starts_on=REGULARS, keyed_by=PERSON, reentry=Once())
class GreetRegulars(Journey):
    """Greets a regular once."""

    async def run(self, entry: SegmentEntered) -> str:
        return "greeted"


@journey(starts_on=CheckoutStarted, keyed_by="cart_id", where=lambda entry: (entry.value or 0) > 100)
class CourtLargeCheckouts(Journey):
    """By itself only for large ones."""

    async def run(self, entry: CheckoutStarted) -> str:
        await self.sleep(days(1))
        return f"courted {entry.value}"


@journey(starts_on=OrderCompleted, keyed_by="order_id", reentry=AtMost(1))
class AskAboutOrder(Journey):
    """One question an order."""

    async def run(self, entry: OrderCompleted) -> str:
        return "asked"


JOURNEYS = (ThankRegulars, GreetRegulars, CourtLargeCheckouts, AskAboutOrder)
