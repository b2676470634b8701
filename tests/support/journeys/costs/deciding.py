"""What the words cost that decide, and what a run costs in any case."""

from journeys.vocabulary import PERSON, Journey, Profile, journey
from profiles.events import ProductViewed
from tests.support.journeys.costs.row import ACTIVITY, Row
from tests.support.journeys.vocabulary import points_of


class Member(Profile):
    plan: str = "none"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Suggests(Journey):
    row = Row("suggestions", "", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return str(len(await self.suggestions()))


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class AsksForReports(Journey):
    row = Row("reports_deliveries", "always", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return str(await self.reports_deliveries())


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Reads(Journey):
    row = Row("profile", "with or without declared traits", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return (await self.profile(Member)).plan


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Performs(Journey):
    row = Row("perform", "each attempt", (ACTIVITY,))

    async def run(self, entry: ProductViewed) -> str:
        return str(await self.perform(points_of, self.customer_id))


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Experiments(Journey):
    row = Row("experiment", "its exposure is recorded with the next activity, at the latest the last", ())

    async def run(self, entry: ProductViewed) -> str:
        return self.experiment("offer", offer=50, control=50)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Chooses(Journey):
    row = Row("choose", "by weight or by score", ())

    async def run(self, entry: ProductViewed) -> str:
        best = self.choose("longest", ["a", "bb"], by=len)
        return f"{self.choose('tone', {'warm': 3, 'dry': 1})} {best}"
