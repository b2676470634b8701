"""Privileges of the Postgres role under which Waypost's processes run, if it does not own the tables."""

from sqlalchemy import Connection, text

from profiles.db.migrate import MIGRATION_LOCK_KEY, open_transaction

READ_ONLY_TABLES = ("alembic_version",)

APPEND_ONLY_TABLES = ("address_log", "identity_log", "kill_switch_log", "run_log")

REASSIGNABLE_LEDGER_TABLES = ("consent", "decision")
"""Ledgers of which only ``profile_id`` may change, after a merge or a split."""

_SELECT_ROLE_OWNS_TABLES = """
SELECT r.rolsuper OR EXISTS (SELECT 1 FROM pg_tables t WHERE t.schemaname = current_schema()
  AND pg_has_role(r.rolname, t.tableowner, 'MEMBER')) FROM pg_roles r WHERE r.rolname = :role
"""


class RoleOwnsTables(ValueError):
    """The role owns the tables, or may become their owner, so that privileges do not bind it."""


async def grant_app_role(database_url: str, role: str, password: str | None = None) -> bool:
    """Let a role run Waypost, but not change or delete rows of its ledgers. Returns whether the role is new.

    Creates the role if it does not exist. ``database_url`` is the owner's. Call it again after every
    migration: the role has no rights on new tables. Idempotent, in one transaction, so that running
    processes keep their rights. Locks held: the migration lock. Raises ``RoleOwnsTables`` for a role that
    no privilege binds.
    """
    async with open_transaction(database_url) as connection:
        return await connection.run_sync(_grant_role, role, password)


def grant_statements(role: str) -> list[str]:
    """Return the SQL that grants a role its rights in the schema ``public``. ``role`` is already quoted."""
    guarded_tables = ", ".join((*APPEND_ONLY_TABLES, *REASSIGNABLE_LEDGER_TABLES))
    return [
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON {', '.join(READ_ONLY_TABLES)} FROM {role}",
        f"REVOKE UPDATE, DELETE ON {guarded_tables} FROM {role}",
        f"GRANT UPDATE (profile_id) ON {', '.join(REASSIGNABLE_LEDGER_TABLES)} TO {role}",
    ]


def _grant_role(connection: Connection, role: str, password: str | None) -> bool:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK_KEY})
    owns_tables = connection.scalar(text(_SELECT_ROLE_OWNS_TABLES), {"role": role})
    if owns_tables:
        raise RoleOwnsTables(
            f"{role} is a superuser, or owns the tables or may become their owner: no privilege binds it; "
            "name a role of its own, such as waypost_app"
        )
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    if owns_tables is None:
        connection.exec_driver_sql(f"CREATE ROLE {quoted} LOGIN")
    if password is not None:
        # ALTER ROLE takes no parameters, so Postgres quotes name and password.
        quoting = "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:word AS text))"
        connection.exec_driver_sql(str(connection.scalar(text(quoting), {"role": role, "word": password})))
    for statement in grant_statements(quoted):
        connection.exec_driver_sql(statement)
    return owns_tables is None
