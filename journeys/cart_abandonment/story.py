"""Bring back a cart that was left behind; fall silent the moment it is bought."""

from enum import StrEnum

from journeys.vocabulary import EMAIL, SMS, After, Journey, cart_is_empty_or_bought, days, hours, journey
from profiles.events import CheckoutStarted, MessageClicked, ProductAdded, ProductRemoved


class Outcome(StrEnum):
    """How the story may end by itself; ``bought`` and ``emptied`` come from the cart."""

    ENGAGED = "engaged"
    NUDGED = "nudged"


@journey(
    starts_on=(ProductAdded, CheckoutStarted),
    keyed_by="cart_id",
    ends_on=cart_is_empty_or_bought,
    reentry=After(days(3)),
)
class CartAbandonment(Journey):
    async def run(self, entry: ProductAdded | CheckoutStarted) -> Outcome:
        await self.quiet(hours(1), of=(ProductAdded, ProductRemoved, CheckoutStarted))
        reminder = await self.send("cart_reminder", promoting=self.cart.items)
        await self.retarget(self.cart.items, audience="left-in-cart")
        if await self.wait_for(MessageClicked, of=reminder, within=days(1)):
            return Outcome.ENGAGED
        await self.send("cart_offer", promoting=self.cart.items, prefer=(SMS, EMAIL))
        return Outcome.NUDGED
