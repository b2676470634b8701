"""Transactions: real ones, tried again after a conflict, on connections that are alive."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from profiles.db.database import Database, async_url, is_conflict


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database_url: str) -> AsyncIterator[Database]:
    """A pool of one connection, so that each transaction follows the one before on the same one."""
    pool = Database(database_url, pool_size=1)
    yield pool
    await pool.close()


async def test_what_is_written_before_an_error_is_not_kept(database: Database) -> None:
    async def fails(connection: Any) -> None:
        await connection.execute("CREATE TABLE kept ()")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(fails)
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT to_regclass('kept')") is None


async def test_locks_are_held_until_the_end_of_the_transaction(database: Database) -> None:
    async with database.transaction() as one:
        await one.execute("SELECT pg_advisory_xact_lock(1)")
        async with database.transaction() as other:
            assert await other.fetchval("SELECT pg_try_advisory_xact_lock(1)") is False


async def test_a_deadlock_is_fought_out_unseen(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "CREATE TABLE pot (n int PRIMARY KEY, drops int); INSERT INTO pot VALUES (1, 0), (2, 0)"
        )
    met = asyncio.Barrier(2)
    tries: list[int] = []

    def pours(first: int, second: int) -> Any:
        async def work(connection: Any) -> None:
            tries.append(first)
            await connection.execute("UPDATE pot SET drops = drops + 1 WHERE n = $1", first)
            if len(tries) <= 2:
                await met.wait()
            await connection.execute("UPDATE pot SET drops = drops + 1 WHERE n = $1", second)

        return work

    await asyncio.gather(database.run(pours(1, 2)), database.run(pours(2, 1)))

    assert len(tries) == 3
    async with database.transaction() as connection:
        assert [row["drops"] for row in await connection.fetch("SELECT drops FROM pot")] == [2, 2]


async def test_another_error_is_not_tried_again(database: Database) -> None:
    tries: list[int] = []

    async def work(connection: Any) -> None:
        tries.append(1)
        await connection.execute("SELECT 1/0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await database.run(work)
    assert tries == [1]


async def test_connections_that_died_in_the_pool_are_replaced(database: Database) -> None:
    async def pid(connection: Any) -> int:
        await asyncio.sleep(0.05)
        return int(connection.get_server_pid())

    pids = set(await asyncio.gather(*(database.run(pid) for _ in range(5))))
    async with database.transaction() as connection:
        mine = connection.get_server_pid()
        for other in pids - {mine}:
            await connection.fetchval("SELECT pg_terminate_backend($1, 2000)", other)

    again = await asyncio.gather(*(database.run(pid) for _ in range(10)))
    assert len(again) == 10
    assert set(again) & pids <= {mine}


async def test_a_connection_lost_in_the_middle_is_not_used_again(database: Database) -> None:
    async def suicide(connection: Any) -> None:
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await database.run(suicide)
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT 1") == 1


def test_conflicts_are_told_from_other_errors_through_their_causes() -> None:
    wrapped = RuntimeError()
    wrapped.__cause__ = asyncpg.DeadlockDetectedError()

    assert is_conflict(wrapped)
    assert is_conflict(asyncpg.SerializationError())
    assert not is_conflict(asyncpg.UniqueViolationError())


@pytest.mark.parametrize("url", ["", "mysql://u:secret@h/d", "host=x"])
def test_another_databases_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL must look like postgresql://") as refused:
        async_url(url)
    assert "secret" not in str(refused.value)


def test_every_spelling_of_a_postgres_url_is_understood() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        assert async_url(f"{scheme}://u@h/d") == "postgresql+asyncpg://u@h/d"


@pytest.mark.parametrize("along", [False, True], ids=["by itself", "along with COMMIT"])
async def test_what_follows_a_transaction_that_was_cancelled_at_any_moment_is_kept(
    pool: Database, along: bool
) -> None:
    kept = 0

    async def write() -> None:
        async with pool.transaction() as connection:
            if along:
                await pool.commit(connection, "INSERT INTO kept VALUES (1)")
            else:
                await connection.execute("INSERT INTO kept VALUES (1)")

    async with pool.transaction() as connection:
        await connection.execute("CREATE TABLE kept (n int)")
    for moment in range(60):
        cancelled = asyncio.create_task(write())
        for _ in range(moment):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await write()
        async with pool.transaction() as connection:
            found = await connection.fetchval("SELECT count(*) FROM kept")
        assert found in (kept + 1, kept + 2), f"cancelled after {moment} turns"
        kept = found


async def test_what_goes_along_with_commit_is_kept_whole_or_not_at_all(pool: Database) -> None:
    async with pool.transaction() as connection:
        await connection.execute("CREATE TABLE kept (n int PRIMARY KEY)")

    async def write(first: int, last: int) -> None:
        async with pool.transaction() as connection:
            await connection.execute("INSERT INTO kept VALUES ($1)", first)
            await pool.commit(connection, f"INSERT INTO kept VALUES ({last})")

    await write(1, 2)
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(3, 2)
    await write(4, 5)
    async with pool.transaction() as connection:
        found = await connection.fetch("SELECT n FROM kept ORDER BY n")

    assert [row["n"] for row in found] == [1, 2, 4, 5]


async def test_after_a_failed_statement_that_was_passed_over_nothing_goes_along(pool: Database) -> None:
    async with pool.transaction() as connection:
        await connection.execute("CREATE TABLE kept (n int)")

    async def write() -> None:
        async with pool.transaction() as connection:
            with contextlib.suppress(asyncpg.UndefinedTableError):
                await connection.execute("INSERT INTO nowhere VALUES (1)")
            await pool.commit(connection, "INSERT INTO kept VALUES (1)")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await write()
    async with pool.transaction() as connection:
        found = await connection.fetchval("SELECT count(*) FROM kept")

    assert found == 0
