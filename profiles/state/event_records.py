"""Records of an event: as a channel sent it, parsed as its declared class, and stored with Waypost's id."""

import copy
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError

from profiles.db.sql import from_row
from profiles.events import Event, Item, channel_content
from profiles.reading.ids import normal_id
from profiles.state.clock import MAX_EVENT_AGE

EventSortKey = tuple[datetime, str, str, str]

_ENVELOPE_FIELDS: dict[str, Any] = {
    "id": "",
    "time": None,
    "at": None,
    "channel": None,
    "cart": None,
    "cart_id": None,
}
"""Fields of the envelope, which Waypost sets. They replace properties of the same names."""

_MAX_DETAIL_LENGTH = 500

_DIGITS = re.compile(r"\d+")


def trust_of(*, verified: bool, by_customer: bool) -> int:
    """Return the trust in an event; of two with one (source, id), that of the greater trust stands."""
    return 0 if not verified else 1 if by_customer else 2


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One event as a channel sent it."""

    source: str
    id: str
    type: str
    channel: str
    time: datetime
    """Timezone-aware."""
    identifiers: tuple[tuple[str, str], ...]
    """(type, normalized value). Without any the event has no profile, unless its ``message_id`` property is a
    message that Waypost sent. For the types see ``profiles.identity.identifiers.IDENTIFIER_TYPES``."""
    properties: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    problems: tuple[dict[str, Any], ...] = ()
    """Faults of an accepted event, such as an invalid phone number that was left out."""
    verified: bool = True
    """Whether it comes from a trusted source. False for a key that may be public."""
    by_customer: bool = False
    """Whether only identity tokens verify it. The shop's own events take the place of such an event."""
    request: str = ""
    """Of which request it is one event; refusals are counted per request. Not stored."""
    given_emails: tuple[tuple[str, str], ...] = ()
    """(normal form, as given) of the addresses among ``identifiers``. Not stored with the event."""
    sender: str = ""
    """Label of the key that it was sent with; empty for Waypost's own. No sender chooses it."""
    pointers: dict[str, str] = field(default_factory=dict, compare=False)
    """Identifier key ``type:value`` → JSON pointer to where the sender named it. Not stored."""

    @property
    def trust(self) -> int:
        """0 for an unverified event, 1 for one that a customer's tokens verify, 2 for one of the shop."""
        return trust_of(verified=self.verified, by_customer=self.by_customer)

    def content_hash(self) -> bytes:
        """Return a digest of the channel's content. A repeated id with another digest is a conflict."""
        content = [self.type, self.channel, self.time, sorted(self.identifiers), self.properties, self.traits]
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)).digest()


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The message that an event is about."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    channel: str
    address: str | None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order, and the suppression that it causes."""

    item: Item
    """With its product, if the catalog knows the product of the sku."""
    scope: str = "product"
    """What the suppression covers: variant, product, group or category."""
    of: str | None = None
    """The variant, group or category that it covers; None for a product."""
    until: datetime | None = None
    """End of the suppression; None: permanent."""
    parts: tuple[str, ...] = ()
    """Ids of the products that a bundle consists of."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An ingested event, with Waypost's id and the time of ingest."""

    incoming: IncomingEvent
    event_id: UUID
    at: datetime
    """When it was ingested."""
    event: Event | None
    """The event as its declared class; None: no class declares its name, or its properties are invalid."""
    message_ref: MessageRef | None = None
    cart_id: str | None = None
    """The id of its cart when it was ingested; None for an event that is being ingested."""
    has_foreign_cart_id: bool = False
    """Whether that id was generated from an event that is not, or no longer, one of this profile."""
    is_superseded: bool = False
    """Whether a verified event took its place. What it says of a cart then no longer counts."""
    is_before_window: bool = False
    """Whether it is older than what its profile's carts are computed from. It then puts nothing into a
    cart. An order and a removal take out what they name."""
    order_lines: tuple[OrderLine, ...] | None = None
    """The lines of an order, with the policy and the catalog applied; None: not yet computed."""

    @property
    def time(self) -> datetime:
        """When it happened; at the latest when it was ingested."""
        return min(self.incoming.time, self.at)

    @property
    def is_history(self) -> bool:
        """Whether it was of the past when it arrived: no message is sent because of it."""
        return self.at - self.incoming.time > MAX_EVENT_AGE

    @property
    def sort_key(self) -> EventSortKey:
        """Its sort key in the canonical order of events, which is independent of the order of arrival.

        At equal times an order comes last, since its items were in the cart before. Then the channel's id
        decides, with numbers compared as numbers: 9 before 10.
        """
        event = self.incoming
        rank = "1" if event.type == "Order Completed" else "0"
        return self.time, rank, event.source, _DIGITS.sub(lambda digits: digits[0].zfill(20), event.id)


def incoming_from_row(row: Any) -> IncomingEvent:
    """Return a stored event as its channel sent it. A row without identifiers, traits or context has none."""
    texts = {name: orjson.loads(row.get(name, "{}")) for name in ("properties", "traits", "context")}
    identifiers = orjson.loads(row.get("identifiers", "{}"))
    pairs = tuple((kind, value) for kind, values in identifiers.items() for value in values)
    return from_row(IncomingEvent, row, **texts, identifiers=pairs, problems=())


def id_text(properties: Mapping[str, Any], name: str) -> str | None:
    """Return an id in an event's properties in its normal form; None for what is no id."""
    return normal_id(properties.get(name))


def parse_event(
    name: str, properties: Mapping[str, Any], *, verified: bool
) -> tuple[Event | None, str | None]:
    """Parse an event as its declared class. Returns the event, and the faults of its properties.

    ``verified``: whether its sender's word counts; each model of the event carries it.

    Invalid values are left out and listed: a purchase with a malformed price is still a purchase. Returns
    (None, None) if no class declares the name, and (None, fault) if the rest is invalid too. Never raises,
    even if an author's own validator raises.
    """
    event_class = Event.registry.get(name)
    if event_class is None:
        return None, None
    fields = {**properties, **_ENVELOPE_FIELDS}
    products = fields.get("products")
    if isinstance(products, list) and None in products:
        # A line that could not be read, which is a problem of the event already.
        fields["products"] = [line for line in products if line is not None]
    context = channel_content(verified=verified)
    try:
        try:
            event, faults = event_class.model_validate(fields, context=context), []
        except ValidationError as error:
            faults = [(fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]
            left = _without_paths(fields, [loc for loc, _ in faults])
            event = event_class.model_validate(left, context=context)
        if beyond := _fields_beyond_64_bits(event):
            faults += beyond
            left = _without_paths(fields, [loc for loc, _ in faults])
            event = event_class.model_validate(left, context=context)
        if not faults:
            return event, None
    except Exception as error:
        return None, f"properties do not fit {name}: {error}"[:_MAX_DETAIL_LENGTH]
    listed = "; ".join(f"{'.'.join(map(str, loc))}: {why}" for loc, why in faults)
    return event, f"left out, as it does not fit {name}: {listed}"[:_MAX_DETAIL_LENGTH]


def _fields_beyond_64_bits(event: Event) -> list[tuple[tuple[int | str, ...], str]]:
    """Return the fields with an integer that can be sent to no journey, and why.

    A number or a text of many digits becomes such an integer where an event declares one.
    """
    declared = type(event).model_fields
    return [
        ((alias,), "an integer beyond 64 bits")
        for name, value in event.__dict__.items()
        if _is_beyond_64_bits(value)
        for alias in dict.fromkeys((name, declared[name].alias or name))
    ]


def _is_beyond_64_bits(value: object) -> bool:
    match value:
        case bool() | str() | Item():
            # The quantity of an item is bounded already.
            return False
        case int():
            return not -(2**63) <= value < 2**64
        case list() | tuple():
            return any(_is_beyond_64_bits(inner) for inner in value)
        case dict():
            return any(_is_beyond_64_bits(inner) for inner in value.values())
        case BaseModel():
            return any(_is_beyond_64_bits(inner) for inner in value.__dict__.values())
        case _:
            return False


def _without_paths(properties: dict[str, Any], paths: list[tuple[int | str, ...]]) -> dict[str, Any]:
    left = copy.deepcopy(properties)
    # In descending order, so that the indexes of earlier list elements stay valid.
    for path in sorted(set(paths), key=lambda path: [(isinstance(p, str), p) for p in path], reverse=True):
        place: Any = left
        try:
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    return left
