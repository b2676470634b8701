"""Database access of the commands: connection with readable errors, identifiers, actor, and the app role."""

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from api.settings import ApiSettings
from profiles.db import roles
from profiles.db.database import Database
from profiles.db.roles import RoleOwnsTables
from profiles.errors import InvalidRequest, NoChange, NotFound
from profiles.identity.identifiers import identifier_key as key_of
from profiles.identity.identifiers import normalize_identifier
from workers.errors import UserError
from workers.settings import WorkerSettings

_SCHEMA_ERRORS = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


@asynccontextmanager
async def open_database() -> AsyncIterator[Database]:
    """Open the database of the settings and close it at the end.

    Raises ``UserError`` for every error that a user can correct, those raised inside the block included.
    """
    try:
        database = Database(WorkerSettings().database_url, pool_size=1)
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        yield database
    except (NotFound, InvalidRequest) as refusal:
        raise UserError(f"{refusal}.") from refusal
    except NoChange as refusal:
        raise UserError(f"{refusal}; nothing was changed.") from refusal
    except _SCHEMA_ERRORS as error:
        raise UserError(f"the database is of another version: {error}\nRun `waypost migrate`.") from error
    except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UserError(f"the database does not answer: {error}\nCheck DATABASE_URL.") from error
    finally:
        await database.close()


def parse_identifier(kind: str, value: str) -> str:
    """Return the key (type:value) of an identifier in any spelling. Raises ``UserError``."""
    try:
        return key_of(kind, normalize_identifier(kind, value, region=ApiSettings().region))
    except ValueError as error:
        raise UserError(f"this is no valid identifier: {error}") from error


def current_actor() -> str:
    """Return the actor to record in logs: "command/<user name>"."""
    try:
        return f"command/{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return "command"


def grant_app_role(database_url: str, role: str, password: SecretStr | None) -> str:
    """Grant a role the rights of Waypost's processes; returns the sentence to print.

    Raises ``UserError`` for a role that owns the tables, since grants do not restrict it.
    """
    secret = password.get_secret_value() if password else None
    try:
        new = asyncio.run(roles.grant_app_role(database_url, role, secret))
    except RoleOwnsTables as refusal:
        raise UserError(f"{refusal}.") from refusal
    text = f" Role {role} {'was made and ' if new else ''}may run Waypost, and only add to its ledgers."
    if new and password is None:
        text += " It has no password yet: set DATABASE_APP_PASSWORD and migrate again, or ALTER ROLE."
    return text
