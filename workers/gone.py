"""Close the row of a run whose workflow is over without having closed it, and route what it missed afresh."""

from collections.abc import Sequence
from uuid import UUID

from profiles.database import Database
from profiles.routing import Route
from profiles.runs import close_run

_TOLD = """
SELECT event_id FROM outbox
WHERE lane = $1 AND event_id IS NOT NULL AND ($2::bigint IS NULL OR seq < $2)
  AND ($2::bigint IS NOT NULL OR delivered_at IS NOT NULL)
"""


async def close_gone(
    database: Database,
    routes: Sequence[Route],
    run_id: UUID,
    *,
    outcome: str,
    detail: str,
    before_seq: int | None = None,
    local: bool = False,
) -> None:
    """What was delivered (before ``before_seq``, where given) counts as seen. Idempotent: a run that closed
    itself keeps its own outcome."""
    async with database.transaction() as connection:
        now = await connection.fetchval("SELECT now()")
        seen = [row["event_id"] for row in await connection.fetch(_TOLD, run_id, before_seq)]
    await close_run(database, routes, run_id, outcome=outcome, detail=detail, seen=seen, at=now, local=local)
