"""wait_for gives the union of the kinds it is given, or None; ``where`` gets the same union."""

from typing import assert_type

from journeys.vocabulary import PERSON, Journey, Message, days, journey
from profiles.events import (
    MessageClicked,
    MessageOpened,
    OrderCompleted,
    OrderDelivered,
    ProductAdded,
    ProductViewed,
)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class First(Journey):
    async def run(self, entry: ProductViewed) -> str:
        one = await self.wait_for(OrderCompleted)
        assert_type(one, OrderCompleted | None)
        two = await self.wait_for(OrderCompleted, ProductAdded, within=days(1))
        assert_type(two, OrderCompleted | ProductAdded | None)
        three = await self.wait_for(OrderCompleted, ProductAdded, MessageClicked)
        assert_type(three, OrderCompleted | ProductAdded | MessageClicked | None)
        four = await self.wait_for(OrderCompleted, ProductAdded, MessageClicked, OrderDelivered)
        assert_type(four, OrderCompleted | ProductAdded | MessageClicked | OrderDelivered | None)
        return self.of_a_kind(two)

    def of_a_kind(self, event: OrderCompleted | ProductAdded | None) -> str:
        match event:
            case OrderCompleted():
                return event.order_id or ""
            case ProductAdded():
                return event.item.key
            case None:
                return "neither"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Filtered(Journey):
    async def run(self, entry: ProductViewed) -> str:
        dear = await self.wait_for(ProductAdded, where=lambda e: (e.price or 0) > 100)
        assert_type(dear, ProductAdded | None)
        same = await self.wait_for(ProductAdded, ProductViewed, where=lambda e: e.sku == entry.sku)
        assert_type(same, ProductAdded | ProductViewed | None)
        return "" if dear is None else dear.item.key

    async def reacted(self, message: Message) -> bool:
        event = await self.wait_for(MessageClicked, MessageOpened, of=message, within=days(1))
        return event is not None
