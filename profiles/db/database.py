"""Access to Postgres: pooled connections, and transactions that are retried after a deadlock."""

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

# Always the first lock of its transaction, so no transaction that holds another lock waits for it.
_LOCK_RETRY_QUEUE = "SELECT pg_advisory_xact_lock(hashtext('waypost: again'))"

_INDEX_SCAN_SETTINGS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Every statement looks up few rows by an index. A plan that Postgres makes for a small table reads all rows,
and the connection keeps the plan while the table grows. Ingest would be slow until the next ANALYZE."""

_CONNECTION_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


def async_url(database_url: str) -> str:
    """Return a postgresql:// URL in SQLAlchemy's form. Raises ValueError for a missing or other URL."""
    scheme, separator, rest = database_url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        shown = f"{scheme}://…" if separator else "nothing"
        raise ValueError(
            f"DATABASE_URL must look like postgresql://user:password@host:port/name; got {shown}. "
            "`waypost dev` starts a database of its own."
        )
    return f"postgresql+asyncpg://{rest}"


class Database:
    """A connection pool. Create one per process, close it at the end."""

    def __init__(self, database_url: str, *, pool_size: int = 10) -> None:
        self.engine: AsyncEngine = create_async_engine(
            async_url(database_url),
            pool_size=pool_size,
            # Errors and logs of SQLAlchemy without the values of statements.
            hide_parameters=True,
            max_overflow=pool_size,
            pool_timeout=5,
            # The connection used last first: its plans and pages are still in the processor's caches.
            pool_use_lifo=True,
            # ``transaction`` ends every transaction itself; the pool has nothing to roll back.
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
        """Open a READ COMMITTED transaction on an asyncpg connection; commit on a clean exit if still open.

        ``first_statement`` has no parameters. It is sent with BEGIN in one round trip, and its rows are not
        returned. ``timeout_s`` limits these two, in seconds. Raises TimeoutError when they take longer, and
        an asyncpg error or an OSError when the connection is lost. Raises ``InFailedSQLTransactionError`` if
        the caller ignored a statement's error, since Postgres then commits nothing. A lost connection, or
        one with a cancelled BEGIN, is not used again.
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
                # A connection that is being lost also raises asyncpg's internal errors and the event loop's.
                internal = isinstance(error, asyncpg.InternalClientError)
                if internal or (_is_unusable(connection) and not isinstance(error, _CONNECTION_ERRORS)):
                    raise ConnectionResetError(
                        f"the connection to Postgres was lost: {type(error).__name__}"
                    ) from error
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
        """Run an operation in a transaction; after a deadlock or a serialization failure, retry all of it.

        ``first_statement``, ``timeout_s``: see ``transaction``. ``operation`` may run several times and must
        keep no state of an earlier attempt. Retries take an advisory lock and so run one after the other:
        a retry can conflict only with first attempts. Raises what the last of 8 attempts raised.
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
            # Jitter, so that two transactions that conflicted once do not conflict again.
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311 - not a secret
            attempt += 1

    async def commit(self, connection: Any, last_statement: str = "") -> None:
        """Commit a transaction.

        ``last_statement`` has no parameters and is sent in the same round trip. Raises
        ``InFailedSQLTransactionError`` if Postgres rolled back, since a statement had failed before.
        """
        if await connection.execute(f"{last_statement}; COMMIT" if last_statement else "COMMIT") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError("rolled back: a statement had failed before")

    async def ping(self) -> None:
        """Check that Postgres answers. Raises what ``transaction`` raises if it does not."""
        async with self.transaction() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _is_unusable(connection: Any) -> bool:
    return bool(connection.is_closed() or connection.is_in_transaction())


async def _roll_back(connection: Any) -> None:
    # The original error is more useful than one of ROLLBACK. A connection that fails here is not used again.
    with contextlib.suppress(*_CONNECTION_ERRORS):
        await connection.execute("ROLLBACK")


async def _open_connection(pooled: AsyncConnection) -> Any:
    """Return the asyncpg connection behind a pooled one. Replaces connections that closed in the pool."""
    while True:
        connection: Any = (await pooled.get_raw_connection()).driver_connection
        if not connection.is_closed():
            return connection
        await pooled.invalidate()


async def server_of(connection: Any) -> tuple[str, str]:
    """Return the server's version, and the provider of the database's locale ("b": built in)."""
    version: str = await connection.fetchval("SHOW server_version")
    provider: str = await connection.fetchval(
        "SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()"
    )
    return version, provider


def is_conflict(error: BaseException) -> bool:
    """Return whether Postgres aborted the transaction in favour of another one (40P01, 40001)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
            return True
        cause = cause.__cause__ or getattr(cause, "orig", None)
    return False
