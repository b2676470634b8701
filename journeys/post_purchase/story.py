"""After a purchase: confirm it, wait until it has arrived, ask how it is, and suggest what goes with it."""

from enum import StrEnum

from journeys.vocabulary import EMAIL, Journey, Once, days, exit_on, journey
from profiles.events import OrderCancelled, OrderCompleted, OrderDelivered, OrderRefunded


class Outcome(StrEnum):
    """How the story may end by itself."""

    COMPLETED = "completed"
    NOT_DELIVERED = "not_delivered"


@journey(
    starts_on=OrderCompleted,
    keyed_by="order_id",
    ends_on=(exit_on(OrderCancelled, outcome="cancelled"), exit_on(OrderRefunded, outcome="refunded")),
    reentry=Once(),
)
class PostPurchase(Journey):
    async def run(self, entry: OrderCompleted) -> Outcome:
        order = {"order_id": entry.order_id, "total": entry.total, "currency": entry.currency}
        await self.send("order_confirmation", promoting=None, showing=entry.products, context=order)
        if entry.channel != "store" and not await self.wait_for(OrderDelivered, within=days(7)):
            await self.send("delivery_apology", promoting=None, showing=entry.products, context=order)
            if not await self.wait_for(OrderDelivered, within=days(14)):
                return Outcome.NOT_DELIVERED
        await self.sleep(days(5))
        await self.send("review_request", promoting=None, showing=entry.products)
        await self.sleep(days(9))
        if suggested := await self.suggestions(limit=3):
            await self.send("cross_sell", promoting=suggested, prefer=(EMAIL,))
        return Outcome.COMPLETED
