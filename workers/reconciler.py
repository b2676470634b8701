"""The reconciler: expires claims of crashed workers, and closes runs left open by ended workflows."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from profiles.db.database import Database
from profiles.error_description import describe_error
from profiles.messaging.claims import expire_stale_claims
from profiles.runs.lifecycle import close_run, delivered_events, is_live
from profiles.runs.routing import Route

log = structlog.get_logger("sweeper")

RECONCILE_INTERVAL_S = 30.0

CLOSED_LOOKBACK = timedelta(hours=24)
"""How far back ended workflows are looked up."""

_CLOSED_WORKFLOWS_QUERY = (
    "ExecutionStatus IN ('Failed', 'TimedOut', 'Terminated', 'Canceled') AND CloseTime > '{since}'"
)

TRANSIENT_ERRORS = (
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
    """Periodic repair of claims and runs. Several may run at once: every step is idempotent."""

    def __init__(
        self, database: Database, client: Client, routes: Sequence[Route], *, local: bool = False
    ) -> None:
        self._database = database
        self._client = client
        self._close_orphaned_run = partial(close_orphaned_run, database, routes, local=local)

    async def run(self) -> None:
        """Reconcile every ``RECONCILE_INTERVAL_S`` seconds, forever. A failed step is logged and repeated."""
        while True:
            for sweep in (self.settle_claims, self.end_runs):
                try:
                    await sweep()
                except TRANSIENT_ERRORS as error:
                    log.warning("cannot sweep yet", sweep=sweep.__name__, error=describe_error(error))
            await asyncio.sleep(RECONCILE_INTERVAL_S)

    async def settle_claims(self) -> int:
        """Set old claims to unknown, and make old unknown messages final. Return how many changed."""
        async with self._database.transaction() as connection:
            settled = await expire_stale_claims(connection)
        if settled:
            log.warning("claims settled as unknown", count=settled)
        return settled

    async def end_runs(self) -> int:
        """Close open runs with a failed, timed out, terminated or cancelled workflow. Return how many."""
        since = (datetime.now(UTC) - CLOSED_LOOKBACK).isoformat()
        ended = 0
        async for workflow in self._client.list_workflows(_CLOSED_WORKFLOWS_QUERY.format(since=since)):
            run_id = _parse_run_id(workflow.id)
            if run_id is None or workflow.status is None or not await self._is_open(run_id):
                continue
            outcome = _OUTCOME_BY_STATUS[workflow.status]
            detail = f"the workflow {outcome.replace('_', ' ')} in Temporal"
            await self._close_orphaned_run(run_id, outcome=outcome, detail=detail)
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
    """Close a run that has no open workflow.

    Events delivered to it (before outbox row ``before_seq``, if given) count as seen by the run.
    Idempotent: a run that closed itself keeps its outcome.
    """
    async with database.transaction() as connection:
        seen, now = await delivered_events(connection, run_id, before_seq=before_seq)
    await close_run(
        database, routes, run_id, outcome=outcome, detail=detail, seen_event_ids=seen, at=now, local=local
    )
