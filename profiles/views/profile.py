"""The unified profile for reading: record, identifiers, consents, carts, purchases, suppressions and runs."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson

from profiles.db.sql import fetch_as, from_row
from profiles.identity.identifiers import implied_identifiers
from profiles.projection.lapse import DEFAULT_LAPSE_RULES, LapseRules, lapse_state
from profiles.state.traits import LOCALE_ORIGIN, TIMEZONE_ORIGIN, VERIFIED_RANK, TraitOrigins


@dataclass(frozen=True, slots=True)
class OriginView:
    """The origin of a field's value. ``event_id`` is the event's own id within its source."""

    source: str
    time: datetime
    event_id: str
    verified: bool


@dataclass(frozen=True, slots=True)
class ComputedView:
    """Traits that Waypost computes from events, orders and messages and refreshes with each of them."""

    last_seen: dict[str, datetime]
    """Channel → time of the last event on it."""
    preferred_channel: str | None
    """Channel with most messages opened, clicked or answered in the 180 days before the last such message."""
    preferred_hour: int | None
    """Hour of the day, in the profile's zone, with most orders and engagements."""
    orders: int
    spent: float
    first_order_at: datetime | None
    last_order_at: datetime | None
    median_gap_days: float | None
    days_since_order: int | None
    lapse_state: str
    opens: int
    clicks: int


@dataclass(frozen=True, slots=True)
class Guess:
    """An inferred value, its source, and the time of that source."""

    value: str
    source: str
    """traits, context, phone or default."""
    at: datetime | None
    """None for a default, and where no time is stored."""


class ZoneResolver(Protocol):
    """The rule that resolves a time zone. It is policy, so the caller passes it in."""

    def __call__(
        self, traits_timezone: str | None, context_timezone: str | None, phone: str | None, /
    ) -> tuple[str, str]:
        """Return the zone and its source, named as in ``Guess``."""


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """Fields of one profile with their origins."""

    traits: dict[str, Any]
    origins: dict[str, OriginView]
    computed: ComputedView
    timezone: Guess
    locale: Guess | None


_SELECT_RECORD = """
SELECT p.traits::text AS traits, p.origins::text AS origins, p.context_timezone, p.context_locale,
  p.seen::text AS seen, p.preferred_channel, p.preferred_hour, p.orders, p.spent, p.first_order_at,
  p.last_order_at, p.median_gap_days, p.opens, p.clicks, now() AS now, i.value AS phone, i.since
FROM profile p LEFT JOIN LATERAL (SELECT value, since FROM identifier
  WHERE profile_id = p.profile_id AND type = 'phone' AND status <> 'quarantined'
  ORDER BY since DESC, value LIMIT 1) i ON true
WHERE p.profile_id = $1
"""


async def load_profile_record(
    connection: Any, profile_id: UUID, zone: ZoneResolver, lapse: LapseRules = DEFAULT_LAPSE_RULES
) -> ProfileRecord:
    """Read the record of one profile. Raises LookupError if there is none."""
    row = await connection.fetchrow(_SELECT_RECORD, profile_id)
    if row is None:
        raise LookupError(f"no profile {profile_id}")
    traits: dict[str, Any] = orjson.loads(row["traits"])
    kept: TraitOrigins = orjson.loads(row["origins"])
    origins = {}
    for name, each in sorted(kept.items()):
        time, verified = datetime.fromisoformat(each["time"]), each["rank"] >= VERIFIED_RANK
        origins[name] = OriginView(each["source"], time, each["event_id"], verified)
    time_of = {name: origin.time for name, origin in origins.items()}
    return ProfileRecord(
        traits=traits,
        origins=origins,
        computed=_to_computed_view(row, lapse),
        timezone=_infer_timezone(row, text_trait(traits, "timezone"), time_of, zone),
        locale=_infer_locale(traits, row["context_locale"], time_of),
    )


def text_trait(traits: dict[str, Any], name: str) -> str | None:
    """Return a trait that is a non-empty text, else None."""
    value = traits.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _to_computed_view(row: Any, lapse: LapseRules) -> ComputedView:
    last, now = row["last_order_at"], row["now"]
    return from_row(
        ComputedView,
        row,
        last_seen={channel: datetime.fromisoformat(at) for channel, at in orjson.loads(row["seen"]).items()},
        days_since_order=None if last is None else (now - last).days,
        lapse_state=lapse_state(last, row["orders"], row["median_gap_days"], now, lapse),
    )


def _infer_timezone(row: Any, named: str | None, time_of: dict[str, datetime], zone: ZoneResolver) -> Guess:
    value, source = zone(named, row["context_timezone"], row["phone"])
    at = {"traits": time_of.get("timezone"), "context": time_of.get(TIMEZONE_ORIGIN), "phone": row["since"]}
    return Guess(value, source, at.get(source))


def _infer_locale(
    traits: dict[str, Any], from_context: str | None, time_of: dict[str, datetime]
) -> Guess | None:
    for name in ("locale", "language"):
        if value := text_trait(traits, name):
            return Guess(value, "traits", time_of.get(name))
    return None if from_context is None else Guess(from_context, "context", time_of.get(LOCALE_ORIGIN))


@dataclass(frozen=True, slots=True)
class IdentifierView:
    """One identifier."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class ConsentView:
    """The consent in effect for one channel and topic."""

    channel: str
    topic: str
    state: str
    source: str
    at: datetime
    text_version: str | None = None
    """Version of the wording that was shown."""
    method: str | None = None
    """How it was declared, such as checkbox or keyword."""
    jurisdiction: str | None = None
    """Country or region code."""


@dataclass(frozen=True, slots=True)
class OptOutView:
    """An opt-out of one of the profile's addresses, also if it came with another profile."""

    channel: str
    topic: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AddressProblemView:
    """One of the profile's addresses that takes no messages."""

    channel: str
    problem: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CartView:
    """A cart; open while ``closed_at`` is null."""

    cart_id: str
    lines: list[dict[str, Any]]
    updated_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class PurchaseView:
    """One line of an order."""

    order_id: str | None
    item: str
    sku: str | None
    name: str | None
    price: float | None
    quantity: int
    returned: int
    channel: str
    time: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True)
class SuppressionView:
    """An item not promoted to the profile until a date; null: permanently."""

    item: str
    sku: str | None
    scope: str
    """Scope: variant, product, group or category."""
    of: str | None
    """The variant, group or category of the scope, where there is one."""
    parts: list[str]
    """Products in the item, if it is a bundle."""
    until: datetime | None
    reason: str
    event_id: UUID


@dataclass(frozen=True, slots=True)
class RunView:
    """One execution of a journey for one key. ``run_id`` is Waypost's own."""

    run_id: UUID
    temporal_run_id: str | None
    workflow_id: str
    journey: str
    key: str
    state: str
    outcome: str | None
    entered_at: datetime
    ended_at: datetime | None
    detail: str | None
    profile_id: UUID
    stuck_at: datetime | None = None
    """When the relay parked it; None if it is not stuck."""


@dataclass(frozen=True, slots=True)
class ProfileView:
    """The unified record of a person."""

    profile_id: UUID
    identifiers: list[IdentifierView]
    traits: dict[str, Any]
    origins: dict[str, OriginView]
    """Trait, or context.timezone and context.locale → origin of its value."""
    computed: ComputedView
    timezone: Guess
    locale: Guess | None
    consents: list[ConsentView]
    opt_outs: list[OptOutView]
    address_problems: list[AddressProblemView]
    carts: list[CartView]
    purchases: list[PurchaseView]
    suppressions: list[SuppressionView]
    runs: list[RunView]


RUN_COLUMNS = (
    "run_id, temporal_run_id, workflow_id, journey, split_part(key, chr(31), 1) AS key, state, outcome, "
    "entered_at, ended_at, detail, "
    "profile_id, stuck_at"
)

MAX_ROWS = 200
"""Most rows of one kind in a profile. The list endpoints under it page through the rest."""

_SELECT_CONSENTS = """
SELECT channel, topic, state, source, at, text_version, method, jurisdiction FROM consent_state
WHERE profile_id = $1 ORDER BY channel, topic
"""

_ADDRESS_SUBQUERY = "(SELECT value FROM identifier WHERE profile_id = $1 AND type IN ('email', 'phone'))"

_SELECT_OPT_OUTS = f"""
SELECT channel, topic, source, at FROM opt_out WHERE state = 'withdrawn' AND address IN {_ADDRESS_SUBQUERY}
ORDER BY channel, topic
"""  # noqa: S608 - constant names

_SELECT_ADDRESS_PROBLEMS = (
    f"SELECT channel, problem, at FROM address_problem WHERE address IN {_ADDRESS_SUBQUERY} ORDER BY 1, 2"  # noqa: S608
)

_SELECT_CARTS = """
SELECT cart_id, lines::text AS lines, updated_at, closed_at FROM cart WHERE profile_id = $1
ORDER BY updated_at DESC, cart_id LIMIT $2
"""

# Of several reports of one order, each item counts once: by the one that has most pieces of it.
_SELECT_PURCHASES = """
SELECT order_id, item, sku, name, price, quantity, returned, channel, time, event_id
FROM (SELECT *, first_value(event_id) OVER (
    PARTITION BY order_id, CASE WHEN order_id IS NULL THEN event_id END, item
    ORDER BY quantity DESC, at, event_id) AS counted FROM purchase WHERE profile_id = $1) u
WHERE event_id = counted ORDER BY at DESC, event_id, line LIMIT $2
"""

_SELECT_SUPPRESSIONS = """
SELECT item, sku, scope, of, parts, until, reason, event_id FROM suppression
WHERE profile_id = $1 AND lifted_at IS NULL AND (until IS NULL OR until > now())
ORDER BY event_id DESC, line LIMIT $2
"""

_SELECT_RUNS = f"""
SELECT {RUN_COLUMNS} FROM run WHERE profile_id = $1 ORDER BY entered_at DESC, run_id DESC LIMIT $2
"""  # noqa: S608 - constant names


async def list_identifiers(connection: Any, profile_id: UUID) -> list[IdentifierView]:
    """Return a profile's identifiers, oldest first, without the hashes of its own email addresses."""
    query = "SELECT type, value FROM identifier WHERE profile_id = $1 ORDER BY created_at, type, value"
    views = await fetch_as(connection, IdentifierView, query, profile_id)
    hashes = implied_identifiers((view.type, view.value) for view in views)
    return [view for view in views if (view.type, view.value) not in hashes]


async def list_consents(connection: Any, profile_id: UUID) -> list[ConsentView]:
    """Return the consent in effect for each channel and topic."""
    return await fetch_as(connection, ConsentView, _SELECT_CONSENTS, profile_id)


async def list_opt_outs(connection: Any, profile_id: UUID) -> list[OptOutView]:
    """Return the opt-outs of the profile's addresses."""
    return await fetch_as(connection, OptOutView, _SELECT_OPT_OUTS, profile_id)


async def load_profile(connection: Any, profile_id: UUID, zone: ZoneResolver) -> ProfileView:
    """Read one canonical profile, with at most ``MAX_ROWS`` rows of a kind. Raises LookupError if missing."""
    record = await load_profile_record(connection, profile_id, zone)
    carts = await connection.fetch(_SELECT_CARTS, profile_id, MAX_ROWS)
    return ProfileView(
        **{field.name: getattr(record, field.name) for field in fields(record)},
        profile_id=profile_id,
        identifiers=await list_identifiers(connection, profile_id),
        consents=await list_consents(connection, profile_id),
        opt_outs=await list_opt_outs(connection, profile_id),
        address_problems=await fetch_as(connection, AddressProblemView, _SELECT_ADDRESS_PROBLEMS, profile_id),
        carts=[from_row(CartView, row, lines=orjson.loads(row["lines"])) for row in carts],
        purchases=await fetch_as(connection, PurchaseView, _SELECT_PURCHASES, profile_id, MAX_ROWS),
        suppressions=await fetch_as(connection, SuppressionView, _SELECT_SUPPRESSIONS, profile_id, MAX_ROWS),
        runs=await fetch_as(connection, RunView, _SELECT_RUNS, profile_id, MAX_ROWS),
    )
