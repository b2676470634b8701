"""Everything stored about one profile that explains why a message was or was not sent, up to an instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import fetch_as, from_row
from profiles.identity.identifiers import JOIN_STRONGEST_IDENTIFIER
from profiles.identity.views import LogEntry
from profiles.views.history import DECISION_COLUMNS, DecisionView, to_decision_view
from profiles.views.profile import RUN_COLUMNS, RunView


@dataclass(frozen=True, slots=True)
class ProductRef:
    """A product as an event names it."""

    product_id: str | None
    sku: str | None
    name: str | None

    @property
    def key(self) -> str:
        """Product id, else the sku."""
        return self.product_id or self.sku or ""


@dataclass(frozen=True, slots=True)
class EventRow:
    """A stored event."""

    event_id: UUID
    source: str
    id: str
    """The channel's own id."""
    type: str
    channel: str
    time: datetime
    """When it happened, by the channel's clock."""
    at: datetime
    """When it was ingested; decisions use this instant."""
    scalar_properties: Mapping[str, str | float]
    """Its properties that are short texts or numbers."""
    lines: tuple[ProductRef, ...] = ()
    problems: tuple[str, ...] = ()
    """Problems of its processing, as sentences."""
    cart_id: str | None = None
    """The cart that it changed."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Product ids and skus of its lines."""
        return tuple(key for line in self.lines for key in (line.product_id, line.sku) if key)


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    """A suppressed item and the purchase behind it."""

    item: str
    sku: str | None
    name: str | None
    order_id: str | None
    until: datetime | None
    """None: permanently."""
    lifted_at: datetime | None
    event_id: UUID
    at: datetime
    """When the purchase was ingested; the suppression holds from then."""

    def in_force(self, at: datetime) -> bool:
        """Return whether the item was suppressed at an instant."""
        return self.at <= at and self.is_unexpired(at)

    def is_unexpired(self, at: datetime) -> bool:
        """Return whether the suppression had not ended at an instant. Ignores its start."""
        return (self.until is None or self.until > at) and (self.lifted_at is None or self.lifted_at > at)


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """A grant or withdrawal for a channel and topic; of ``address`` if that is set, else of the profile."""

    channel: str
    topic: str
    granted: bool
    source: str
    event_id: UUID | None
    time: datetime
    at: datetime
    address: str | None = None
    verified: bool = True


@dataclass(frozen=True, slots=True)
class AddressProblemRow:
    """An address that takes no messages."""

    channel: str
    address: str
    problem: str
    """bounced or complained."""
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in its current status."""

    message_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    topic: str
    status: str
    reason: str | None
    address: str | None
    provider: str | None
    items: tuple[str, ...]
    decided_at: datetime
    claimed_at: datetime | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product as last updated by the product feed."""

    item: str
    sku: str
    name: str | None
    in_stock: bool | None
    stocked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """The profile's fields for its name and local time."""

    profile_id: UUID
    first_name: str | None
    key: tuple[str, str] | None
    """The strongest identifier: type and value."""
    timezone: str | None
    """``traits.timezone``, unchecked."""
    context_timezone: str | None
    phone: str | None
    """Only for resolving the zone."""
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class DecisionEvidence:
    """The evidence about one profile; lists from the oldest to the newest."""

    profile: ProfileRow
    decisions: tuple[DecisionView, ...] = ()
    events: Mapping[UUID, EventRow] = field(default_factory=dict)
    """Events by Waypost's own id, in the order of ingest."""
    suppressions: tuple[SuppressionRow, ...] = ()
    consents: tuple[ConsentRow, ...] = ()
    """Declarations of the profile."""
    opt_outs: tuple[ConsentRow, ...] = ()
    """Current opt-outs of the profile's addresses."""
    address_problems: tuple[AddressProblemRow, ...] = ()
    messages: tuple[StoredMessage, ...] = ()
    runs: tuple[RunView, ...] = ()
    entry_events: Mapping[UUID, UUID] = field(default_factory=dict)
    """Run → the event that started it."""
    clock_offsets: Mapping[UUID, timedelta] = field(default_factory=dict)
    """Run → how far its clock is ahead of Temporal's; only runs of a local stack have such an offset."""
    identity_changes: tuple[LogEntry, ...] = ()
    products: tuple[ProductRow, ...] = ()
    truncated: bool = False
    """Some lists hold only the newest rows, as there are more than ``MAX_ROWS``."""

    def message(self, message_id: UUID) -> StoredMessage | None:
        """Return one message."""
        return next((one for one in self.messages if one.message_id == message_id), None)

    def run(self, run_id: UUID) -> RunView | None:
        """Return one run."""
        return next((one for one in self.runs if one.run_id == run_id), None)

    def entry(self, run_id: UUID) -> EventRow | None:
        """Return the event that started a run."""
        started_by = self.entry_events.get(run_id)
        return self.events.get(started_by) if started_by else None

    def event(self, event_id: UUID | None) -> EventRow | None:
        """Return one event, if it was read."""
        return self.events.get(event_id) if event_id else None


MAX_ROWS = 500
"""Most rows of one kind; the newest are read."""

_END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)

_SELECT_PROFILE = f"""
SELECT p.profile_id, p.traits ->> 'first_name' AS first_name, p.traits ->> 'firstName' AS also_first_name,
  p.traits ->> 'timezone' AS timezone, p.context_timezone, p.erased_at, k.type, k.value,
  (SELECT value FROM identifier WHERE profile_id = p.profile_id AND type = 'phone'
    AND status <> 'quarantined' ORDER BY since DESC, value LIMIT 1) AS phone
FROM profile p LEFT JOIN (SELECT p.profile_id, i.type, i.value FROM profile p {JOIN_STRONGEST_IDENTIFIER}
  WHERE p.profile_id = $1) k USING (profile_id) WHERE p.profile_id = $1
"""  # noqa: S608 - constant names

_SELECT_DECISIONS = f"""
SELECT {DECISION_COLUMNS}
FROM decision WHERE profile_id = $1 AND at <= $2 AND ($4::text IS NULL OR journey = $4)
ORDER BY at DESC, decision_id DESC LIMIT $3
"""  # noqa: S608 - constant names

_SELECT_MESSAGES = """
SELECT message_id, run_id, step, journey, channel, template, message_class,
  COALESCE(topic, 'marketing') AS topic, status, reason, address,
  provider, items, decided_at, claimed_at, sent_at
FROM message WHERE profile_id = $1 ORDER BY decided_at DESC, message_id DESC LIMIT $2
"""

_SELECT_RUNS = f"""
SELECT {RUN_COLUMNS}, entry_event, clock_offset_s FROM run WHERE profile_id = $1 AND entered_at <= $2
ORDER BY entered_at DESC, run_id DESC LIMIT $3
"""  # noqa: S608 - constant names

# Only short values: an answer names an order or a ticket, and a large event must not fill it.
_EVENT_QUERY = """
SELECT e.event_id, e.source, e.id, e.type, e.channel, e.time, e.at, e.cart_id,
  (SELECT jsonb_object_agg(key, value) FROM jsonb_each(e.properties)
    WHERE jsonb_typeof(value) IN ('string', 'number') AND length(value::text) < 200)::text AS said,
  (SELECT jsonb_agg(jsonb_build_array(p ->> 'product_id', p ->> 'sku', p ->> 'name'))
    FROM jsonb_array_elements(CASE jsonb_typeof(e.properties -> 'products') WHEN 'array'
      THEN e.properties -> 'products' ELSE '[]' END) p WHERE jsonb_typeof(p) = 'object')::text AS lines,
  (SELECT array_agg(p ->> 'detail') FROM jsonb_array_elements(e.problems) p) AS problems
FROM event e
"""

_SELECT_EVENTS = (
    f"{_EVENT_QUERY} WHERE e.profile_id = $1 AND e.at <= $2 ORDER BY e.at DESC, e.event_id DESC LIMIT $3"
)

# Events of any age that other evidence refers to.
_SELECT_REFERENCED_EVENTS = f"{_EVENT_QUERY} WHERE e.event_id = ANY($1)"

_SELECT_SUPPRESSIONS = """
SELECT s.item, s.sku, u.name, COALESCE(s.order_id, u.order_id) AS order_id, s.until, s.lifted_at, s.event_id,
  COALESCE(u.at, e.at) AS at
FROM suppression s LEFT JOIN purchase u USING (event_id, line) JOIN event e USING (event_id)
WHERE s.profile_id = $1 AND COALESCE(u.at, e.at) <= $2 ORDER BY at DESC, s.event_id, s.line LIMIT $3
"""

_SELECT_CONSENTS = """
SELECT channel, topic, state = 'granted' AS granted, source, event_id, time, at, verified
FROM consent WHERE profile_id = $1 AND at <= $2 ORDER BY at DESC, seq DESC LIMIT $3
"""

# The profile's current addresses, and the addresses that its messages went to.
_ADDRESS_SUBQUERY = """
(SELECT value FROM identifier WHERE profile_id = $1 AND type IN ('email', 'phone')
  UNION SELECT address FROM message WHERE profile_id = $1 AND address IS NOT NULL)
"""

_SELECT_OPT_OUTS = f"""
SELECT channel, topic, state = 'granted' AS granted, source, NULL::uuid AS event_id, time, at, address
FROM opt_out WHERE address IN {_ADDRESS_SUBQUERY} AND at <= $2 ORDER BY at DESC LIMIT $3
"""  # noqa: S608 - constant names

_SELECT_ADDRESS_PROBLEMS = f"""
SELECT channel, address, problem, at FROM address_problem WHERE address IN {_ADDRESS_SUBQUERY} AND at <= $2
ORDER BY at DESC LIMIT $3
"""  # noqa: S608 - constant names

_SELECT_IDENTITY_CHANGES = """
SELECT seq, at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail
FROM identity_log
WHERE (profile_id = $1 OR other_profile_id = $1) AND at <= $2 AND kind NOT IN ('joined', 'demoted')
ORDER BY seq DESC LIMIT $3
"""

_SELECT_PRODUCTS = """
SELECT item, sku, name, in_stock, stocked_at FROM product WHERE item = ANY($1) ORDER BY item, sku
"""


async def load_decision_evidence(
    connection: Any, profile_id: UUID, *, until: datetime | None = None, journey: str | None = None
) -> DecisionEvidence | None:
    """Read the evidence for decisions about one canonical profile up to ``until`` (None: all of it).

    ``journey`` narrows the decisions only. Takes no locks; reads at most ``MAX_ROWS`` rows of a kind, the
    newest. Returns None if there is no such profile.
    """
    row = await connection.fetchrow(_SELECT_PROFILE, profile_id)
    if row is None:
        return None
    ends = (profile_id, until or _END_OF_TIME, MAX_ROWS)
    decisions = await connection.fetch(_SELECT_DECISIONS, *ends, journey)
    runs = await connection.fetch(_SELECT_RUNS, *ends)
    bought = await fetch_as(connection, SuppressionRow, _SELECT_SUPPRESSIONS, *ends)
    consents = await fetch_as(connection, ConsentRow, _SELECT_CONSENTS, *ends)
    identity = await fetch_as(connection, LogEntry, _SELECT_IDENTITY_CHANGES, *ends)
    opt_outs = await fetch_as(connection, ConsentRow, _SELECT_OPT_OUTS, *ends)
    problems = await fetch_as(connection, AddressProblemRow, _SELECT_ADDRESS_PROBLEMS, *ends)
    messages = await connection.fetch(_SELECT_MESSAGES, profile_id, MAX_ROWS)
    events = {
        row["event_id"]: _to_event_row(row) for row in reversed(await connection.fetch(_SELECT_EVENTS, *ends))
    }
    referenced = [one["entry_event"] for one in runs]
    referenced += [*(one.event_id for one in bought), *(one.event_id for one in consents)]
    referenced += [one.cause for one in identity]
    missing = list({event_id for event_id in referenced if event_id and event_id not in events})
    older = await connection.fetch(_SELECT_REFERENCED_EVENTS, missing) if missing else []
    known = sorted(
        (*events.values(), *map(_to_event_row, older)), key=lambda event: (event.at, event.event_id)
    )
    items = {key for one in decisions for key in (*one["items"], *one["items_removed"])}
    key = (row["type"], row["value"]) if row["type"] else None
    return DecisionEvidence(
        profile=from_row(ProfileRow, row, first_name=row["first_name"] or row["also_first_name"], key=key),
        decisions=tuple(map(to_decision_view, reversed(decisions))),
        events={event.event_id: event for event in known},
        suppressions=tuple(reversed(bought)),
        consents=tuple(reversed(consents)),
        opt_outs=tuple(reversed(opt_outs)),
        address_problems=tuple(reversed(problems)),
        messages=tuple(from_row(StoredMessage, one, items=tuple(one["items"])) for one in reversed(messages)),
        runs=tuple(from_row(RunView, one) for one in reversed(runs)),
        entry_events={one["run_id"]: one["entry_event"] for one in runs},
        clock_offsets={
            one["run_id"]: timedelta(seconds=one["clock_offset_s"]) for one in runs if one["clock_offset_s"]
        },
        identity_changes=tuple(reversed(identity)),
        products=tuple(await fetch_as(connection, ProductRow, _SELECT_PRODUCTS, list(items))),
        truncated=MAX_ROWS in (len(decisions), len(runs), len(events), len(consents)),
    )


def _to_event_row(row: Any) -> EventRow:
    properties = orjson.loads(row["said"] or "{}")
    lines = [ProductRef(*line) for line in orjson.loads(row["lines"] or "[]")]
    own = [_text_or_none(properties.get(name)) for name in ("product_id", "sku", "name")]
    if own[0] or own[1]:
        lines.insert(0, ProductRef(*own))
    problems = tuple(one for one in row["problems"] or () if one)
    return from_row(EventRow, row, scalar_properties=properties, lines=tuple(lines), problems=problems)


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
