"""One story before and after a change: in the four stages of a patch, and changed without care."""

from temporalio import workflow

from journeys.vocabulary import Journey, days, hours, journey, minutes
from profiles.events import MessageClicked, ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class Before(Journey):
    """As it was when its first runs began."""

    async def run(self, entry: ProductAdded) -> str:
        await self.quiet(hours(1), of=(ProductAdded,))
        if await self.wait_for(MessageClicked, within=days(1)):
            return "clicked"
        await self.suggestions(limit=3)
        await self.sleep(days(2))
        return "told"


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class Guarded(Journey):
    """Stage 1: the new way for new runs, the old one for the others."""

    async def run(self, entry: ProductAdded) -> str:
        if workflow.patched("ask-first"):
            await self.suggestions(limit=1)
        await self.quiet(hours(1), of=(ProductAdded,))
        if await self.wait_for(MessageClicked, within=days(1)):
            return "clicked"
        await self.suggestions(limit=3)
        await self.sleep(days(2))
        return "told"


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class Settled(Journey):
    """Stage 3: no run of the old way is left."""

    async def run(self, entry: ProductAdded) -> str:
        workflow.deprecate_patch("ask-first")
        await self.suggestions(limit=1)
        await self.quiet(hours(1), of=(ProductAdded,))
        if await self.wait_for(MessageClicked, within=days(1)):
            return "clicked"
        await self.suggestions(limit=3)
        await self.sleep(days(2))
        return "told"


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class Clean(Journey):
    """Stage 4: nothing tells of the patch any more. Careless where old runs are open."""

    async def run(self, entry: ProductAdded) -> str:
        await self.suggestions(limit=1)
        await self.quiet(hours(1), of=(ProductAdded,))
        if await self.wait_for(MessageClicked, within=days(1)):
            return "clicked"
        await self.suggestions(limit=3)
        await self.sleep(days(2))
        return "told"


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class Napping(Journey):
    """A timer more."""

    async def run(self, entry: ProductAdded) -> str:
        await self.quiet(hours(1), of=(ProductAdded,))
        if await self.wait_for(MessageClicked, within=days(1)):
            return "clicked"
        await self.sleep(minutes(5))
        await self.suggestions(limit=3)
        await self.sleep(days(2))
        return "told"


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class WithoutTheWait(Journey):
    """A step taken out."""

    async def run(self, entry: ProductAdded) -> str:
        await self.quiet(hours(1), of=(ProductAdded,))
        await self.suggestions(limit=3)
        await self.sleep(days(2))
        return "told"


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class Raising(Journey):
    """A story with a slip in it."""

    async def run(self, entry: ProductAdded) -> str:
        await self.quiet(hours(1), of=(ProductAdded,))
        raise KeyError("no such thing")


JOURNEYS = (Before,)
