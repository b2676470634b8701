"""perform holds the author's own activity to its signature."""

from temporalio import activity

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import ProductViewed


@activity.defn
async def points_of(customer_id: str) -> int:
    return len(customer_id)


def not_awaitable(customer_id: str) -> int:
    return len(customer_id)


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        # E: Argument 1 to "perform" of "Deciding" has incompatible type "Callable[[str], Cor…  [arg-type]
        await self.perform(points_of, 17)
        # E: Argument 1 to "perform" of "Deciding" has incompatible type "Callable[[str], Cor…  [arg-type]
        await self.perform(points_of)
        # E: No overload variant of "perform" of "Deciding"…  [call-overload]
        await self.perform("points_of", self.customer_id)
        # E: Argument 1 to "perform" of "Deciding" has incompatible type "Callable[[str], int]"…  [arg-type]
        await self.perform(not_awaitable, self.customer_id)
        # E: Argument 1 to "perform" of "Deciding" has incompatible type "Callable[[str], Cor…  [arg-type]
        return await self.perform(points_of, self.customer_id)
