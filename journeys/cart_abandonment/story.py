"""Bring back a cart that was left behind; fall silent the moment it is bought."""

from enum import StrEnum

from journeys.vocabulary import (
    EMAIL,
    SMS,
    After,
    Journey,
    cart_is_empty_or_bought,
    days,
    hours,
    journey,
    ticket_is_open,
)
from profiles.events import (
    BackInStock,
    CheckoutStarted,
    MessageClicked,
    OrderCompleted,
    PriceDropped,
    ProductAdded,
    ProductRemoved,
)


class Outcome(StrEnum):
    """Outcomes of the story; ``bought`` and ``emptied`` come from the cart."""

    ENGAGED = "engaged"
    NUDGED = "nudged"


@journey(
    starts_on=(ProductAdded, CheckoutStarted),
    keyed_by="cart_id",
    ends_on=cart_is_empty_or_bought,
    hold_while=ticket_is_open,
    reentry=After(days(3)),
)
class CartAbandonment(Journey):
    async def run(self, entry: ProductAdded | CheckoutStarted) -> Outcome:
        await self.quiet(hours(1), of=(ProductAdded, ProductRemoved, CheckoutStarted))
        self.forget(PriceDropped, BackInStock, OrderCompleted)
        await self.send("cart_reminder", promoting=self.cart.items)
        await self.retarget(self.cart.items, audience="left-in-cart")
        match await self.wait_for(MessageClicked, PriceDropped, BackInStock, OrderCompleted, within=days(1)):
            case MessageClicked():
                return Outcome.ENGAGED
            case PriceDropped() | BackInStock() as news:
                was = getattr(news, "was", None)
                await self.send("cart_news", promoting=(news.item,), context={"was": was})
            case OrderCompleted():
                await self.sleep(days(2))
                await self.send("cart_rest", promoting=self.cart.items)
            case None:
                await self.send("cart_offer", promoting=self.cart.items, prefer=(SMS, EMAIL))
        return Outcome.ENGAGED if await self.wait_for(MessageClicked, within=days(2)) else Outcome.NUDGED
