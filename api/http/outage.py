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

SLOW_S = 0.5
"""Work that takes longer makes us ask whether Postgres is there at all."""

PROBE_S = 0.35
"""What a probe may take; with ``SLOW_S`` it stays under the second that the contract promises."""

PATIENCE_S = 30.0
"""Work that takes longer is given up even though Postgres answers."""

# SQLSTATE classes: connection, transaction state, resources, operator, system, a schema that is not ours.
_AWAY = ("08", "25", "53", "57", "58", "42", "55", "XX")


_STALE_TRIES = 25
"""More than a pool holds."""


class Outage(Exception):
    """Postgres did not do the work now; the same work may be tried again later."""

    stale = False
    """A pooled connection had died since its last use; the next one may be alive."""


def is_outage(error: BaseException) -> bool:
    """Whether trouble with Postgres, not with what was asked of it, is behind an error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Outage | OSError | TimeoutError | PoolTimeout):
            return True
        if isinstance(seen, asyncpg.PostgresError):
            return (seen.sqlstate or "")[:2] in _AWAY or is_conflict(seen)
        if isinstance(seen, asyncpg.InterfaceError):
            return True
        if isinstance(seen, DBAPIError) and seen.connection_invalidated:
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False


def _is_stale(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, asyncpg.InterfaceError | asyncpg.PostgresConnectionError | ConnectionResetError):
            return True
        if isinstance(seen, asyncpg.AdminShutdownError | asyncpg.CrashShutdownError):
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False


def probe_of(database: Database) -> Probe:
    """Asks Postgres for a sign of life."""
    return database.ping


async def persistent(
    make: Callable[[], Coroutine[Any, Any, Result]], probe: Probe, *, patience_s: float = PATIENCE_S
) -> Result:
    """``watched``, again where a pooled connection turns out dead. ``make`` must be idempotent."""
    for _ in range(_STALE_TRIES):
        try:
            return await watched(make(), probe, patience_s=patience_s)
        except Outage as outage:
            if not outage.stale:
                raise
    raise Outage("one connection after the other breaks")


async def watched(
    work: Coroutine[Any, Any, Result], probe: Probe, *, patience_s: float = PATIENCE_S
) -> Result:
    """Await ``work`` as long as Postgres is alive.

    Raises ``Outage`` about a second after Postgres stopped answering, or when ``patience_s`` is over.
    The work is then cancelled but not waited for: ending a dead connection takes seconds of its own.
    """
    task = asyncio.ensure_future(work)
    try:
        until = asyncio.get_running_loop().time() + patience_s
        while not (await asyncio.wait({task}, timeout=SLOW_S))[0]:
            if asyncio.get_running_loop().time() > until or not await _alive(probe):
                raise Outage("Postgres does not answer in time")
        return task.result()
    except Exception as error:
        if isinstance(error, Outage) or not is_outage(error):
            raise
        outage = Outage(f"{type(error).__name__}: {error}"[:300])
        outage.stale = _is_stale(error)
        raise outage from error
    finally:
        _abandon(task)


async def _alive(probe: Probe) -> bool:
    task = asyncio.ensure_future(probe())
    try:
        done, _ = await asyncio.wait({task}, timeout=PROBE_S)
        return bool(done) and not task.cancelled() and task.exception() is None
    finally:
        _abandon(task)


def _abandon(task: "asyncio.Future[Any]") -> None:
    """Let a task end by itself; its exception is nobody's any more."""
    if not task.done():
        task.cancel()
        _ENDING.add(task)
        task.add_done_callback(_ended)


_ENDING: set["asyncio.Future[Any]"] = set()
"""Cancelled work on its way out; kept here because the event loop holds tasks only weakly."""


def _ended(task: "asyncio.Future[Any]") -> None:
    _ENDING.discard(task)
    if not task.cancelled():
        task.exception()


async def reading(database: Database, work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run a read in one transaction. Raises ``Outage`` within about a second when Postgres is away."""
    return await persistent(lambda: database.run(work), probe_of(database), patience_s=10)
