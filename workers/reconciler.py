"""Look after what nobody else will: claims whose holder died, and runs whose workflow is over unsaid."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from profiles.db.database import Database
from profiles.messaging.claims import expire_stale_claims
from profiles.runs.lifecycle import close_run, delivered_events, is_live
from profiles.runs.routing import Route

log = structlog.get_logger("sweeper")

RECONCILE_INTERVAL_S = 30.0

CLOSED_LOOKBACK = timedelta(hours=24)

_CLOSED_WORKFLOWS_QUERY = (
    "ExecutionStatus IN ('Failed', 'TimedOut', 'Terminated', 'Canceled') AND CloseTime > '{since}'"
)

_TRANSIENT_ERRORS = (
    RPCError,
    OSError,
    RuntimeError,
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)

_OUTCOME_BY_STATUS = {
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.CANCELED: "cancelled",
}


class Reconciler:
    """Several may run at once: every step is idempotent."""

    def __init__(
        self, database: Database, client: Client, routes: Sequence[Route], *, local: bool = False
    ) -> None:
        self._database = database
        self._client = client
        self._routes = tuple(routes)
        self._local = local

    async def run(self) -> None:
        """Sweep for ever; what cannot be reached now is swept the next time."""
        while True:
            for sweep in (self.settle_claims, self.end_runs):
                try:
                    await sweep()
                except _TRANSIENT_ERRORS as error:
                    log.warning("cannot sweep yet", sweep=sweep.__name__, error=repr(error)[:200])
            await asyncio.sleep(RECONCILE_INTERVAL_S)

    async def settle_claims(self) -> int:
        """Old claims become unknown, old unknowns final; returns how many."""
        async with self._database.transaction() as connection:
            settled = await expire_stale_claims(connection)
        if settled:
            log.warning("claims settled as unknown", count=settled)
        return settled

    async def end_runs(self) -> int:
        """End the rows of runs whose workflow failed, timed out or was stopped; returns how many."""
        since = (datetime.now(UTC) - CLOSED_LOOKBACK).isoformat()
        ended = 0
        async for found in self._client.list_workflows(_CLOSED_WORKFLOWS_QUERY.format(since=since)):
            run_id = _parse_run_id(found.id)
            if run_id is None or found.status is None or not await self._is_open(run_id):
                continue
            outcome = _OUTCOME_BY_STATUS[found.status]
            await close_orphaned_run(
                self._database,
                self._routes,
                run_id,
                outcome=outcome,
                detail=f"the workflow {outcome.replace('_', ' ')} in Temporal",
                local=self._local,
            )
            log.warning("run ended by sweep", run_id=str(run_id), outcome=outcome)
            ended += 1
        return ended

    async def _is_open(self, run_id: UUID) -> bool:
        async with self._database.transaction() as connection:
            return await is_live(connection, run_id)


def _parse_run_id(workflow_id: str) -> UUID | None:
    try:
        return UUID(workflow_id.rpartition("/")[2])
    except ValueError:
        return None


async def close_orphaned_run(
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
    await close_run(
        database, routes, run_id, outcome=outcome, detail=detail, seen_event_ids=seen, at=now, local=local
    )
