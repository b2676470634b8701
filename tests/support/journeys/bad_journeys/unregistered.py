"""Classes that are no journeys, and one whose name is taken."""

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import ProductViewed


# fault: Undecorated is not a journey; write @journey(starts_on=…, keyed_by=…) above class
class Undecorated(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON, name="first")
class First(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


@journey(starts_on=ProductViewed, keyed_by=PERSON, name="first")
# fault: the name 'first' is taken by tests.support.journeys.bad_journeys.unregistered.First; give it another
class Second(Journey):
    async def run(self, entry: ProductViewed) -> str:
        return "done"


JOURNEYS = (Undecorated, First, Second)
