"""Detection of Postgres outages: requests fail within about a second instead of waiting for a timeout."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from profiles.db.database import Database, is_conflict
from profiles.error_description import describe_error

Result = TypeVar("Result")

Probe = Callable[[], Coroutine[Any, Any, None]]

PROBE_AFTER_S = 0.5
"""Seconds of work after which Postgres is probed."""

PROBE_TIMEOUT_S = 0.35
"""Seconds that a probe may take. With ``PROBE_AFTER_S`` it is under the second that the contract promises."""

WORK_TIMEOUT_S = 30.0
"""Seconds after which work is cancelled even if Postgres answers probes."""

_PROBE_STEP_S = 0.025

_OUTAGE_SQLSTATE_CLASSES = ("08", "25", "53", "57", "58", "42", "55", "XX")
"""Connection, transaction state, resources, operator intervention, system, wrong schema, object state,
internal error."""

_STALE_ERRORS = (
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    ConnectionResetError,
)
"""Errors of a pooled connection that died since its last use."""

_MAX_STALE_RETRIES = 25
"""More than the connections of a pool."""

_CANCELLED_TASKS: set["asyncio.Future[Any]"] = set()
"""Cancelled work that has not ended. Kept here because the event loop holds only weak references to tasks."""


class Outage(Exception):
    """Postgres did not do the work. The same work may be retried later."""

    may_be_written = True
    """Whether the work had begun: its COMMIT may have succeeded although the answer was lost."""

    is_stale_connection = False
    """Whether the cause is a pooled connection that died since its last use; the next one may be alive."""


def is_outage(error: BaseException) -> bool:
    """Whether an error is caused by the state of Postgres and not by the statement."""
    for cause in _causes(error):
        if isinstance(cause, Outage | OSError | TimeoutError | PoolTimeout | asyncpg.InterfaceError):
            return True
        if isinstance(cause, asyncpg.PostgresError):
            return (cause.sqlstate or "")[:2] in _OUTAGE_SQLSTATE_CLASSES or is_conflict(cause)
        if isinstance(cause, DBAPIError) and cause.connection_invalidated:
            return True
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from; SQLAlchemy keeps the driver's error as ``orig``."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or getattr(cause, "orig", None)


async def retry_stale_connection(
    make_work: Callable[[], Coroutine[Any, Any, Result]], probe: Probe, *, timeout_s: float = WORK_TIMEOUT_S
) -> Result:
    """Run idempotent work as ``with_outage_check`` does, and again if a pooled connection was dead."""
    for _ in range(_MAX_STALE_RETRIES):
        try:
            return await with_outage_check(make_work(), probe, timeout_s=timeout_s)
        except Outage as outage:
            if not outage.is_stale_connection:
                raise
    raise Outage("one connection after the other breaks")


async def with_outage_check(
    work: Coroutine[Any, Any, Result], probe: Probe, *, timeout_s: float = WORK_TIMEOUT_S
) -> Result:
    """Await ``work`` while Postgres is alive.

    Raises ``Outage`` about a second after Postgres stopped answering, or after ``timeout_s`` seconds.
    The work is then cancelled but not awaited: closing a dead connection takes seconds.
    """
    task = asyncio.ensure_future(work)
    try:
        until = asyncio.get_running_loop().time() + timeout_s
        while not (await asyncio.wait({task}, timeout=PROBE_AFTER_S))[0]:
            if asyncio.get_running_loop().time() > until or not await _is_postgres_alive(probe):
                raise Outage("Postgres does not answer in time")
        return task.result()
    except Exception as error:
        if isinstance(error, Outage) or not is_outage(error):
            raise
        outage = Outage(describe_error(error))
        outage.is_stale_connection = any(isinstance(cause, _STALE_ERRORS) for cause in _causes(error))
        raise outage from error
    finally:
        _cancel_without_waiting(task)


async def _is_postgres_alive(probe: Probe) -> bool:
    task = asyncio.ensure_future(probe())
    try:
        # In steps, of which each counts once however late it ends: what this process was late by, because it
        # computed or had no processor, says nothing about Postgres.
        for _ in range(round(PROBE_TIMEOUT_S / _PROBE_STEP_S)):
            done, _ = await asyncio.wait({task}, timeout=_PROBE_STEP_S)
            if done:
                return not task.cancelled() and task.exception() is None
        return False
    finally:
        _cancel_without_waiting(task)


def _cancel_without_waiting(task: "asyncio.Future[Any]") -> None:
    """Cancel a task and do not wait for it. Its exception is discarded."""
    if not task.done():
        task.cancel()
        _CANCELLED_TASKS.add(task)
        task.add_done_callback(_forget_cancelled_task)


def _forget_cancelled_task(task: "asyncio.Future[Any]") -> None:
    _CANCELLED_TASKS.discard(task)
    if not task.cancelled():
        task.exception()


async def run_read(database: Database, work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run a read in one transaction. Raises ``Outage`` within about a second if Postgres is away."""
    return await retry_stale_connection(lambda: database.run(work), database.ping, timeout_s=10)
