"""What comes of a wait may be None, and what comes of two kinds has only what both have."""

from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import OrderCompleted, ProductAdded, ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        order = await self.wait_for(OrderCompleted, within=days(1))
        # E: Item "None" of "OrderCompleted | None" has no attribute "total"  [union-attr]
        print(order.total)
        either = await self.wait_for(OrderCompleted, ProductAdded)
        if either is not None:
            # E: Item "OrderCompleted" of "OrderCompleted | ProductAdded" has no attribute…  [union-attr]
            print(either.sku)
        both = await self.wait_for_all(OrderCompleted, ProductAdded)
        # E: "None" object is not iterable  [misc]
        first, _ = both
        return str(first)
