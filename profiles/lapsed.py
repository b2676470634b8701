"""Find customers who stay away for longer than they used to, and say so by an event like any other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from profiles.changes import encode
from profiles.database import Database
from profiles.incoming import IncomingEvent, Status
from profiles.ingest import Ingest
from profiles.person import lock
from profiles.statements import STRONGEST_IDENTIFIER

SOURCE = "waypost/sweep"
LAPSED = "Customer Lapsed"


@dataclass(frozen=True, slots=True)
class Lapse:
    """After how long without an order a customer has lapsed.

    Who came at least three times (several orders on one day, UTC, are one visit) is measured by their own
    rhythm: ``factor`` times the median gap between visits, kept within ``at_least`` and ``at_most``. For
    everybody else it is ``otherwise``. Raises ValueError where these cannot be.
    """

    factor: float = 2.0
    at_least: timedelta = timedelta(days=30)
    at_most: timedelta = timedelta(days=365)
    otherwise: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        if self.factor <= 0 or not timedelta(0) < self.at_least <= self.at_most or not self.otherwise:
            raise ValueError(f"expected factor > 0, 0 < at_least <= at_most and otherwise > 0, got {self}")


DEFAULT_LAPSE = Lapse()

# The index profile_not_lapsed holds those not yet marked for this absence, by their last order: who bought
# lately is not looked at, and purchases are read only of those whose own rhythm decides.
_FIND = f"""
WITH unmarked AS (
  SELECT p.profile_id, p.last_order_at, p.orders, CASE WHEN p.orders >= 3 THEN
    (SELECT median_gap_days FROM person v WHERE v.profile_id = p.profile_id) END AS median_gap_days
  FROM profile p WHERE p.merged_into IS NULL AND p.erased_at IS NULL
    AND (p.lapsed_after IS NULL OR p.lapsed_after < p.last_order_at)
    AND p.last_order_at < now() - CASE WHEN p.orders >= 3 THEN LEAST($2::interval, $4) ELSE $4 END
    AND p.last_order_at < now() - LEAST($2::interval, $4)),
away AS (SELECT *, CASE WHEN median_gap_days IS NULL THEN $4::interval
    ELSE LEAST(GREATEST($1::float8 * median_gap_days * interval '1 day', $2::interval), $3::interval)
  END AS lapse FROM unmarked),
p AS (SELECT * FROM away a WHERE last_order_at < now() - lapse
    AND EXISTS (SELECT 1 FROM identifier WHERE profile_id = a.profile_id)
  ORDER BY last_order_at, profile_id LIMIT $5)
SELECT p.profile_id, p.last_order_at, p.orders, p.median_gap_days, now() AS now,
  EXTRACT(epoch FROM p.lapse) / 86400 AS lapse_after_days, i.type, i.value,
  (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'product_id', CASE WHEN u.item IS DISTINCT FROM u.sku THEN u.item END, 'sku', u.sku, 'name', u.name,
      'price', u.price, 'quantity', u.quantity)) ORDER BY u.line)
    FROM purchase u WHERE u.profile_id = p.profile_id AND u.event_id =
      (SELECT l.event_id FROM purchase l WHERE l.profile_id = p.profile_id
        ORDER BY l.time DESC, l.event_id DESC LIMIT 1))::text AS products
FROM p {STRONGEST_IDENTIFIER}
ORDER BY p.last_order_at, p.profile_id
"""  # noqa: S608 - constant fragments

_MARK = """
UPDATE profile p SET lapsed_after = GREATEST(p.lapsed_after, m.lapsed_after)
FROM jsonb_to_recordset($1) AS m(profile_id uuid, lapsed_after timestamptz) WHERE p.profile_id = m.profile_id
"""


async def sweep_lapsed(
    database: Database, ingest: Ingest, *, lapse: Lapse = DEFAULT_LAPSE, limit: int = 500
) -> int:
    """Write ``Customer Lapsed`` for at most ``limit`` people who have been away for long; once per absence.

    Idempotent: the event's id is the person and their last order. Returns how many events were new.
    """
    async with database.transaction() as connection:
        found = await connection.fetch(
            _FIND, lapse.factor, lapse.at_least, lapse.at_most, lapse.otherwise, limit
        )
    if not found:
        return 0
    answers = await ingest([_event(row) for row in found])
    await database.run(lambda connection: _mark(connection, found))
    return sum(answer.status is Status.ACCEPTED for answer in answers)


async def _mark(connection: Any, found: Sequence[Any]) -> None:
    # By way of the one order of locks; who was merged meanwhile is marked under their new profile. The mark
    # is the order it was about: one that comes in meanwhile, or late, begins an absence of its own.
    canonical = await lock(connection, [row["profile_id"] for row in found])
    # The newest last, of two who have become one.
    ordered = sorted(found, key=lambda row: row["last_order_at"])
    latest = {canonical[row["profile_id"]]: row["last_order_at"] for row in ordered}
    marks = [{"profile_id": who, "lapsed_after": order} for who, order in latest.items()]
    await connection.execute(_MARK, encode(marks))


def _event(row: Any) -> IncomingEvent:
    last_order_at = row["last_order_at"]
    said = {
        "days_since_order": (row["now"] - last_order_at).days,
        "orders": row["orders"],
        "median_gap_days": row["median_gap_days"],
        "lapse_after_days": float(row["lapse_after_days"]),
        "products": orjson.loads(row["products"] or "[]"),
    }
    return IncomingEvent(
        source=SOURCE,
        id=f"lapsed/{row['profile_id']}/{last_order_at.isoformat()}",
        type=LAPSED,
        channel="server",
        time=row["now"],
        identifiers=((row["type"], row["value"]),),
        properties=said,
    )
