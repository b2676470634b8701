"""What a journey may read of a profile: orders, engagement, consents, and traits requested by name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import fetch_as, from_row
from profiles.redaction import redact_addresses
from profiles.state.traits import FieldOrigin, is_verified
from profiles.views.profile import text_trait

PERSONAL_TRAITS = frozenset(
    (
        *("email", "phone", "name", "first_name", "last_name", "firstName", "lastName", "username"),
        *("firstname", "lastname", "address", "street", "birthday", "date_of_birth"),
    )
)
"""Traits that a journey cannot read, as workflow histories hold no personal data."""

PURCHASE_LOOKBACK = timedelta(days=400)

MAX_PURCHASES = 50


@dataclass(frozen=True, slots=True)
class PurchaseFact:
    """One line of an order."""

    item: str
    sku: str | None
    name: str | None
    """None also where the order is unverified: a story may pass a name on to a message."""
    price: float | None
    quantity: int
    returned: int
    at: datetime
    """Time of the purchase, by the channel's clock."""
    channel: str
    order_id: str | None


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """A profile at one instant, as plain values."""

    profile_id: UUID
    traits: dict[str, Any]
    """The requested traits that are stored. A value that looks like an address is None."""
    timezone: str | None
    """``traits.timezone``, unchecked."""
    context_timezone: str | None
    phone_for_zone: str | None
    """PERSONAL: only for resolving the zone in the activity; the activity must not return it."""
    language: str | None
    """``traits.locale``, else ``traits.language``, else the locale of an event's context."""
    created_at: datetime
    orders: int
    spent: float
    """Sum of all orders minus returns, in the shop's currency."""
    first_order_at: datetime | None
    last_order_at: datetime | None
    median_gap_days: float | None
    """Median of the days between two visits; None with fewer than three visits.
    Orders of one day (UTC) are one visit.
    """
    purchases: tuple[PurchaseFact, ...]
    """Newest first."""
    open_carts: int
    """Open carts with at least one line."""
    reachable: tuple[str, ...] = ()
    """Of email and sms: the channels with an address that has not bounced or complained."""
    consents: tuple[tuple[str, str, bool], ...] = ()
    """(channel or "all", topic, granted): the effective consent of each."""
    engaged_at: dict[str, datetime] = field(default_factory=dict)
    """Channel → when a message on it was last opened, clicked or answered."""
    unverified_traits: tuple[str, ...] = ()
    """The names of those in ``traits`` that no verified event stated."""


_SELECT_PROFILE_FACTS = """
SELECT p.profile_id, p.traits::text AS traits, p.origins::text AS origins, p.context_timezone,
  p.context_locale, p.created_at, p.orders, p.spent, p.first_order_at, p.last_order_at,
  p.median_gap_days, s.reachable_email, s.reachable_sms,
  (SELECT value FROM identifier WHERE profile_id = p.profile_id AND type = 'phone' AND status <> 'quarantined'
    ORDER BY since DESC, value LIMIT 1) AS phone_for_zone,
  (SELECT count(*) FROM cart c WHERE c.profile_id = p.profile_id AND c.closed_at IS NULL
    AND c.lines <> '[]'::jsonb) AS open_carts,
  (SELECT jsonb_agg(jsonb_build_array(channel, topic, state = 'granted') ORDER BY channel, topic)
    FROM consent_state WHERE profile_id = p.profile_id)::text AS consents,
  (SELECT jsonb_agg(jsonb_build_array(m.channel, m.engaged_at)) FROM
    (SELECT channel, max(engaged_at) AS engaged_at
      FROM message WHERE profile_id = p.profile_id AND engaged_at IS NOT NULL GROUP BY channel
    ) m)::text AS engaged
FROM run r JOIN profile p ON p.profile_id = r.profile_id JOIN person s ON s.profile_id = p.profile_id
WHERE r.run_id = $1
"""

# Of several reports of one order, each item counts once: by the one that has most pieces of it.
_SELECT_PURCHASES = """
SELECT u.item, u.sku, CASE WHEN e.verified THEN u.name END AS name, u.price, u.quantity, u.returned,
  u.time AS at, u.channel, u.order_id
FROM (SELECT *, first_value(event_id) OVER (
    PARTITION BY order_id, CASE WHEN order_id IS NULL THEN event_id END, item
    ORDER BY quantity DESC, at, event_id) AS counted FROM purchase WHERE profile_id = $1
    AND time > $2) u
LEFT JOIN event e ON e.event_id = u.event_id WHERE u.event_id = u.counted
ORDER BY u.time DESC, u.event_id DESC, u.line LIMIT $3
"""


async def load_profile_facts(
    connection: Any, run_id: UUID, *, traits: Sequence[str], at: datetime
) -> ProfileFacts | None:
    """Read the profile of a run at the run's time, ``at``.

    Returns None if there is no such run or the profile is erased. Takes no locks, as the gate checks all
    of it again. Raises ValueError for traits of ``PERSONAL_TRAITS``, naming all of them.
    """
    if refused := sorted(PERSONAL_TRAITS.intersection(traits)):
        raise ValueError(
            f"a story may not read {', '.join(refused)}: what it reads is kept in histories, which carry "
            "ids, not people; templates have first_name, and the gate has the address"
        )
    row = await connection.fetchrow(_SELECT_PROFILE_FACTS, run_id)
    if row is None:
        return None
    since = at - PURCHASE_LOOKBACK
    purchases = await fetch_as(
        connection, PurchaseFact, _SELECT_PURCHASES, row["profile_id"], since, MAX_PURCHASES
    )
    known: dict[str, Any] = orjson.loads(row["traits"])
    origins: dict[str, FieldOrigin] = orjson.loads(row["origins"])
    reachable = (("email", row["reachable_email"]), ("sms", row["reachable_sms"]))
    return from_row(
        ProfileFacts,
        row,
        traits=redact_addresses({name: known[name] for name in traits if name in known}),
        unverified_traits=tuple(
            name for name in traits if name in known and not is_verified(origins.get(name))
        ),
        timezone=text_trait(known, "timezone"),
        language=text_trait(known, "locale") or text_trait(known, "language") or row["context_locale"],
        purchases=tuple(purchases),
        reachable=tuple(channel for channel, is_reachable in reachable if is_reachable),
        consents=tuple(tuple(consent) for consent in orjson.loads(row["consents"] or "[]")),
        engaged_at={
            channel: datetime.fromisoformat(at) for channel, at in orjson.loads(row["engaged"] or "[]")
        },
    )
