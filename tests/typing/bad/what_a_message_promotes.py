"""A message promotes items, or None on purpose; it has to say which."""

from journeys.vocabulary import Journey, journey
from profiles.events import ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Story(Journey):
    async def run(self, entry: ProductAdded) -> str:
        # E: Missing named argument "promoting" for "send" of "Journey"  [call-arg]
        await self.send("cart_reminder")
        # E: Argument "promoting" to "send" of "Journey" has incompatible type "str"…  [arg-type]
        await self.send("cart_reminder", promoting="lamp")
        # E: List item 0 has incompatible type "ProductAdded"; expected "Item"  [list-item]
        await self.send("cart_reminder", promoting=[entry])
        # E: Argument "promoting" to "send" of "Journey" has incompatible type "Cart"…  [arg-type]
        await self.send("cart_reminder", promoting=self.cart)
        # E: List item 0 has incompatible type "str"; expected "Item"  [list-item]
        await self.retarget(["lamp"], audience="left")
        # E: "Cart" has no attribute "itmes"; maybe "items"?  [attr-defined]
        return str(self.cart.itmes)
