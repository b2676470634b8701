"""An event that was taken in: new, stamped, and read as its declared class."""

import copy
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from profiles.events import Event, Item


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


_ENVELOPE_FIELDS: dict[str, Any] = {
    "id": "",
    "time": None,
    "at": None,
    "channel": None,
    "cart": None,
    "cart_id": None,
}
"""The envelope's fields are Waypost's to set, whatever a channel put under the same names."""

_MAX_DETAIL_LENGTH = 500


def parse_event(name: str, properties: Mapping[str, Any]) -> tuple[Event | None, str | None]:
    """The event as its declared class, and what was wrong with its properties.

    Values that do not fit are left out and named: a purchase with a price nobody can read is still a
    purchase. (None, None): nobody declared the name. (None, fault): what is left does not fit either.
    Never raises, whatever an author's own validators raise.
    """
    event_class = Event.registry.get(name)
    if event_class is None:
        return None, None
    said = {**properties, **_ENVELOPE_FIELDS}
    try:
        try:
            return event_class.model_validate(said), None
        except ValidationError as error:
            wrong = [(fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]
        event = event_class.model_validate(_without_paths(said, [loc for loc, _ in wrong]))
    except Exception as error:
        return None, f"properties do not fit {name}: {error}"[:_MAX_DETAIL_LENGTH]
    listed = "; ".join(f"{'.'.join(map(str, loc))}: {why}" for loc, why in wrong)
    return event, f"left out, as it does not fit {name}: {listed}"[:_MAX_DETAIL_LENGTH]


def _without_paths(properties: dict[str, Any], paths: list[tuple[int | str, ...]]) -> dict[str, Any]:
    left = copy.deepcopy(properties)
    # From the back, so that a list's earlier places keep their numbers.
    for path in sorted(set(paths), key=lambda path: [(isinstance(p, str), p) for p in path], reverse=True):
        place: Any = left
        try:
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    return left


EventSortKey = tuple[datetime, str, str, str]

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message that an event speaks of."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    channel: str
    address: str | None


@dataclass(frozen=True, slots=True)
class OrderLine:
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
class StoredEvent:
    """An event that was taken in, with Waypost's id and its instant."""

    incoming: IncomingEvent
    event_id: UUID
    at: datetime
    event: Event | None
    """None: of a name nobody declared, or its properties do not fit the declared ones."""
    message_ref: MessageRef | None = None
    cart_id: str | None = None
    """The cart it was about when it came in; None for one that comes in now."""
    has_foreign_cart_id: bool = False
    """That cart was named after an event which is not this person's, or is no more."""
    order_lines: tuple[OrderLine, ...] | None = None
    """An order's lines as rules and feed have them; None: nobody has read them yet."""

    @property
    def time(self) -> datetime:
        """When it happened, as far as can be: no event happens after it came in."""
        return min(self.incoming.time, self.at)

    @property
    def sort_key(self) -> EventSortKey:
        """Its place among all events, the same in whatever order they come in.

        Of one moment an order comes last, since what is bought was in the cart before; then goes the
        channel's own id, in which 9 comes before 10.
        """
        said = self.incoming
        rank = "1" if said.type == "Order Completed" else "0"
        return self.time, rank, said.source, _DIGITS.sub(lambda found: found[0].zfill(20), said.id)
