"""A property that the event does not have, in the filter of a wait."""

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import OrderCompleted, ProductAdded, ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: "ProductAdded" has no attribute "prize"; maybe "price"?  [attr-defined]
        await self.wait_for(ProductAdded, where=lambda e: e.prize > 1)
        # E: Item "OrderCompleted" of "ProductAdded | OrderCompleted" has no attribute "sku"  [union-attr]
        await self.wait_for(ProductAdded, OrderCompleted, where=lambda e: bool(e.sku))
        return "done"
