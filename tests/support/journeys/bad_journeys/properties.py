"""Stories that read what their events do not have."""

from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import MessageClicked, OrderCompleted, OrderRefunded, ProductViewed


def large(order: OrderCompleted) -> bool:
    return (order.totl or 0) > 100  # fault: OrderCompleted has no property 'totl'; did you mean 'total'?


def two(order: OrderCompleted, limit: int) -> bool:
    return (order.total or 0) > limit


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Misreads(Journey):
    async def run(self, entry: ProductViewed) -> str:
        if entry.prise > 10:  # fault: ProductViewed has no property 'prise'; did you mean 'price'? available:
            return "dear"
        await self.wait_for(OrderCompleted, where=large, within=days(1))
        # fault: (where=…) is given one event, and the filter takes (
        await self.wait_for(OrderCompleted, where=two)
        await self.wait_for(OrderCompleted, where=lambda: True)  # fault: the filter takes ()
        # fault: OrderCompleted and MessageClicked have no property 'link'
        await self.wait_for(OrderCompleted, MessageClicked, where=lambda e: e.link == "x" or e.url == "y")
        clicked = await self.wait_for(MessageClicked, within=days(1))
        if clicked and clicked.ulr:  # fault: MessageClicked has no property 'ulr'; did you mean 'url'?
            return "clicked"
        if order := await self.wait_for(OrderRefunded):
            return str(order.order)  # fault: OrderRefunded has no property 'order'; did you mean 'order_id'?
        return entry.item.key


JOURNEYS = (Misreads,)
