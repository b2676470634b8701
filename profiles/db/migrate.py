"""Migrations: upgrade the schema, one process at a time, write a migration, compare the revisions."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from profiles.db.database import async_url

if TYPE_CHECKING:
    # Importing alembic takes a tenth of the start of a process. Only a migration needs it.
    from alembic.config import Config

_MIGRATIONS_DIR = Path(__file__).parent / "migrations"

_REVISIONS = _MIGRATIONS_DIR / "versions"

MIGRATION_LOCK_KEY = 727_001
"""Key of the advisory lock that migrations and grants of privileges take."""


class SchemaMismatch(RuntimeError):
    """The database's schema is not the one this code needs."""


@asynccontextmanager
async def open_transaction(database_url: str) -> AsyncIterator[AsyncConnection]:
    """Open a connection of its own, in a transaction; commit on a clean exit."""
    engine = create_async_engine(async_url(database_url), poolclass=NullPool, hide_parameters=True)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def _alembic_config(connection: Connection | None = None, folder: Path = _REVISIONS) -> "Config":
    from alembic.config import Config

    config = Config()
    config.attributes["connection"] = connection
    config.set_main_option("script_location", str(_MIGRATIONS_DIR))
    config.set_main_option("path_separator", "os")
    config.set_main_option(
        "version_locations", os.pathsep.join(dict.fromkeys((str(_REVISIONS), str(folder))))
    )
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def head_revision() -> str:
    """Return the revision that this code needs: the highest number of a migration's file."""
    return max(_known_revisions())


def _known_revisions() -> frozenset[str]:
    revisions = frozenset(file.name[:4] for file in _REVISIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))
    if not revisions:
        raise RuntimeError(f"no migrations under {_MIGRATIONS_DIR}")
    return revisions


def _run_upgrade(connection: Connection) -> None:
    from alembic import command

    # An advisory lock, so that processes that start at the same time migrate one after the other.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK_KEY})
    command.upgrade(_alembic_config(connection), "head")


def _read_revision(connection: Connection) -> str | None:
    if not connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


async def upgrade_schema(database_url: str) -> None:
    """Apply all missing migrations in one transaction. Idempotent."""
    async with open_transaction(database_url) as connection:
        await connection.run_sync(_run_upgrade)


async def new_revision(database_url: str, message: str, folder: Path = _REVISIONS) -> Path:
    """Write a migration from the newest revision to the declared tables. Returns the file.

    The file needs a review. Alembic sees tables, columns, indexes and constraints, but no functions. It
    treats a renamed column as a dropped and an added one. If nothing differs, the migration is empty.
    Raises alembic's ``CommandError`` if the database is at an older revision.
    """
    async with open_transaction(database_url) as connection:
        return await connection.run_sync(_new_revision, message, folder)


def _new_revision(connection: Connection, message: str, folder: Path) -> Path:
    from alembic import command
    from alembic.script import Script

    config, number = _alembic_config(connection, folder), int(head_revision()) + 1
    written = command.revision(
        config, message, autogenerate=True, rev_id=f"{number:04}", version_path=str(folder)
    )
    if not isinstance(written, Script):
        raise RuntimeError(f"expected one migration, got {written!r}")
    return Path(written.path)


async def schema_revisions(database_url: str) -> tuple[str | None, str]:
    """Return (revision of the database, revision that this code needs)."""
    async with open_transaction(database_url) as connection:
        return await connection.run_sync(_read_revision), head_revision()


async def revision_of(connection: Any) -> str | None:
    """Return the revision of the database behind a connection; None if it was never migrated."""
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def check_schema(database_url: str) -> None:
    """Raise ``SchemaMismatch``, with what to do, if the database is not at the revision this code needs."""
    actual, needed = await schema_revisions(database_url)
    if actual == needed:
        return
    if actual is not None and actual not in _known_revisions():
        raise SchemaMismatch(
            f"the database is at revision {actual}, which this code does not know (its newest is {needed}); "
            "deploy the code that migrated it, or newer"
        )
    raise SchemaMismatch(
        f"the database is at revision {actual or 'none'}, this code needs {needed}; run `waypost migrate`"
    )
