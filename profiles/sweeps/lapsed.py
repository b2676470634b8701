"""Sweep for lapsed customers: write an event for each profile without an order for unusually long."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from profiles.db.database import Database
from profiles.db.locks import lock_profiles
from profiles.db.sql import encode_jsonb
from profiles.identity.identifiers import JOIN_STRONGEST_IDENTIFIER
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import Ingest
from profiles.projection.lapse import DEFAULT_LAPSE_RULES, MIN_ORDERS_FOR_GAP, LapseRules, lapse_threshold
from profiles.state.event_records import IncomingEvent
from profiles.sweeps.history import IS_HISTORY_SQL

LAPSE_SOURCE = "waypost/sweep"

CUSTOMER_LAPSED = "Customer Lapsed"

# The event counts as verified, so it takes no words from an order that is not.
# The index profile_not_lapsed holds the profiles not yet marked for this absence, by their last order, so
# profiles with a recent order are not read. The CASE is lapse_threshold in SQL: a batch holds lapsed
# profiles only. A profile known by history alone is not marked, and lapses after its next event.
_SELECT_LAPSED = f"""
WITH p AS (SELECT profile_id, last_order_at, orders, median_gap_days FROM profile a
  WHERE merged_into IS NULL AND erased_at IS NULL
    AND (lapsed_after IS NULL OR lapsed_after < last_order_at)
    AND last_order_at < now() - LEAST($2::interval, $4)
    AND last_order_at < now() - CASE
      WHEN orders < {MIN_ORDERS_FOR_GAP} OR median_gap_days IS NULL THEN $4::interval
      ELSE LEAST(GREATEST($1::float8 * median_gap_days * interval '1 day', $2::interval), $3::interval) END
    AND EXISTS (SELECT 1 FROM identifier WHERE profile_id = a.profile_id AND status <> 'quarantined')
    AND NOT {IS_HISTORY_SQL.format(profile="a.profile_id")}
  ORDER BY last_order_at, profile_id LIMIT $5)
SELECT p.profile_id, p.last_order_at, p.orders, p.median_gap_days, now() AS now, i.type, i.value,
  (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'product_id', CASE WHEN u.item IS DISTINCT FROM u.sku THEN u.item END, 'sku', u.sku,
      'name', CASE WHEN o.verified THEN u.name END, 'price', CASE WHEN o.verified THEN u.price END,
      'quantity', u.quantity)) ORDER BY u.line)
    FROM purchase u LEFT JOIN event o ON o.event_id = u.event_id
    WHERE u.profile_id = p.profile_id AND u.event_id =
      (SELECT l.event_id FROM purchase l WHERE l.profile_id = p.profile_id
        ORDER BY l.time DESC, l.event_id DESC LIMIT 1))::text AS products
FROM p {JOIN_STRONGEST_IDENTIFIER}
ORDER BY p.last_order_at, p.profile_id
"""  # noqa: S608 - constant fragments

_UPDATE_LAPSED_AFTER = """
UPDATE profile p SET lapsed_after = GREATEST(p.lapsed_after, m.lapsed_after)
FROM jsonb_to_recordset($1) AS m(profile_id uuid, lapsed_after timestamptz) WHERE p.profile_id = m.profile_id
"""


async def sweep_lapsed(
    database: Database, ingest: Ingest, *, rules: LapseRules = DEFAULT_LAPSE_RULES, limit: int = 500
) -> int:
    """Write ``Customer Lapsed`` for at most ``limit`` lapsed profiles, once per absence.

    Passes over profiles known by history alone: see ``profiles.sweeps.history``.
    Returns how many events were new. Idempotent: the event's id is the profile and its last order.
    """
    async with database.transaction() as connection:
        thresholds = (rules.min_threshold, rules.max_threshold, rules.default_threshold)
        rows = await connection.fetch(_SELECT_LAPSED, rules.factor, *thresholds, limit)
    if not rows:
        return 0
    results = await ingest([_lapsed_event(row, rules) for row in rows])
    await database.run(lambda connection: _mark_lapsed(connection, rows))
    return sum(result.status is IngestStatus.ACCEPTED for result in results)


async def _mark_lapsed(connection: Any, found: Sequence[Any]) -> None:
    # lock_profiles keeps the order of locks. A profile merged meanwhile is marked as its canonical profile.
    # The mark is the last order of the event: an order that arrives meanwhile, or late, begins a new absence.
    canonical = await lock_profiles(connection, [row["profile_id"] for row in found])
    # Of two profiles that were merged the newer order wins.
    ordered = sorted(found, key=lambda row: row["last_order_at"])
    latest = {canonical[row["profile_id"]]: row["last_order_at"] for row in ordered}
    marks = [{"profile_id": profile_id, "lapsed_after": at} for profile_id, at in latest.items()]
    await connection.execute(_UPDATE_LAPSED_AFTER, encode_jsonb(marks))


def _lapsed_event(row: Any, rules: LapseRules) -> IncomingEvent:
    last_order_at = row["last_order_at"]
    threshold = lapse_threshold(row["orders"], row["median_gap_days"], rules)
    properties = {
        "days_since_order": (row["now"] - last_order_at).days,
        "orders": row["orders"],
        "median_gap_days": row["median_gap_days"],
        "lapse_after_days": threshold / timedelta(days=1),
        "products": orjson.loads(row["products"] or "[]"),
    }
    event_id = f"lapsed/{row['profile_id']}/{last_order_at.isoformat()}"
    named = ((row["type"], row["value"]),)
    return IncomingEvent(LAPSE_SOURCE, event_id, CUSTOMER_LAPSED, "server", row["now"], named, properties)
