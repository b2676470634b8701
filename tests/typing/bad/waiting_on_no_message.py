"""``of`` takes what send gave, not a template's name and not an event."""

from journeys.vocabulary import Journey, journey
from profiles.events import MessageClicked, MessageOpened, ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Story(Journey):
    async def run(self, entry: ProductAdded) -> str:
        # E: No overload variant of "wait_for" of "Waiting"…  [call-overload]
        await self.wait_for(MessageClicked, of="cart_reminder")
        # E: No overload variant of "wait_for_all" of "Waiting"…  [call-overload]
        await self.wait_for_all(MessageOpened, MessageClicked, of=entry)
        return "done"
