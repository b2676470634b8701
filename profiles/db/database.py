"""The one way to Postgres: pooled connections, and transactions that are tried again after a deadlock."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Result = TypeVar("Result")

_MAX_ATTEMPTS = 8

# The first lock of its transaction, and nobody who holds another waits for it.
_LOCK_RETRY_QUEUE = "SELECT pg_advisory_xact_lock(hashtext('waypost: again'))"

_INDEX_SCAN_SETTINGS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Every statement looks up some rows by an index. A plan that Postgres makes while a table is young reads all
of it, and is kept by the connection while the table grows: ingest then slows down until the next ANALYZE."""


def async_url(database_url: str) -> str:
    """The SQLAlchemy form of a postgresql:// URL.

    Raises ValueError when the URL is missing or names another database.
    """
    scheme, separator, rest = database_url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        shown = f"{scheme}://…" if separator else "nothing"
        raise ValueError(
            f"DATABASE_URL must look like postgresql://user:password@host:port/name; got {shown}. "
            "`waypost dev` brings a database of its own."
        )
    return f"postgresql+asyncpg://{rest}"


class Database:
    """A connection pool. Build one per process, close it at the end."""

    def __init__(self, database_url: str, *, pool_size: int = 10) -> None:
        self.engine: AsyncEngine = create_async_engine(
            async_url(database_url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=5,
            # Who was used last is the warmest: its plans and pages are still in the caches of a processor.
            pool_use_lifo=True,
            # asyncpg ends our transactions itself; the pool has nothing left to roll back.
            pool_reset_on_return=None,
            connect_args={
                "timeout": 3,
                "server_settings": {"application_name": "waypost", "jit": "off", **_INDEX_SCAN_SETTINGS},
            },
        )

    @asynccontextmanager
    async def transaction(
        self, first_statement: str = "", timeout_s: float | None = None
    ) -> AsyncIterator[Any]:
        """One READ COMMITTED transaction on a bare asyncpg connection; commits on a clean exit if not before.

        ``first``: a statement without parameters that goes along with BEGIN, in the same round trip, and
        whose rows are not returned; ``within_s``: TimeoutError where the two take longer. A connection lost
        on the way raises an asyncpg error or an OSError, and is not used again; nor is one whose BEGIN was
        cancelled. Raises ``InFailedSQLTransactionError`` where an error of a statement was passed over, since
        Postgres then keeps nothing.
        """
        async with self.engine.connect() as pooled:
            connection = await _open_connection(pooled)
            begun = False
            try:
                # SQLAlchemy sends a BEGIN only before statements of its own cursors.
                await connection.execute(
                    f"BEGIN; {first_statement}" if first_statement else "BEGIN", timeout=timeout_s
                )
                begun = True
                try:
                    yield connection
                except BaseException:
                    await _roll_back(connection)
                    raise
                if connection.is_in_transaction():
                    await self.commit(connection)
            except Exception as error:
                # A dying connection also raises asyncpg's internal and the event loop's own errors.
                internal = isinstance(error, asyncpg.InternalClientError)
                if internal or (_is_unusable(connection) and not isinstance(error, _CONNECTION_ERRORS)):
                    raise ConnectionResetError(f"the connection to Postgres was lost: {error!r}") from error
                raise
            finally:
                if not begun or _is_unusable(connection):
                    await pooled.invalidate()

    async def run(
        self,
        operation: Callable[[Any], Awaitable[Result]],
        first_statement: str = "",
        timeout_s: float | None = None,
    ) -> Result:
        """Run ``work`` in a transaction; after a deadlock or serialization failure, the whole again.

        ``first``, ``within_s``: see ``transaction``. Those who run again take turns, so that they
        meet only newcomers. ``work`` may run several times and must keep nothing from an earlier try.
        """
        attempt = 1
        while True:
            try:
                opening = first_statement if attempt == 1 else f"{_LOCK_RETRY_QUEUE}; {first_statement}"
                async with self.transaction(opening, timeout_s) as connection:
                    return await operation(connection)
            except Exception as error:
                if attempt == _MAX_ATTEMPTS or not is_conflict(error):
                    raise
            # Jitter keeps two transactions that met once from meeting again.
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311 - not a secret
            attempt += 1

    async def commit(self, connection: Any, last_statement: str = "") -> None:
        """End a transaction; ``last``: its last statement, without parameters, in the same round trip.

        Raises ``InFailedSQLTransactionError`` where Postgres keeps nothing since a statement had failed.
        """
        if await connection.execute(f"{last_statement}; COMMIT" if last_statement else "COMMIT") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError("rolled back: a statement had failed before")

    async def ping(self) -> None:
        """Ask Postgres for a sign of life. Raises what ``transaction`` raises where there is none."""
        async with self.transaction() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


_CONNECTION_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


def _is_unusable(connection: Any) -> bool:
    return bool(connection.is_closed() or connection.is_in_transaction())


async def _roll_back(connection: Any) -> None:
    # What came before tells more than a connection that takes no ROLLBACK, and is not used again.
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.execute("ROLLBACK")


async def _open_connection(pooled: AsyncConnection) -> Any:
    """The asyncpg connection behind a pooled one; those that died in the pool are replaced on the way."""
    while True:
        connection: Any = (await pooled.get_raw_connection()).driver_connection
        if not connection.is_closed():
            return connection
        await pooled.invalidate()


async def server_of(connection: Any) -> tuple[str, str]:
    """Return the server's version, and the provider of the database's locale ("b": builtin)."""
    version: str = await connection.fetchval("SHOW server_version")
    provider: str = await connection.fetchval(
        "SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()"
    )
    return version, provider


def is_conflict(error: BaseException) -> bool:
    """Whether Postgres gave this transaction up for another one (40P01, 40001)."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False
