"""Time travel: move the clock of single runs forward on a local stack, by Temporal's time skipping.

The server's API for it is experimental, so no other module uses it.
"""

import re
from datetime import datetime, timedelta
from uuid import UUID

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from policy.durations import format_duration
from profiles.db.database import Database
from profiles.runs import lifecycle
from workers.errors import UserError
from workers.settings import WorkerSettings
from workers.temporal_client import connect_temporal

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}

_DURATION = re.compile(r"(?:\d+[wdhms])+")

_DURATION_PART = re.compile(r"(\d+)([wdhms])")


class TravelError(UserError):
    """The clock of a run cannot be moved."""


def parse_duration(words: str) -> timedelta:
    """Parse a duration such as "3d", "2h30m", "90s" or "1w". Raises ``TravelError``, also for zero."""
    text = words.strip().lower()
    length = timedelta(seconds=sum(int(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text)))
    if not _DURATION.fullmatch(text) or length <= timedelta():
        raise TravelError(f"expected a length of time such as 3d, 2h30m or 45m; got {words!r}")
    return length


async def fast_forward(client: Client, workflow_id: str, by: timedelta) -> bool:
    """Move one run's clock forward; its timers fire and its activities run on the way.

    Other runs are not affected. Returns True if the run's clock is now later by ``by``, False if the run has
    ended, before or on the way. Not idempotent: each call moves the clock again. Raises ``TravelError`` if
    there is no such run or the server does not allow time skipping.
    """
    handle = client.get_workflow_handle(workflow_id)
    try:
        return await TimeSkipper(client).fast_forward(handle, by)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND and await _has_ended(handle):
            return False
        raise TravelError(_describe_error(error, workflow_id)) from error


async def current_time(client: Client, workflow_id: str) -> datetime:
    """Return the run's time by Temporal's clock, without the run's clock offset."""
    return await TimeSkipper(client).get_current_time(client.get_workflow_handle(workflow_id))


def require_local_stack(settings: WorkerSettings) -> None:
    """Raise ``TravelError`` unless the settings are those of a local stack."""
    if not settings.waypost_local:
        raise TravelError(
            "time travel works on a local stack only, and none runs here: "
            "start one with `waypost dev` (same folder, or the same WAYPOST_DATA_DIR)"
        )


async def fast_forward_run(settings: WorkerSettings, run_id: str, by: timedelta) -> str:
    """Run ``waypost fast-forward``; returns the sentence to print. Raises ``TravelError``."""
    require_local_stack(settings)
    database = Database(settings.database_url, pool_size=1)
    try:
        workflow_id = await load_workflow_id(database, run_id)
    finally:
        await database.close()
    client = await connect_temporal(settings)
    if not await fast_forward(client, workflow_id, by):
        return f"{workflow_id} has ended."
    now = await current_time(client, workflow_id)
    return f"{workflow_id} is {format_duration(by)} later: its clock says {now:%Y-%m-%d %H:%M} UTC."


async def load_workflow_id(database: Database, run_id: str) -> str:
    """Return the Temporal workflow id of a run. Raises ``TravelError`` if there is no such run."""
    try:
        wanted = UUID(run_id)
    except ValueError:
        raise TravelError(f"expected a run id such as those under GET /v1/runs; got {run_id!r}") from None
    async with database.transaction() as connection:
        workflow_id = await lifecycle.workflow_id_of(connection, wanted)
    if workflow_id is None:
        raise TravelError(f"no run {run_id}; GET /v1/journeys/{{journey}}/runs lists them")
    return workflow_id


async def _has_ended(handle: WorkflowHandle[object, object]) -> bool:
    try:
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING
    except RPCError:
        return False


def _describe_error(error: RPCError, workflow_id: str) -> str:
    if error.status is RPCStatusCode.NOT_FOUND:
        return f"Temporal has no workflow {workflow_id!r} yet: the relay starts it once it and the worker run"
    return f"Temporal does not move the clock of {workflow_id!r}: {error.message}"
