"""A property that an event does not have: in a story, in the filter of a wait, in that of an entry."""

from journeys.vocabulary import PERSON, Journey, Segment, days, journey
from profiles.events import CheckoutStarted, OrderCompleted, ProductAdded, ProductViewed, SegmentEntered

regulars = Segment("regulars", "SELECT profile_id FROM person WHERE orders >= 3")


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: "ProductAdded" has no attribute "prize"; maybe "price"?  [attr-defined]
        await self.wait_for(ProductAdded, where=lambda e: e.prize > 1)
        # E: Item "OrderCompleted" of "ProductAdded | OrderCompleted" has no attribute "sku"  [union-attr]
        await self.wait_for(ProductAdded, OrderCompleted, where=lambda e: bool(e.sku))
        order = await self.wait_for(OrderCompleted, within=days(1))
        if order is None:
            # E: "ProductViewed" has no attribute "produkt_id"; maybe "product_id"?  [attr-defined]
            return str(entry.produkt_id)
        # E: "OrderCompleted" has no attribute "order_number"  [attr-defined]
        return str(order.order_number)


# E: "ProductAdded" has no attribute "prise"; maybe "price"?  [attr-defined]
@journey(starts_on=ProductAdded, keyed_by="cart_id", where=lambda e: e.prise > 1)
class OfOne(Journey):
    async def run(self, entry: ProductAdded) -> str:
        return "done"


# E: Argument "starts_on" to "journey" has incompatible type "tuple[type[ProductAdded…  [arg-type]
@journey(starts_on=(ProductAdded, CheckoutStarted), keyed_by="cart_id", where=lambda e: bool(e.sku))
class OfTwo(Journey):
    async def run(self, entry: ProductAdded | CheckoutStarted) -> str:
        return "done"


# E: "SegmentEntered" has no attribute "name"  [attr-defined]
@journey(starts_on=regulars, keyed_by=PERSON, where=lambda e: e.name == "regulars")
class OfASegment(Journey):
    async def run(self, entry: SegmentEntered) -> str:
        return "done"
