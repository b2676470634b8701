"""A story that ends without an outcome on some path, or with one that is none."""

from enum import StrEnum

from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import OrderCompleted, ProductViewed


class Outcome(StrEnum):
    BOUGHT = "bought"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Forgetful(Journey):
    # E: Missing return statement  [return]
    async def run(self, entry: ProductViewed) -> Outcome:  # noqa: RET503 - the fault under test
        if await self.wait_for(OrderCompleted, within=days(1)):
            return Outcome.BOUGHT


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Silent(Journey):
    async def run(self, entry: ProductViewed) -> Outcome:
        if await self.wait_for(OrderCompleted, within=days(1)):
            return Outcome.BOUGHT
        # E: Return value expected  [return-value]
        return  # noqa: RET502 - the fault under test


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Mistaken(Journey):
    async def run(self, entry: ProductViewed) -> Outcome:
        # E: Incompatible return value type (got "str", expected "Outcome")  [return-value]
        return "bought"
