"""Close the row of a run whose workflow is over without having closed it, and route what it missed afresh."""

from collections.abc import Sequence
from uuid import UUID

from profiles.database import Database
from profiles.routing import Route
from profiles.runs import close_run, delivered_events


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
        seen, now = await delivered_events(connection, run_id, before_seq=before_seq)
    await close_run(database, routes, run_id, outcome=outcome, detail=detail, seen=seen, at=now, local=local)
