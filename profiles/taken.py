"""An event that was taken in: new, stamped, and read as its declared class."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from profiles.events import Event, Item
from profiles.incoming import IncomingEvent

Place = tuple[datetime, str, str, str]

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message that an event speaks of."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    channel: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Bought:
    """A line of an order, and what it keeps from being promoted."""

    item: Item
    """With its product, where the feed knew whose unit it is."""
    scope: str = "product"
    """How far it reaches: variant, product, group or category."""
    of: str | None = None
    """The unit, the group or the category, where it reaches that."""
    until: datetime | None = None
    """None: for good."""
    parts: tuple[str, ...] = ()
    """Products that it consists of, where it is a bundle."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that was taken in, with Waypost's id and its instant."""

    incoming: IncomingEvent
    event_id: UUID
    at: datetime
    typed: Event | None
    """None: of a name nobody declared, or its properties do not fit the declared ones."""
    message: KnownMessage | None = None
    cart_id: str | None = None
    """The cart it was about when it came in; None for one that comes in now."""
    lent: bool = False
    """That cart was named after an event which is not this person's, or is no more."""
    bought: tuple[Bought, ...] | None = None
    """An order's lines as rules and feed have them; None: nobody has read them yet."""

    @property
    def time(self) -> datetime:
        """When it happened, as far as can be: no event happens after it came in."""
        return min(self.incoming.time, self.at)

    @property
    def place(self) -> Place:
        """Its place among all events, the same in whatever order they come in.

        Of one moment an order comes last, since what is bought was in the cart before; then goes the
        channel's own id, in which 9 comes before 10.
        """
        said = self.incoming
        rank = "1" if said.type == "Order Completed" else "0"
        return self.time, rank, said.source, _NUMBER.sub(lambda found: found[0].zfill(20), said.id)
