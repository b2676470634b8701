"""How the identity commands reach the facts: one database, errors in words."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from api.settings import ApiSettings
from profiles.db.database import Database
from profiles.db.roles import OwnsTheTables, grant
from profiles.errors import Needless, Senseless, Unknown
from profiles.identity.identifiers import key as key_of
from profiles.identity.identifiers import normalise
from workers.process import Fault
from workers.settings import WorkerSettings

_OF_ANOTHER_VERSION = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


@asynccontextmanager
async def facts() -> AsyncIterator[Database]:
    """The database of the settings, closed at the end. Raises ``Fault`` for all a user can mend."""
    try:
        database = Database(WorkerSettings().database_url, pool_size=1)
    except ValueError as error:
        raise Fault(str(error)) from error
    try:
        yield database
    except (Unknown, Senseless) as refusal:
        raise Fault(f"{refusal}.") from refusal
    except Needless as refusal:
        raise Fault(f"{refusal}; nothing was changed.") from refusal
    except _OF_ANOTHER_VERSION as error:
        raise Fault(f"the database is of another version: {error}\nRun `waypost migrate`.") from error
    except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Fault(f"the database does not answer: {error}\nCheck DATABASE_URL.") from error
    finally:
        await database.close()


def spelled(kind: str, value: str) -> str:
    """The key (type:value) of an identifier in any spelling. Raises ``Fault``."""
    try:
        return key_of(kind, normalise(kind, value, region=ApiSettings().region))
    except ValueError as error:
        raise Fault(f"nobody can have this identifier: {error}") from error


def actor() -> str:
    """Who does something, for the log."""
    try:
        return f"command/{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return "command"


def let(database_url: str, role: str, password: SecretStr | None) -> str:
    """Give a role what Waypost's processes need, and say so. Raises ``Fault`` for one that nothing binds."""
    try:
        new = grant(database_url, role, password.get_secret_value() if password else None)
    except OwnsTheTables as refusal:
        raise Fault(f"{refusal}.") from refusal
    told = f" Role {role} {'was made and ' if new else ''}may run Waypost, and only add to its ledgers."
    if new and password is None:
        told += " It has no password yet: set DATABASE_APP_PASSWORD and migrate again, or ALTER ROLE."
    return told
