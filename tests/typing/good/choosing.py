"""choose draws one of the weighted, which is never None; or finds the best of several, if there is any.

experiment gives the name of an arm.
"""

from typing import assert_type

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import Item, ProductViewed

SUBJECTS = {"warm": 3, "dry": 1}


def dearest(item: Item) -> float:
    return item.price or 0.0


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Choosing(Journey):
    async def run(self, entry: ProductViewed) -> str:
        arm = self.experiment("offer", offer=50, control=50)
        assert_type(arm, str)
        subject = self.choose("subject", SUBJECTS)
        assert_type(subject, str)
        limit = self.choose("limit", {3: 0.5, 5: 0.5})
        assert_type(limit, int)
        items = await self.suggestions(limit=limit)
        assert_type(items, tuple[Item, ...])
        best = self.choose("best", items, by=dearest)
        assert_type(best, Item | None)
        shortest = self.choose("shortest", ["a", "bb"], by=lambda word: -len(word))
        assert_type(shortest, str | None)
        return arm + subject if best is None else best.key
