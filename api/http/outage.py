"""Whether Postgres is away, and answering so within a second instead of waiting for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from profiles.db.database import Database, is_conflict

Result = TypeVar("Result")

Probe = Callable[[], Coroutine[Any, Any, None]]

PROBE_AFTER_S = 0.5
"""Work that takes longer makes us ask whether Postgres is there at all."""

PROBE_TIMEOUT_S = 0.35
"""What a probe may take; with ``SLOW_S`` it stays under the second that the contract promises."""

WORK_TIMEOUT_S = 30.0
"""Work that takes longer is given up even though Postgres answers."""

# SQLSTATE classes: connection, transaction state, resources, operator, system, a schema that is not ours.
_OUTAGE_SQLSTATE_CLASSES = ("08", "25", "53", "57", "58", "42", "55", "XX")


_MAX_STALE_RETRIES = 25
"""More than a pool holds."""


class Outage(Exception):
    """Postgres did not do the work now; the same work may be tried again later."""

    is_stale_connection = False
    """A pooled connection had died since its last use; the next one may be alive."""


def is_outage(error: BaseException) -> bool:
    """Whether trouble with Postgres, not with what was asked of it, is behind an error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Outage | OSError | TimeoutError | PoolTimeout):
            return True
        if isinstance(seen, asyncpg.PostgresError):
            return (seen.sqlstate or "")[:2] in _OUTAGE_SQLSTATE_CLASSES or is_conflict(seen)
        if isinstance(seen, asyncpg.InterfaceError):
            return True
        if isinstance(seen, DBAPIError) and seen.connection_invalidated:
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False


def _is_stale_error(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, asyncpg.InterfaceError | asyncpg.PostgresConnectionError | ConnectionResetError):
            return True
        if isinstance(seen, asyncpg.AdminShutdownError | asyncpg.CrashShutdownError):
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False


def create_probe(database: Database) -> Probe:
    """Asks Postgres for a sign of life."""
    return database.ping


async def retry_stale_connection(
    make_work: Callable[[], Coroutine[Any, Any, Result]], probe: Probe, *, timeout_s: float = WORK_TIMEOUT_S
) -> Result:
    """``watched``, again where a pooled connection turns out dead. ``make`` must be idempotent."""
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
    """Await ``work`` as long as Postgres is alive.

    Raises ``Outage`` about a second after Postgres stopped answering, or when ``patience_s`` is over.
    The work is then cancelled but not waited for: ending a dead connection takes seconds of its own.
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
        outage = Outage(f"{type(error).__name__}: {error}"[:300])
        outage.is_stale_connection = _is_stale_error(error)
        raise outage from error
    finally:
        _cancel_without_waiting(task)


async def _is_postgres_alive(probe: Probe) -> bool:
    task = asyncio.ensure_future(probe())
    try:
        done, _ = await asyncio.wait({task}, timeout=PROBE_TIMEOUT_S)
        return bool(done) and not task.cancelled() and task.exception() is None
    finally:
        _cancel_without_waiting(task)


def _cancel_without_waiting(task: "asyncio.Future[Any]") -> None:
    """Let a task end by itself; its exception is nobody's any more."""
    if not task.done():
        task.cancel()
        _CANCELLED_TASKS.add(task)
        task.add_done_callback(_forget_cancelled_task)


_CANCELLED_TASKS: set["asyncio.Future[Any]"] = set()
"""Cancelled work on its way out; kept here because the event loop holds tasks only weakly."""


def _forget_cancelled_task(task: "asyncio.Future[Any]") -> None:
    _CANCELLED_TASKS.discard(task)
    if not task.cancelled():
        task.exception()


async def run_read(database: Database, work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run a read in one transaction. Raises ``Outage`` within about a second when Postgres is away."""
    return await retry_stale_connection(lambda: database.run(work), create_probe(database), timeout_s=10)
