"""choose needs weights that are numbers, or a score of the options; and the best of none is None."""

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import Item, ProductViewed


@journey(starts_on=ProductViewed, keyed_by=PERSON)
class Story(Journey):
    async def run(self, entry: ProductViewed) -> str:
        items = await self.suggestions()
        # E: No overload variant of "choose" of "Deciding"…  [call-overload]
        self.choose("best", items)
        # E: Dict entry 0 has incompatible type "str": "str"; expected "str": "float"  [dict-item]
        self.choose("tone", {"warm": "3"})
        # E: "Item" has no attribute "prize"; maybe "price"?  [attr-defined]
        self.choose("best", items, by=lambda item: item.prize)
        # E: Argument "offer" to "experiment" of "Deciding" has incompatible type "str"…  [arg-type]
        self.experiment("offer", offer="50", control=50)
        # E: Incompatible types in assignment (expression has type "Item | None", variable ha…  [assignment]
        best: Item = self.choose("best", items, by=lambda item: item.quantity)
        return best.key
