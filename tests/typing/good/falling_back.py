"""A fallback names one channel or several, and for how long to watch."""

from typing import assert_type

from journeys.vocabulary import EMAIL, SMS, Journey, Message, hours, if_not_delivered, if_not_seen, journey
from journeys.vocabulary.fallback import Fallback
from profiles.events import ProductAdded

assert_type(if_not_seen(within=hours(6), then=SMS), Fallback)

assert_type(if_not_delivered(within=hours(1), then=(SMS, EMAIL)), Fallback)


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class FallingBack(Journey):
    async def run(self, entry: ProductAdded) -> str:
        seen = if_not_seen(within=hours(6), then=SMS)
        sent = await self.send("cart_reminder", promoting=self.cart.items, prefer=[EMAIL], fallback=seen)
        assert_type(sent, Message)
        return sent.template
