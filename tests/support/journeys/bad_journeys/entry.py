"""Stories that are given something else than they say, or return what is no outcome."""

from enum import Enum, StrEnum

from journeys.vocabulary import PERSON, Journey, Segment, journey
from profiles.events import CheckoutStarted, OrderCompleted, ProductAdded, ProductUpdated, ProductViewed

# ruff: noqa: E501 - a fault stands beside its line


class Outcome(StrEnum):
    DONE = "done"


class Plain(str, Enum):  # noqa: UP042 - the fault is about this
    DONE = "done"


@journey(starts_on=(ProductAdded, CheckoutStarted), keyed_by="cart_id")
class HalfAnEntry(Journey):
    # fault: run starts on CheckoutStarted, which its entry does not allow for; write entry: ProductAdded |
    async def run(self, entry: ProductAdded) -> Outcome:
        return Outcome.DONE


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class TooMuchOfAnEntry(Journey):
    # fault: entry is never OrderCompleted, which starts no run; write entry: ProductAdded
    async def run(self, entry: ProductAdded | OrderCompleted) -> Outcome:
        return Outcome.DONE


# fault: ProductUpdated names no profile, so it starts no run
@journey(starts_on=ProductUpdated, keyed_by="product_id")
class StartedByAFeed(Journey):
    async def run(self, entry: ProductUpdated) -> Outcome:
        return Outcome.DONE


@journey(starts_on=Segment("big", "SELECT profile_id FROM person"), keyed_by=PERSON)
class WrongAboutTheSegment(Journey):
    # fault: run starts on SegmentEntered, which its entry does not allow for
    # fault: entry is never ProductViewed
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class NotAsync(Journey):
    # fault: run is not async, so it cannot wait; write async def run(self, entry: ProductViewed) -> Outcome
    def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Yields(Journey):
    async def run(self, entry: ProductViewed):  # fault: run yields  # fault: run does not say what it returns
        yield "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class TakesTwo(Journey):
    # fault: run takes (self, entry: profiles.events.ProductViewed, cart: str) -> str, and is given the entry event
    async def run(self, entry: ProductViewed, cart: str) -> str:
        return cart


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class TakesNothing(Journey):
    async def run(self) -> str:  # fault: run takes (self) -> str, and is given the entry event only
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class SaysNothing(Journey):
    # fault: run does not say what it returns; return a StrEnum of outcomes, or str, and write -> Outcome
    async def run(self, entry: ProductViewed):
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class ReturnsNothing(Journey):
    # fault: run returns None, and an outcome is a word
    async def run(self, entry: ProductViewed) -> None:
        await self.suggestions()


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class ReturnsANumber(Journey):
    # fault: run returns int, and an outcome is a word
    async def run(self, entry: ProductViewed) -> int | str:
        return 3


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class ReturnsAPlainEnum(Journey):
    # fault: run returns Plain, and its members would read as "Plain.…" in reports; derive it from StrEnum
    async def run(self, entry: ProductViewed) -> Plain:
        return Plain.DONE


JOURNEYS = (
    HalfAnEntry, TooMuchOfAnEntry, StartedByAFeed, WrongAboutTheSegment, NotAsync, Yields, TakesTwo, TakesNothing,
    SaysNothing, ReturnsNothing, ReturnsANumber, ReturnsAPlainEnum,
)  # fmt: skip
