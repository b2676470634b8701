"""forget takes kinds of events, and opt_out a channel."""

from typing import assert_type

from journeys.vocabulary import PERSON, SMS, Journey, journey
from profiles.events import PriceDropped, ProductAdded, ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Ending(Journey):
    async def run(self, entry: ProductViewed) -> str:
        self.forget(PriceDropped, ProductAdded)
        await self.opt_out()
        await self.opt_out(SMS, topic="offers")
        assert_type(await self.wait_for(PriceDropped), PriceDropped | None)
        return "quiet"
