"""An event at the door: validated, normalised, and not yet anybody's."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson


class Status(StrEnum):
    """What became of one event, as the HTTP contract names it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One event. ``identifiers`` are (type, normalised value); types: user_id, loyalty_id, email, phone,
    push_token, anonymous_id, email_sha256. Without any it is nobody's, but for a ``message_id`` property of a
    message that Waypost sent."""

    source: str
    id: str
    type: str
    channel: str
    time: datetime
    """Timezone-aware."""
    identifiers: tuple[tuple[str, str], ...]
    properties: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    problems: tuple[dict[str, Any], ...] = ()
    """What the door found and kept anyway, e.g. an identifier that is no valid phone."""
    verified: bool = True
    """Whether its sender is known to speak for the people it names; not so where a key may be public."""

    def content_hash(self) -> bytes:
        """Digest of all that the channel said, so that a changed replay is seen as a conflict."""
        content = [self.type, self.channel, self.time, sorted(self.identifiers), self.properties, self.traits]
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)).digest()


@dataclass(frozen=True, slots=True)
class Ingested:
    """The answer for one event, in the order asked."""

    id: str
    status: Status
    event_id: UUID | None = None
    """Waypost's own id of the event that stands."""
    detail: str = ""
    """Why it was rejected."""
