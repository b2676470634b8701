"""The reconciler: expires claims of crashed workers, and closes runs left open by ended workflows."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
from workers.heartbeat import Heartbeat

log = structlog.get_logger("sweeper")

RECONCILE_INTERVAL_S = 30.0

MAX_SWEEP_AGE_S = 600.0
"""Seconds from one round of the sweeps to the next, at the latest; one that takes longer hangs."""

_RPC_TIMEOUT = timedelta(seconds=30)

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

    async def run(self, heartbeat: Heartbeat | None = None) -> None:
        """Reconcile every ``RECONCILE_INTERVAL_S`` seconds, forever. A failed step is logged and repeated.

        Never raises.
        """
        pulse = (heartbeat or Heartbeat("relay")).pulse("reconciler", MAX_SWEEP_AGE_S)
        while True:
            failed = [error for sweep in (self.settle_claims, self.end_runs) if (error := await _try(sweep))]
            pulse.turn()
            if failed:
                pulse.fail(failed[0])
            else:
                pulse.succeed()
            await asyncio.sleep(RECONCILE_INTERVAL_S)

    async def settle_claims(self) -> int:
        """Set old claims to unknown, and make old unknown messages final. Return how many changed."""
        async with self._database.transaction() as connection:
            settled = await expire_stale_claims(connection)
        if settled:
            log.warning("claims settled as unknown", count=settled)
        return settled

    async def end_runs(self) -> int:
        """Close open runs with a failed, timed out, terminated or cancelled workflow. Return how many.

        An error with one run is logged and leaves the others alone. Raises errors of Temporal and Postgres.
        """
        since = (datetime.now(UTC) - CLOSED_LOOKBACK).isoformat()
        ended = 0
        async for workflow in self._client.list_workflows(
            _CLOSED_WORKFLOWS_QUERY.format(since=since), rpc_timeout=_RPC_TIMEOUT
        ):
            run_id = _parse_run_id(workflow.id)
            # A list is older than the run: a run that was reset may be open again.
            outcome = None if workflow.status is None else _OUTCOME_BY_STATUS.get(workflow.status)
            if run_id is None or outcome is None or not await self._is_open(run_id):
                continue
            detail = f"the workflow {outcome.replace('_', ' ')} in Temporal"
            try:
                await self._close_orphaned_run(run_id, outcome=outcome, detail=detail)
            except Exception as error:
                log.error("run cannot be closed", run_id=str(run_id), error=describe_error(error))
                continue
            log.warning("run ended by sweep", run_id=str(run_id), outcome=outcome)
            ended += 1
        return ended

    async def _is_open(self, run_id: UUID) -> bool:
        async with self._database.transaction() as connection:
            return await is_live(connection, run_id)


async def _try(sweep: Callable[[], Awaitable[int]]) -> Exception | None:
    """Run one sweep. Return its error, which is logged."""
    try:
        await sweep()
    except TRANSIENT_ERRORS as error:
        log.warning("cannot sweep yet", error=describe_error(error))
        return error
    except Exception as error:
        log.error("sweep failed", error=type(error).__name__, exc_info=error)
        return error
    return None


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
