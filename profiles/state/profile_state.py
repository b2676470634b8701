"""The state of a locked profile: what events change, and what they are routed by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.reading.amounts import read_money
from profiles.state import bounds
from profiles.state.bounds import bound_properties
from profiles.state.cart import GENERATED_CART_PREFIX, CartLines, parse_lines
from profiles.state.event_records import EventSortKey, id_text
from profiles.state.run_keys import RUN_KEY_SQL, run_key
from profiles.state.traits import TraitOrigins, TraitValues

MAX_ENDED_RUNS = 500
"""The newest ended runs of a profile that are read, beside those with a key of the events at hand."""

MAX_REFUNDS = 500
"""Refunds and cancellations of a profile that are read with an order: verified ones first, then the newer."""

# A message in any other status may have been sent, also in a status unknown to this version.
SENT_NOTHING_SQL = """r.state = 'ended' AND NOT EXISTS (SELECT 1 FROM message m
        WHERE m.run_id = r.run_id AND m.status NOT IN ('withheld', 'deferred', 'released'))"""
"""Whether run ``r`` has ended and no message of it may have been sent. Re-entry rules ignore its entry."""
MAX_COUNTED_SUPPRESSIONS = 2_000
"""The newest suppressions of a profile among which those of unverified events are counted."""

_SELECT_PROFILE_STATES = f"""
SELECT p.profile_id, p.traits::text AS traits, p.origins::text AS origins, p.context_timezone,
  p.context_locale, p.preferred_hour IS NOT NULL AS has_preferred_hour,
  EXISTS (SELECT 1 FROM consent_state s WHERE s.profile_id = p.profile_id)
    OR EXISTS (SELECT 1 FROM consent c WHERE c.profile_id = p.profile_id) AS has_consents, p.email_from_order,
  p.last_checkout_at, p.sure_checkout_at, p.email_ordered, p.seen::text AS seen, p.carts_time, p.carts_key,
  (SELECT min(i.linked_at) FROM identifier i
    WHERE i.profile_id = p.profile_id AND i.type = 'email' AND i.vouched) AS email_since,
  EXISTS (SELECT 1 FROM identifier i WHERE i.profile_id = p.profile_id AND i.vouched) AS vouched,
  (SELECT jsonb_agg(jsonb_build_array(c.cart_id, c.lines, c.updated_at)) FROM cart c
    WHERE c.profile_id = p.profile_id AND c.closed_at IS NULL)::text AS carts,
  (SELECT jsonb_agg(jsonb_build_array(r.run_id, r.journey, r.key, r.entered_at, r.state, r.signals,
      r.clock_offset_s, r.workflow_id, {SENT_NOTHING_SQL}, r.verified, r.unverified_signals, r.entry_digest)
      ORDER BY r.entered_at, r.run_id)
    FROM (SELECT *, CASE WHEN state = 'ended' THEN row_number() OVER (PARTITION BY state = 'ended'
        ORDER BY entered_at DESC) ELSE 0 END AS place FROM run WHERE profile_id = p.profile_id) r
    WHERE r.place <= $4 OR {RUN_KEY_SQL} = ANY($2) OR r.key = p.profile_id::text)::text AS runs,
  (SELECT jsonb_agg(jsonb_build_array(i.type, i.value) ORDER BY i.since, i.value) FROM identifier i
    WHERE i.profile_id = p.profile_id AND i.type IN ('email', 'phone'))::text AS addresses,
  (SELECT jsonb_agg(jsonb_build_array(a.member_id, a.audience, a.item, a.sku, a.run_id))
    FROM audience_member a
    WHERE a.profile_id = p.profile_id AND a.state IN ('joining', 'in'))::text AS audiences,
  CASE WHEN $3 THEN (SELECT jsonb_agg(jsonb_build_array(e.type, e.properties, e.verified)
      ORDER BY e.verified DESC, e.at DESC) FROM (
    SELECT *, sum(CASE WHEN verified THEN 0 ELSE length(properties::text) END)
        OVER (ORDER BY verified DESC, at DESC ROWS UNBOUNDED PRECEDING) AS size
    FROM (SELECT type, properties, verified, at FROM event
      WHERE profile_id = p.profile_id AND type IN ('Order Refunded', 'Order Cancelled')
        AND superseded_by IS NULL ORDER BY verified DESC, at DESC LIMIT $5) newest) e
    WHERE e.size <= $8)::text END AS undone_orders,
  CASE WHEN $6 THEN (SELECT COALESCE(sum(n.lines), 0) FROM (SELECT event_id, count(*) AS lines FROM (
        SELECT event_id FROM suppression WHERE profile_id = p.profile_id
        ORDER BY event_id DESC LIMIT $7) k
      GROUP BY event_id) n JOIN event e USING (event_id)
    WHERE NOT e.verified AND e.at > now() - interval '1 year') ELSE 0 END::int AS kept_unverified_lines
FROM profile p WHERE p.profile_id = ANY(ARRAY(SELECT unnest($1::uuid[])))
"""  # noqa: S608 - constant fragment

_STORED_FIELDS = (
    *("profile_id", "context_timezone", "context_locale", "email_from_order", "email_since", "vouched"),
    *("last_checkout_at", "sure_checkout_at", "email_ordered", "has_preferred_hour", "has_consents"),
    "kept_unverified_lines",
)


_EMAIL_ORDERED_VERIFIED = 2
"""``email_ordered`` of a profile with a verified order or checkout that named an email address."""


_REFUND_AMOUNTS = (
    *(
        "refund_amount",
        "refundAmount",
        "amount_refunded",
        "amount",
        "refund_total",
        "total",
        "value",
        "revenue",
    ),
)
"""Where a refund states its amount, in this order."""

_FACT_IDS = ("refund_id", "return_id", "cancellation_id")
"""Properties that name a reversal itself. A payment's id does not: several refunds may be of one payment."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """A refund or a cancellation of an order."""

    type: str
    properties: dict[str, Any]
    verified: bool
    source: str = ""
    at: datetime | None = None
    """When it was ingested; None where only its order matters."""

    @property
    def order_id(self) -> str | None:
        """The order that it reverses."""
        return id_text(self.properties, "order_id")

    @property
    def fact_id(self) -> str | None:
        """The business id of the refund, return or cancellation, the same in all reports of it; or None."""
        return next((found for name in _FACT_IDS if (found := id_text(self.properties, name))), None)

    @property
    def amount(self) -> float | None:
        """The amount that a refund states; None: none, or of a cancellation, which is of the whole order."""
        if self.type != "Order Refunded":
            return None
        amounts = (read_money(self.properties.get(name)).amount for name in _REFUND_AMOUNTS)
        return next((abs(amount) for amount in amounts if amount is not None), None)


@dataclass(slots=True)
class CartState:
    """A cart and when it last changed."""

    cart_id: str
    lines: CartLines
    updated_at: datetime
    """Time of its last event."""
    closed_at: datetime | None = None
    """When an order emptied it; None: open."""
    has_provisional_id: bool = False
    """Whether its id was generated during ingest. An id that the cart had before replaces it."""


@dataclass(slots=True)
class LiveRun:
    """A run that has not ended."""

    run_id: UUID
    journey: str
    key: str
    entered_at: datetime
    signals: int = 0
    clock_offset_s: float = 0.0
    original_key: str = ""
    """The key that the story uses. The cart may have another id after a merge."""
    verified: bool = True
    """Whether a verified event started it, or was signalled to it as another start."""
    unverified_signals: int = 0
    """How many of the signals are unverified events."""
    entry_digest: str | None = None
    """Digest of what its entry event is about, if it is known."""


@dataclass(slots=True)
class AudienceMembership:
    """Membership of a profile in an ad audience, for one item and one run."""

    member_id: UUID
    audience: str
    item: str
    sku: str | None
    run_id: UUID


@dataclass(slots=True)
class ProfileState:
    """Working copy of one canonical profile; valid only while its row is locked."""

    profile_id: UUID
    traits: TraitValues = field(default_factory=dict)
    origins: TraitOrigins = field(default_factory=dict)
    context_timezone: str | None = None
    context_locale: str | None = None
    email_from_order: bool = False
    email_since: datetime | None = None
    """Since when the profile has an email address that a verified event has named."""
    last_checkout_at: datetime | None = None
    """Time of the last order or checkout."""
    sure_checkout_at: datetime | None = None
    """Time of the last verified one."""
    email_ordered: int = 0
    """Whether an order or checkout itself named an email address: 0 no, 1 unverified, 2 verified."""
    vouched: bool = False
    """Whether the profile is verified. An unverified event then grants no consent."""
    has_preferred_hour: bool = False
    """Whether the profile has a preferred hour of the day, which depends on its time zone."""
    kept_unverified_lines: int = 0
    """Lines of unverified orders that suppress, of the last year; read only with such an order."""
    has_consents: bool = False
    """Whether the profile has a declaration in the consent ledger, or an effective consent."""
    last_seen: dict[str, str] = field(default_factory=dict)
    """Channel → time of the last event there."""
    carts_sort_key: EventSortKey | None = None
    """Sort key of the last event in the projection of the carts."""
    carts: dict[str, CartState] = field(default_factory=dict)
    runs: list[LiveRun] = field(default_factory=list)
    run_entries: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    """(journey, key) → times of entry of its runs."""
    unverified_entries: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    """Those of ``run_entries`` that no verified event made."""
    silent_entries: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    """Those of ``run_entries`` of which the run has ended and sent nothing."""
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Identifier type → values; email and phone only."""
    audiences: list[AudienceMembership] = field(default_factory=list)
    renamed_carts: dict[str, str] = field(default_factory=dict)
    """A cart's id when one of its events was ingested → its id now."""
    refunds: list[Reversal] = field(default_factory=list)
    """Refunds and cancellations, which may arrive before their purchase."""
    is_dirty: bool = False
    """Whether the profile's own row must be written."""

    def latest_open_cart(self) -> CartState | None:
        """Return the open cart that changed last, or None."""
        carts = [cart for cart in self.carts.values() if cart.closed_at is None]
        return max(carts, key=lambda cart: (cart.updated_at, cart.cart_id), default=None)

    def advance_cart_position(self, place: EventSortKey) -> None:
        """Record that the carts contain all events up to a sort key."""
        if self.carts_sort_key is None or place > self.carts_sort_key:
            self.carts_sort_key = place
            self.is_dirty = True

    def forget_entry(self, journey: str, key: str, entered: datetime) -> None:
        """Remove the entry of a run that did not begin."""
        for entries in (self.run_entries, self.silent_entries, self.unverified_entries):
            known = entries.get((journey, key), [])
            if entered in known:
                known.remove(entered)

    def entries_against(
        self, journey: str, key: str, *, verified: bool, with_silent: bool = False
    ) -> tuple[datetime, ...]:
        """Return the entries that count against another one: of runs that are live or sent something.

        Against a verified one only verified ones do. ``with_silent``: runs that ended and sent nothing, too.
        """
        entries = list(self.run_entries.get((journey, key), []))
        for silent in [] if with_silent else self.silent_entries.get((journey, key), []):
            entries.remove(silent)
        if not verified:
            return tuple(entries)
        unverified = self.unverified_entries.get((journey, key), [])
        return tuple(entry for entry in entries if entry not in unverified)

    @property
    def timezone_sources(self) -> tuple[Any, str | None]:
        """The declared time zones: of the trait, and of an event's context."""
        return self.traits.get("timezone"), self.context_timezone

    @property
    def is_customer_by_email(self) -> bool:
        """Whether a verified order or checkout came with an email address, or was made after it was known."""
        if self.email_since is None:
            return False
        checkout = self.sure_checkout_at
        return self.email_ordered >= _EMAIL_ORDERED_VERIFIED or (
            checkout is not None and self.email_since <= checkout
        )


def original_cart_key(key: str, workflow_id: str) -> str:
    """Return the generated cart id under which a run started; the run's key for any other key.

    A merge may join the cart to an older one. The story continues to use the original id.
    """
    return workflow_id.split("/")[-2] if key.startswith(GENERATED_CART_PREFIX) else key


async def load_profile_states(
    connection: Any,
    profile_ids: Sequence[UUID],
    run_keys: Collection[str] = (),
    *,
    refunds: bool = False,
    unverified_orders: bool = False,
) -> dict[UUID, ProfileState]:
    """Read the state of canonical profiles in one round trip. Locks held: the profiles'.

    ``run_keys``: keys of which all ended runs are read. ``refunds``: whether an order or a
    reversal is among the events. ``unverified_orders``: whether an unverified order is among them.
    """
    if not profile_ids:
        return {}
    limits = (
        *(MAX_ENDED_RUNS, MAX_REFUNDS, unverified_orders, MAX_COUNTED_SUPPRESSIONS),
        bounds.MAX_UNVERIFIED_REFUND_SIZE,
    )
    arguments = (list(profile_ids), list(run_keys), refunds, *limits)
    return {
        row["profile_id"]: _to_profile_state(row)
        for row in await connection.fetch(_SELECT_PROFILE_STATES, *arguments)
    }


def _to_profile_state(row: Any) -> ProfileState:
    lists = {
        name: orjson.loads(row[name] or "[]")
        for name in ("carts", "runs", "addresses", "audiences", "undone_orders")
    }
    person = ProfileState(
        **{name: row[name] for name in _STORED_FIELDS},
        traits=orjson.loads(row["traits"]),
        origins=orjson.loads(row["origins"]),
        last_seen=orjson.loads(row["seen"]),
        carts_sort_key=_to_sort_key(row["carts_time"], row["carts_key"]),
        refunds=[
            Reversal(name, bound_properties(properties, [], verified=verified, event_type=name), verified)
            for name, properties, verified in lists["undone_orders"]
        ],
    )
    for cart_id, lines, updated_at in lists["carts"]:
        person.carts[cart_id] = CartState(cart_id, parse_lines(lines), datetime.fromisoformat(updated_at))
    for run_id, journey, stored_key, entered_at, state, signals, offset, workflow_id, *more in lists["runs"]:
        sent_nothing, *trust = more
        entered, key = datetime.fromisoformat(entered_at), run_key(stored_key)
        person.run_entries.setdefault((journey, key), []).append(entered)
        if not trust[0]:
            person.unverified_entries.setdefault((journey, key), []).append(entered)
        if sent_nothing:
            person.silent_entries.setdefault((journey, key), []).append(entered)
        if state != "ended":
            called = original_cart_key(key, workflow_id)
            person.runs.append(LiveRun(UUID(run_id), journey, key, entered, signals, offset, called, *trust))
    for kind, value in lists["addresses"]:
        person.addresses.setdefault(kind, []).append(value)
    for member_id, audience, item, sku, run_id in lists["audiences"]:
        person.audiences.append(AudienceMembership(UUID(member_id), audience, item, sku, UUID(run_id)))
    person.is_dirty = person.email_from_order != person.is_customer_by_email
    return person


def _to_sort_key(time: datetime | None, key: str | None) -> EventSortKey | None:
    if time is None or key is None:
        return None
    rank, source, event = key.split("\x1f", 2)
    return time, rank, source, event
