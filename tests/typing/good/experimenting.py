"""experiment gives the name of an arm."""

from typing import assert_type

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Experimenting(Journey):
    async def run(self, entry: ProductViewed) -> str:
        arm = self.experiment("offer", offer=50, control=50)
        assert_type(arm, str)
        return "told" if arm == "offer" else "left alone"
