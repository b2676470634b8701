"""A property that the event waited for does not have."""

from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import OrderCompleted, ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        order = await self.wait_for(OrderCompleted, within=days(1))
        if order is None:
            # E: "ProductViewed" has no attribute "produkt_id"; maybe "product_id"?  [attr-defined]
            return str(entry.produkt_id)
        # E: "OrderCompleted" has no attribute "order_number"  [attr-defined]
        return str(order.order_number)
