"""After a purchase: confirm it, apologise if it is late, ask how each thing is, suggest what goes with it."""

from enum import StrEnum

from temporalio import workflow

from journeys.vocabulary import EMAIL, Journey, Once, days, exit_on, journey, return_is_open, ticket_is_open
from profiles.events import (
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderRefunded,
    ReviewSubmitted,
)
from profiles.fulfilment import Fulfilment

MOST_REVIEWS = 3

ARRIVED = (Fulfilment.TAKEN_HOME, Fulfilment.DIGITAL)
"""No delivery is waited for."""


class Outcome(StrEnum):
    """Outcomes of the story."""

    COMPLETED = "completed"
    NOT_DELIVERED = "not_delivered"
    NOTHING_KEPT = "nothing_kept"


@journey(
    starts_on=OrderCompleted,
    keyed_by="order_id",
    ends_on=(
        exit_on(OrderCancelled, outcome="cancelled"),
        exit_on(OrderRefunded, where=lambda refund: not refund.products, outcome="refunded"),
    ),
    hold_while=(ticket_is_open, return_is_open),
    reentry=Once(),
)
class PostPurchase(Journey):
    async def run(self, entry: OrderCompleted) -> Outcome:
        handed_over = entry.handed_over
        order = {"order_id": entry.order_id, "total": entry.total, "currency": entry.currency}
        order |= {"handed_over": handed_over.value}
        await self.send("order_confirmation", promoting=None, showing=entry.products, context=order)
        # Runs from before orders stated it go by the channel of the purchase alone.
        if not entry.fulfilment or not workflow.patched("fulfilment"):
            handed_over = Fulfilment.TAKEN_HOME if entry.channel == "store" else Fulfilment.SHIPPED
        if handed_over not in ARRIVED and await self.is_missing():
            if handed_over != Fulfilment.PICKUP:
                await self.send("delivery_apology", promoting=None, showing=entry.products, context=order)
            if not await self.wait_for(OrderDelivered, within=days(14)):
                return Outcome.NOT_DELIVERED
        await self.sleep(days(5))
        await self.hold_while(ticket_is_open, return_is_open, within=days(30))
        kept = await self.kept(entry)
        if not kept:
            return Outcome.NOTHING_KEPT
        for item in kept[:MOST_REVIEWS]:
            await self.ask_for_review(item)
        if suggested := await self.suggestions(limit=3):
            await self.send("cross_sell", promoting=suggested, prefer=(EMAIL,), expires=days(14))
        return Outcome.COMPLETED

    async def is_missing(self) -> bool:
        """Return whether the order is not delivered after a week, in a shop that reports deliveries."""
        if await self.wait_for(OrderDelivered, within=days(7)):
            return False
        # Runs from before the shop's reports counted took every order for late.
        if not workflow.patched("apologise where deliveries are reported"):
            return True
        return await self.reports_deliveries()

    async def kept(self, order: OrderCompleted) -> list[Item]:
        """Return the items of the order that were not returned, the dearest first."""
        who = await self.profile()
        items = [item for item in order.products if who.bought(item.key)]
        return sorted(items, key=lambda item: item.price or 0.0, reverse=True)

    async def ask_for_review(self, item: Item) -> None:
        """Send one request unless the item is reviewed already; then wait three days, or for the review."""
        if await self.wait_for(ReviewSubmitted, where=lambda r: r.product_id == item.key, within=days(0)):
            return
        await self.send("review_request", promoting=None, showing=(item,), expires=days(14))
        await self.wait_for(ReviewSubmitted, where=lambda r: r.product_id == item.key, within=days(3))
