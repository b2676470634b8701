"""An event that was taken in: new, stamped, and read as its declared class."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from profiles.events import Event
from profiles.incoming import IncomingEvent


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
    """An event that was taken in: new, with Waypost's id and its instant."""

    incoming: IncomingEvent
    event_id: UUID
    at: datetime
    typed: Event | None
    """None: of a name nobody declared, or its properties do not fit the declared ones."""
    message: KnownMessage | None = None
