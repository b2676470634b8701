"""No more than four kinds, kinds and not names, two at least for all of them, and lengths of time.

``of`` takes what send gave, not a template's name and not an event.
"""

from journeys.vocabulary import PERSON, Journey, days, journey
from profiles.events import (
    CartViewed,
    CheckoutStarted,
    MessageClicked,
    OrderCompleted,
    ProductAdded,
    ProductViewed,
)

FIVE = (CartViewed, CheckoutStarted, MessageClicked, OrderCompleted, ProductAdded)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: No overload variant of "wait_for" of "Waiting"…  [call-overload]
        await self.wait_for(CartViewed, CheckoutStarted, MessageClicked, OrderCompleted, ProductAdded)
        # E: No overload variant of "wait_for" of "Waiting" matches argument type "str"  [call-overload]
        await self.wait_for("Order Completed")
        # E: No overload variant of "wait_for" of "Waiting"…  [call-overload]
        await self.wait_for(entry)
        # E: All overload variants of "wait_for" of "Waiting" require at least one argument  [call-overload]
        await self.wait_for()
        # E: No overload variant of "wait_for" of "Waiting"…  [call-overload]
        await self.wait_for(OrderCompleted, within=86400)
        # E: No overload variant of "wait_for_all" of "Waiting"…  [call-overload]
        await self.wait_for_all(OrderCompleted, within=days(1))
        # E: Unexpected keyword argument "where" for overloaded function "wait_for_all"…  [call-overload]
        # E: No overload variant of "wait_for_all" of "Waiting"…  [call-overload]
        await self.wait_for_all(OrderCompleted, ProductAdded, where=lambda e: True)
        # E: No overload variant of "wait_for" of "Waiting"…  [call-overload]
        await self.wait_for(MessageClicked, of="cart_reminder")
        # E: No overload variant of "wait_for_all" of "Waiting"…  [call-overload]
        await self.wait_for_all(OrderCompleted, MessageClicked, of=entry)
        # E: Argument "of" to "quiet" of "Waiting" has incompatible type "type[ProductAdded]"…  [arg-type]
        await self.quiet(days(1), of=ProductAdded)
        # E: Argument 1 to "sleep" of "Waiting" has incompatible type "int"…  [arg-type]
        await self.sleep(3600)
        return "done"


# E: Argument "starts_on" to "journey" has incompatible type "tuple[type[CartViewed],…  [arg-type]
@journey(starts_on=FIVE, keyed_by=PERSON)
class OnFive(Journey):
    async def run(self, entry: ProductAdded) -> str:
        return "done"
