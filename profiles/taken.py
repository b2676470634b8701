"""An event that was taken in: new, stamped, and read as its declared class."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from profiles.events import Event
from profiles.incoming import IncomingEvent

Place = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message that an event speaks of."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    channel: str
    address: str | None


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

    @property
    def time(self) -> datetime:
        """When it happened, as far as can be: no event happens after it came in."""
        return min(self.incoming.time, self.at)

    @property
    def place(self) -> Place:
        """Its place among all events, the same in whatever order they come in."""
        return self.time, self.incoming.source, self.incoming.id
