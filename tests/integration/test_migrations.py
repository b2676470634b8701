"""The schema: one migration, the same as the tables say, and a clear word where it is missing or old."""

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, String, text
from sqlmodel import SQLModel

import profiles.tables
from profiles.database import Database
from profiles.migrate import OldSchema, check_schema, current_async, head, upgrade_async


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    def differs(*types: Any) -> bool | None:
        # SQLModel's AutoString has no length either: to Postgres both are text.
        return False if all(isinstance(getattr(kind, "impl", kind), String) for kind in types[-2:]) else None

    def differences(connection: Connection) -> list[object]:
        opts = {"compare_type": differs, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=opts), SQLModel.metadata))

    assert profiles.tables.__all__
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_migrated_database_passes_and_migrating_again_changes_nothing(database_url: str) -> None:
    await upgrade_async(database_url)
    await check_schema(database_url)

    assert await current_async(database_url) == (head(), head())


async def test_processes_that_migrate_at_once_wait_for_each_other(
    database_url: str, database: Database
) -> None:
    await emptied(database)
    await asyncio.gather(*(upgrade_async(database_url) for _ in range(3)))

    await check_schema(database_url)


@pytest.mark.parametrize(
    ("revision", "word"),
    [
        pytest.param(None, f"none, this code needs {head()}; run `waypost migrate`", id="a missing schema"),
        pytest.param("9999", "revision 9999, which this code does not know", id="a newer schema"),
    ],
)
async def test_a_schema_that_does_not_fit_is_named_with_what_to_do(
    database_url: str, database: Database, revision: str | None, word: str
) -> None:
    await emptied(database)
    if revision:
        async with database.engine.begin() as connection:
            await connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            await connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})

    with pytest.raises(OldSchema, match=word):
        await check_schema(database_url)


async def emptied(database: Database) -> None:
    """No table is left."""
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
