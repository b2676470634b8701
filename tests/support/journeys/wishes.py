"""A journey on an author's own event, of a shape that no shipped event has."""

from pydantic import Field

from journeys.vocabulary import PERSON, Journey, journey
from profiles.events import Event


class WishListShared(Event, name="Wish List Shared"):
    """Somebody shared a wish list: the names of products only."""

    products: list[str] = Field(default_factory=list)


@journey(starts_on=WishListShared, keyed_by=PERSON)
class ThankForWishes(Journey):
    """Says thank you."""

    async def run(self, entry: WishListShared) -> str:
        return ", ".join(entry.products)
