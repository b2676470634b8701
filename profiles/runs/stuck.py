"""Stuck runs: parked after a delivery that cannot succeed, and put back by an operator. Their log."""

from typing import Any
from uuid import UUID

from profiles.db.locks import lock_profile_of_run
from profiles.db.sql import NOTIFY_OUTBOX

RETRY_ADVICE = (
    "mend the cause, then `waypost runs retry --all --reason TEXT`, or POST /v1/runs/{run_id}/retry; "
    "POST /v1/runs/{run_id}/cancel gives a run up, and its events are routed again"
)
"""What to do about stuck runs."""

# Outbox rows are locked before the run's row, as in the relay, to avoid a deadlock.
_RESTORE_OUTBOX_ROWS = """
UPDATE outbox SET retry_at = NULL WHERE seq IN (
  SELECT seq FROM outbox WHERE lane = $1 AND delivered_at IS NULL ORDER BY seq FOR UPDATE)
"""

_RESTORE_RUN = """
UPDATE run SET state = 'running', detail = NULL, stuck_at = NULL WHERE run_id = $1 AND state = 'stuck'
"""

_INSERT_LOG = """
INSERT INTO run_log (run_id, done, reason, actor, at) VALUES ($1, $2, $3, $4, clock_timestamp())
"""

_SELECT_STUCK_IDS = """
SELECT run_id FROM run WHERE state = 'stuck' AND ($1::text IS NULL OR journey = $1) ORDER BY run_id
"""


async def retry_stuck_run(connection: Any, run_id: UUID, *, reason: str, actor: str) -> str | None:
    """Put a stuck run's undelivered rows back, in their order. Return the state that the run had.

    Idempotent: any other state is left as it is, and only a change is logged. None: there is no such run.
    Locks held: the run's profile, its undelivered rows, its row.
    """
    if await lock_profile_of_run(connection, run_id) is None:
        return None
    state: str = await connection.fetchval("SELECT state FROM run WHERE run_id = $1", run_id)
    if state == "stuck":
        await connection.execute(_RESTORE_OUTBOX_ROWS, run_id)
        await connection.execute(_RESTORE_RUN, run_id)
        await log_run_action(connection, run_id, "retried", reason=reason, actor=actor)
        await connection.execute(NOTIFY_OUTBOX)
    return state


async def list_stuck_ids(connection: Any, journey: str | None = None) -> list[UUID]:
    """Return the ids of all stuck runs, of one journey if it is given, the oldest first."""
    return [row["run_id"] for row in await connection.fetch(_SELECT_STUCK_IDS, journey)]


async def log_run_action(connection: Any, run_id: UUID, done: str, *, reason: str, actor: str) -> None:
    """Record what an operator did to a run: retried or cancelled."""
    await connection.execute(_INSERT_LOG, run_id, done, reason, actor)
