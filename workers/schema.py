"""Wait until Postgres is there, and refuse a database that this code cannot work on."""

import asyncio

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from profiles.migrate import OldSchema, check_schema
from workers.faults import Fault

log = structlog.get_logger(__name__)

_REFUSED = ("28", "3D")
"""SQLSTATE classes of a refused login and of a database that does not exist: waiting cannot help."""


async def until_schema_fits(database_url: str, *, again_in_s: float = 1.0) -> None:
    """Return once the database is at the revision this code needs.

    Postgres away: waits for it, and says so. Raises ``Fault``, saying what to do, for a schema that is
    missing, older or newer, and for a login or database name that Postgres refuses.
    """
    while True:
        try:
            await check_schema(database_url)
        except OldSchema as error:
            raise Fault(str(error)) from error
        except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if _sqlstate(error)[:2] in _REFUSED:
                raise Fault(f"Postgres refuses DATABASE_URL: {error}; correct it") from error
            log.warning("Postgres is not there yet", error=repr(error)[:200], again_in_s=again_in_s)
            await asyncio.sleep(again_in_s)
        else:
            return


def _sqlstate(error: BaseException) -> str:
    """Postgres's code, also of an error that SQLAlchemy has wrapped."""
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")
