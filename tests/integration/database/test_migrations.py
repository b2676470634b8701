"""The schema: one migration, the same as the tables say, and a clear word where it is missing or old."""

import asyncio
import runpy
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, String, text
from sqlmodel import SQLModel

import profiles.db.tables
from profiles.db import migrate
from profiles.db.database import Database
from profiles.db.migrate import (
    SchemaMismatch,
    check_schema,
    head_revision,
    new_revision,
    schema_revisions,
    upgrade_schema,
)


def differences(connection: Connection) -> list[object]:
    """What the tables say and the database does not have, or the other way round."""

    def types_differ(*types: Any) -> bool | None:
        # SQLModel's AutoString has no length either: to Postgres both are text.
        return False if all(isinstance(getattr(kind, "impl", kind), String) for kind in types[-2:]) else None

    opts = {"compare_type": types_differ, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=opts), SQLModel.metadata))


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    assert profiles.db.tables.__all__
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_new_migration_brings_an_old_database_to_what_the_tables_say(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    def apply(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            runpy.run_path(str(file))["upgrade"]()

    async with database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE kill_switch_log DROP COLUMN reason"))
        await connection.execute(text("DROP INDEX outbox_undelivered"))
    file = await new_revision(database_url, "What was taken away", tmp_path)
    written = file.read_text("utf-8")
    async with database.engine.begin() as connection:
        await connection.run_sync(apply)
        left = await connection.run_sync(differences)

    assert file == tmp_path / f"{int(head_revision()) + 1:04}_what_was_taken_away.py"
    assert f"down_revision = {head_revision()!r}" in written
    assert "op.add_column('kill_switch_log', sa.Column('reason', sa.Text(), nullable=False))" in written
    assert left == []


async def test_a_new_migration_is_empty_where_nothing_differs(database_url: str, tmp_path: Path) -> None:
    file = await new_revision(database_url, "a function", tmp_path)

    assert "op." not in file.read_text("utf-8")


async def test_a_migrated_database_passes_and_migrating_again_changes_nothing(database_url: str) -> None:
    await upgrade_schema(database_url)
    await check_schema(database_url)

    assert await schema_revisions(database_url) == (head_revision(), head_revision())


def test_the_names_of_the_files_say_the_revisions_that_alembic_reads_in_them() -> None:
    scripts = ScriptDirectory.from_config(migrate._alembic_config())

    assert scripts.get_heads() == [head_revision()]
    assert {script.revision for script in scripts.walk_revisions()} == migrate._known_revisions()


async def test_processes_that_migrate_at_once_wait_for_each_other(
    database_url: str, database: Database
) -> None:
    await emptied(database)
    await asyncio.gather(*(upgrade_schema(database_url) for _ in range(3)))

    await check_schema(database_url)


@pytest.mark.parametrize(
    ("revision", "word"),
    [
        pytest.param(
            None, f"none, this code needs {head_revision()}; run `waypost migrate`", id="a missing schema"
        ),
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

    with pytest.raises(SchemaMismatch, match=word):
        await check_schema(database_url)


async def emptied(database: Database) -> None:
    """No table is left."""
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
