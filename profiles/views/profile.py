"""What is known of a person, for reading: the profile behind any identifier, and all that hangs on it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson

from profiles.projection.lapse import DEFAULT_LAPSE_RULES, LapseRules, lapse_state
from profiles.state.traits import LOCALE_ORIGIN, TIMEZONE_ORIGIN, VERIFIED_RANK, TraitOrigins


@dataclass(frozen=True, slots=True)
class OriginView:
    """Who said what a field holds. ``event_id`` is the event's own id within its source."""

    source: str
    time: datetime
    event_id: str
    verified: bool


@dataclass(frozen=True, slots=True)
class ComputedView:
    """What Waypost works out of events, orders and messages, and keeps up to date with every one of them."""

    last_seen: dict[str, datetime]
    """Channel → when the person was last heard of there."""
    preferred_channel: str | None
    """On which most messages were opened, clicked or answered, in the 180 days before the last one was."""
    preferred_hour: int | None
    """Hour of the day, in the person's zone, in which most orders and engagements fell."""
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
    """The best that is known, what it was taken from, and when that was said."""

    value: str
    source: str
    """traits, context, phone or default."""
    at: datetime | None
    """None of a default, and where nobody kept it."""


class ZoneResolver(Protocol):
    """How a zone is worked out; a decision, which the caller brings along."""

    def __call__(
        self, traits_timezone: str | None, context_timezone: str | None, phone: str | None, /
    ) -> tuple[str, str]:
        """The zone, and its source as ``Guess`` names them."""


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """Fields of one person, each with where it came from."""

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
    """The record of one profile. Raises LookupError where there is none."""
    row = await connection.fetchrow(_SELECT_RECORD, profile_id)
    if row is None:
        raise LookupError(f"no profile {profile_id}")
    traits: dict[str, Any] = orjson.loads(row["traits"])
    kept: TraitOrigins = orjson.loads(row["origins"])
    origins = {
        name: OriginView(
            register["source"],
            datetime.fromisoformat(register["time"]),
            register["event_id"],
            register["rank"] >= VERIFIED_RANK,
        )
        for name, register in sorted(kept.items())
    }
    said = {name: origin.time for name, origin in origins.items()}
    return ProfileRecord(
        traits=traits,
        origins=origins,
        computed=_to_computed_view(row, lapse),
        timezone=_infer_timezone(row, text_trait(traits, "timezone"), said, zone),
        locale=_infer_locale(traits, row["context_locale"], said),
    )


def text_trait(traits: dict[str, Any], name: str) -> str | None:
    """A trait that is text with something in it, else None."""
    value = traits.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _to_computed_view(row: Any, lapse: LapseRules) -> ComputedView:
    last, gap = row["last_order_at"], row["median_gap_days"]
    return ComputedView(
        last_seen={channel: datetime.fromisoformat(at) for channel, at in orjson.loads(row["seen"]).items()},
        preferred_channel=row["preferred_channel"],
        preferred_hour=row["preferred_hour"],
        orders=row["orders"],
        spent=row["spent"],
        first_order_at=row["first_order_at"],
        last_order_at=last,
        median_gap_days=gap,
        days_since_order=None if last is None else (row["now"] - last).days,
        lapse_state=lapse_state(last, row["orders"], gap, row["now"], lapse),
        opens=row["opens"],
        clicks=row["clicks"],
    )


def _infer_timezone(row: Any, named: str | None, said: dict[str, datetime], zone: ZoneResolver) -> Guess:
    value, source = zone(named, row["context_timezone"], row["phone"])
    at = {"traits": said.get("timezone"), "context": said.get(TIMEZONE_ORIGIN), "phone": row["since"]}
    return Guess(value, source, at.get(source))


def _infer_locale(
    traits: dict[str, Any], from_context: str | None, said: dict[str, datetime]
) -> Guess | None:
    for name in ("locale", "language"):
        if value := text_trait(traits, name):
            return Guess(value, "traits", said.get(name))
    return None if from_context is None else Guess(from_context, "context", said.get(LOCALE_ORIGIN))


@dataclass(frozen=True, slots=True)
class IdentifierView:
    """One identifier."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class ConsentView:
    """The person's word on one channel and topic, as it stands."""

    channel: str
    topic: str
    state: str
    source: str
    at: datetime
    text_version: str | None = None
    """Version of the wording that was shown."""
    method: str | None = None
    """How it was said, such as checkbox or keyword."""
    jurisdiction: str | None = None
    """Country or region code."""


@dataclass(frozen=True, slots=True)
class OptOutView:
    """An address of the person's that does not want messages, whoever it belongs to."""

    channel: str
    topic: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AddressProblemView:
    """An address of the person's that takes no messages."""

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
    """An item not to be promoted to the person until a date; null: for good."""

    item: str
    sku: str | None
    scope: str
    """How far it reaches: variant, product, group or category."""
    of: str | None
    """The unit, the group or the category, where it reaches that."""
    parts: list[str]
    """Products that the item consists of, where it is a bundle."""
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


@dataclass(frozen=True, slots=True)
class ProfileView:
    """The unified record of a person."""

    profile_id: UUID
    identifiers: list[IdentifierView]
    traits: dict[str, Any]
    origins: dict[str, OriginView]
    """Field of the traits, or context.timezone and context.locale → who said it, and when."""
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
    "run_id, temporal_run_id, workflow_id, journey, key, state, outcome, entered_at, ended_at, detail, "
    "profile_id"
)

MAX_ROWS = 200
"""Rows of one kind in a profile; the lists under it page through the rest."""

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

_SELECT_PURCHASES = """
SELECT order_id, item, sku, name, price, quantity, returned, channel, time, event_id FROM purchase
WHERE profile_id = $1 ORDER BY at DESC, event_id, line LIMIT $2
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
    """Everything that points at a profile, the oldest first; but for digests of addresses that are there."""
    rows = await connection.fetch(
        "SELECT type, value FROM identifier WHERE profile_id = $1 ORDER BY created_at, type, value",
        profile_id,
    )
    emails = [row["value"].encode() for row in rows if row["type"] == "email"]
    digests = {hashlib.sha256(email).hexdigest() for email in emails}
    return [
        IdentifierView(**row) for row in rows if row["type"] != "email_sha256" or row["value"] not in digests
    ]


async def list_consents(connection: Any, profile_id: UUID) -> list[ConsentView]:
    """The word that stands on each channel and topic."""
    return [ConsentView(**row) for row in await connection.fetch(_SELECT_CONSENTS, profile_id)]


async def list_opt_outs(connection: Any, profile_id: UUID) -> list[OptOutView]:
    """What the person's addresses are opted out of."""
    return [OptOutView(**row) for row in await connection.fetch(_SELECT_OPT_OUTS, profile_id)]


async def load_profile(connection: Any, profile_id: UUID, zone: ZoneResolver) -> ProfileView:
    """Everything about one canonical profile; long lists are cut at ``MOST``, the newest first.

    Raises LookupError where there is no such profile.
    """
    known = await load_profile_record(connection, profile_id, zone)
    carts = await connection.fetch(_SELECT_CARTS, profile_id, MAX_ROWS)
    return ProfileView(
        profile_id=profile_id,
        identifiers=await list_identifiers(connection, profile_id),
        traits=known.traits,
        origins=known.origins,
        computed=known.computed,
        timezone=known.timezone,
        locale=known.locale,
        consents=await list_consents(connection, profile_id),
        opt_outs=await list_opt_outs(connection, profile_id),
        address_problems=[
            AddressProblemView(**row) for row in await connection.fetch(_SELECT_ADDRESS_PROBLEMS, profile_id)
        ],
        carts=[CartView(**{**row, "lines": orjson.loads(row["lines"])}) for row in carts],
        purchases=[
            PurchaseView(**row) for row in await connection.fetch(_SELECT_PURCHASES, profile_id, MAX_ROWS)
        ],
        suppressions=[
            SuppressionView(**row)
            for row in await connection.fetch(_SELECT_SUPPRESSIONS, profile_id, MAX_ROWS)
        ],
        runs=[RunView(**row) for row in await connection.fetch(_SELECT_RUNS, profile_id, MAX_ROWS)],
    )
