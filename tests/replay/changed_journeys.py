"""Shipped stories after careless changes: each breaks the runs that are under way."""

from journeys.vocabulary import SMS, Journey, cart_is_empty_or_bought, days, hours, journey, minutes
from profiles.events import CheckoutStarted, MessageClicked, ProductAdded, ProductRemoved

QUIET = (ProductAdded, ProductRemoved, CheckoutStarted)


@journey(
    starts_on=(ProductAdded, CheckoutStarted), keyed_by="cart_id", ends_on=cart_is_empty_or_bought,
    name="cart-abandonment",
)  # fmt: skip
class WithOneMoreTimer(Journey):
    """Naps before the reminder."""

    async def run(self, entry: ProductAdded | CheckoutStarted) -> str:
        await self.quiet(hours(1), of=QUIET)
        await self.sleep(minutes(5))
        reminder = await self.send("cart_reminder", promoting=self.cart.items)
        await self.retarget(self.cart.items, audience="left-in-cart")
        await self.wait_for(MessageClicked, of=reminder, within=days(1))
        return "nudged"


@journey(
    starts_on=(ProductAdded, CheckoutStarted), keyed_by="cart_id", ends_on=cart_is_empty_or_bought,
    name="cart-abandonment",
)  # fmt: skip
class WithOneMoreActivity(Journey):
    """Sends an SMS beside the reminder."""

    async def run(self, entry: ProductAdded | CheckoutStarted) -> str:
        await self.quiet(hours(1), of=QUIET)
        reminder = await self.send("cart_reminder", promoting=self.cart.items)
        await self.send("cart_offer", promoting=self.cart.items, prefer=(SMS,))
        await self.retarget(self.cart.items, audience="left-in-cart")
        await self.wait_for(MessageClicked, of=reminder, within=days(1))
        return "nudged"
