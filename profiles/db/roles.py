"""What Waypost's own processes may do in Postgres, where they are not the owner of the tables."""

import asyncio

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from profiles.db.database import async_url

READ_ONLY_TABLES = ("alembic_version",)

APPEND_ONLY_TABLES = ("identity_log", "kill_switch_log")

REASSIGNABLE_LEDGER_TABLES = ("consent", "decision")
"""What was said or decided; only whose it is may change, where two people turn out to be one."""

_MIGRATION_LOCK_KEY = 727_001
"""That of the migrations: they and this wait for each other."""

_SELECT_ROLE_OWNS_TABLES = """
SELECT r.rolsuper OR EXISTS (SELECT 1 FROM pg_tables t WHERE t.schemaname = current_schema()
  AND pg_has_role(r.rolname, t.tableowner, 'MEMBER')) FROM pg_roles r WHERE r.rolname = :role
"""


class RoleOwnsTables(ValueError):
    """The role owns the tables, or may become their owner: privileges do not bind it."""


async def grant_app_role_async(database_url: str, role: str, password: str | None = None) -> bool:
    """Let a role run Waypost, and neither change nor delete what is in its ledgers; makes it where missing.

    ``database_url`` is the owner's. Give it again after every migration: new tables are not the role's by
    themselves. Idempotent, in one transaction, so that running processes notice nothing. Returns whether the
    role is new. Raises ``OwnsTheTables`` for a role that no privilege binds.
    """
    engine = create_async_engine(async_url(database_url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_grant_role, role, password)
    finally:
        await engine.dispose()


def grant_app_role_sync(database_url: str, role: str, password: str | None = None) -> bool:
    """``grant_async`` for callers without an event loop."""
    return asyncio.run(grant_app_role_async(database_url, role, password))


def grant_statements(role: str) -> list[str]:
    """The SQL that gives a role, already quoted, its rights in the schema ``public``."""
    return [
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON {', '.join(READ_ONLY_TABLES)} FROM {role}",
        f"REVOKE UPDATE, DELETE ON {', '.join((*APPEND_ONLY_TABLES, *REASSIGNABLE_LEDGER_TABLES))} FROM {role}",
        f"GRANT UPDATE (profile_id) ON {', '.join(REASSIGNABLE_LEDGER_TABLES)} TO {role}",
    ]


def _grant_role(connection: Connection, role: str, password: str | None) -> bool:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK_KEY})
    taken = connection.scalar(text(_SELECT_ROLE_OWNS_TABLES), {"role": role})
    if taken:
        raise RoleOwnsTables(
            f"{role} is a superuser, or owns the tables or may become their owner: no privilege binds it; "
            "name a role of its own, such as waypost_app"
        )
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    if taken is None:
        connection.exec_driver_sql(f"CREATE ROLE {quoted} LOGIN")
    if password is not None:
        said = "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:word AS text))"
        connection.exec_driver_sql(str(connection.scalar(text(said), {"role": role, "word": password})))
    for statement in grant_statements(quoted):
        connection.exec_driver_sql(statement)
    return taken is None
