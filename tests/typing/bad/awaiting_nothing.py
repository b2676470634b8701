"""A word without ``await`` does nothing."""

from datetime import time

from journeys.vocabulary import Journey, hours, journey
from profiles.events import MessageClicked, ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Story(Journey):
    async def run(self, entry: ProductAdded) -> str:
        # E: Value of type "Coroutine[Any, Any, None]" must be used  [unused-coroutine]
        self.sleep(hours(1))
        # E: Value of type "Coroutine[Any, Any, None]" must be used  [unused-coroutine]
        self.sleep_until(time(9))
        # E: Value of type "Coroutine[Any, Any, Sent | Withheld | Unknown]" must be used  [unused-coroutine]
        self.send("cart_reminder", promoting=None)
        sent = self.send("cart_offer", promoting=None)
        # E: No overload variant of "wait_for" of "Waiting"…  [call-overload]
        await self.wait_for(MessageClicked, of=sent)
        # E: Incompatible types in "await" (actual type "str", expected type "Awaitable[Any]"…  [misc]
        arm = await self.experiment("offer", offer=50, control=50)
        return str(arm)
