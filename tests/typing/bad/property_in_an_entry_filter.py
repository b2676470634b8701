"""A property that what starts the journey does not have, in its filter."""

from journeys.vocabulary import PERSON, Journey, Segment, journey
from profiles.events import CheckoutStarted, ProductAdded, SegmentEntered

regulars = Segment("regulars", "SELECT profile_id FROM person WHERE orders >= 3")


# E: "ProductAdded" has no attribute "prise"; maybe "price"?  [attr-defined]
@journey(starts_on=ProductAdded, keyed_by="cart_id", where=lambda e: e.prise > 1)
class OfOne(Journey):
    async def run(self, entry: ProductAdded) -> str:
        return "done"


# E: Argument "starts_on" to "journey" has incompatible type "tuple[type[ProductAdded…  [arg-type]
@journey(starts_on=(ProductAdded, CheckoutStarted), keyed_by="cart_id", where=lambda e: bool(e.sku))
class OfTwo(Journey):
    async def run(self, entry: ProductAdded | CheckoutStarted) -> str:
        return "done"


# E: "SegmentEntered" has no attribute "name"  [attr-defined]
@journey(starts_on=regulars, keyed_by=PERSON, where=lambda e: e.name == "regulars")
class OfASegment(Journey):
    async def run(self, entry: SegmentEntered) -> str:
        return "done"
