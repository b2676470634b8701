"""Journeys of the tests: as small as a question about the machinery allows."""

from journeys.vocabulary import PERSON, Journey, cart_is_empty_or_bought, days, hours, journey
from profiles.events import MessageClicked, ProductAdded, ProductViewed


@journey(starts_on=ProductAdded, keyed_by="cart_id", ends_on=cart_is_empty_or_bought)
class KeepCompany(Journey):
    """Waits for a click, for long; a cart may enter again at once."""

    async def run(self, entry: ProductAdded) -> str:
        if await self.wait_for(MessageClicked, within=days(30)):
            return "clicked"
        return "alone"


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Watch(Journey):
    """Waits beside one person."""

    async def run(self, entry: ProductViewed) -> str:
        await self.sleep(days(30))
        return "watched"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class CountToEnd(Journey):
    """Ends at the first click, and says how many events it has seen by then."""

    async def run(self, entry: ProductAdded) -> str:
        await self.wait_for(MessageClicked)
        return str(len(self._inbox.acknowledged_ids))


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Doze(Journey):
    """Sleeps to its end, and looks at no event meanwhile."""

    async def run(self, entry: ProductAdded) -> str:
        await self.sleep(hours(1))
        return f"dozed over {entry.product_id}"


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Brief(Journey):
    """Is over as soon as it is started."""

    async def run(self, entry: ProductAdded) -> str:
        return f"brief {entry.product_id}"
