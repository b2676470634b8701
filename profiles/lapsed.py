"""Find customers who have been away for long, and say so by an event like any other."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from profiles.database import Database
from profiles.incoming import IncomingEvent, Status
from profiles.ingest import Ingest
from profiles.person import lock

SOURCE = "waypost/sweep"
LAPSED = "Customer Lapsed"
DEFAULT_LAPSE = timedelta(days=90)

_FIND = """
SELECT p.profile_id, p.last_order_at, now() AS now, i.type, i.value
FROM profile p
JOIN LATERAL (SELECT type, value FROM identifier WHERE profile_id = p.profile_id
  ORDER BY array_position(ARRAY['user_id', 'loyalty_id', 'email', 'phone', 'anonymous_id'], type), value
  LIMIT 1) i ON true
WHERE p.merged_into IS NULL AND p.erased_at IS NULL AND p.last_order_at < now() - $1::interval
  AND (p.lapsed_at IS NULL OR p.lapsed_at < p.last_order_at)
ORDER BY p.last_order_at, p.profile_id LIMIT $2
"""


async def sweep_lapsed(
    database: Database, ingest: Ingest, *, lapse: timedelta = DEFAULT_LAPSE, limit: int = 500
) -> int:
    """Write ``Customer Lapsed`` for people without an order for ``lapse``; once per absence.

    Idempotent: the event's id is the person and their last order. Returns how many events were new.
    """
    async with database.transaction() as connection:
        found = await connection.fetch(_FIND, lapse, limit)
    if not found:
        return 0
    events = [
        _event(row["profile_id"], row["last_order_at"], row["now"], (row["type"], row["value"]))
        for row in found
    ]
    answers = await ingest(events)
    await database.run(lambda connection: _mark(connection, [row["profile_id"] for row in found]))
    return sum(answer.status is Status.ACCEPTED for answer in answers)


async def _mark(connection: Any, profile_ids: list[UUID]) -> None:
    # By way of the one order of locks; who was merged meanwhile is marked under their new profile.
    canonical = await lock(connection, profile_ids)
    await connection.execute(
        "UPDATE profile SET lapsed_at = now() WHERE profile_id = ANY($1)", sorted(set(canonical.values()))
    )


def _event(
    profile_id: UUID, last_order_at: datetime, now: datetime, identifier: tuple[str, str]
) -> IncomingEvent:
    return IncomingEvent(
        source=SOURCE,
        id=f"lapsed/{profile_id}/{last_order_at.isoformat()}",
        type=LAPSED,
        channel="server",
        time=now,
        identifiers=(identifier,),
        properties={"days_since_order": (now - last_order_at).days},
    )
