"""Savepoints: rows and events that Postgres refuses are left out, and the rest of the transaction stands."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg
import orjson

from profiles.db.sql import encode_jsonb

_SAVEPOINT = "waypost_part"

_ONE_BY_ONE: ContextVar[bool] = ContextVar("one_by_one", default=False)

_EXECUTE_FOR_EACH = "SELECT row_number, error FROM execute_for_each($1, $2)"


def is_invalid_data(error: BaseException) -> bool:
    """Return whether something can never be stored; for any other error it can be tried again later."""
    if isinstance(error, asyncpg.PostgresError):
        # 22 data, 23 constraint, 54 a limit of Postgres's own.
        return (error.sqlstate or "")[:2] in ("22", "23", "54")
    if isinstance(error, asyncpg.InterfaceError | OSError):
        return False
    return isinstance(error, ValueError | OverflowError | RecursionError | orjson.JSONEncodeError)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Have the rows that are written inside of the block refused one by one, which costs more."""
    token = _ONE_BY_ONE.set(True)
    try:
        yield
    finally:
        _ONE_BY_ONE.reset(token)


def is_one_by_one() -> bool:
    """Return whether a row that Postgres refuses is left out, and the rest of the transaction stands."""
    return _ONE_BY_ONE.get()


@asynccontextmanager
async def savepoint(connection: Any, on_invalid: Callable[[Exception], object]) -> AsyncIterator[None]:
    """Run a part of a transaction. Data that cannot be stored undoes this part alone.

    ``on_invalid`` gets the error. All other errors are raised. Savepoints may be nested.
    """
    await connection.execute(f"SAVEPOINT {_SAVEPOINT}")
    try:
        yield
    except Exception as error:
        if not is_invalid_data(error):
            raise
        await connection.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        on_invalid(error)
    await connection.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")


async def execute_for_each(connection: Any, statement: str, rows: Sequence[Any]) -> dict[int, str]:
    """Run a statement for each row alone, in order; return position → error of the rows that it refuses.

    ``statement`` has one parameter, a JSON array of rows, and no result. One round trip: each row is a
    subtransaction in Postgres, which costs about 20 µs.
    """
    refused: dict[int, str] = {}
    encoded: list[str] = []
    positions: list[int] = []
    for position, row in enumerate(rows):
        try:
            text = encode_jsonb([row])
        except (TypeError, ValueError, OverflowError) as error:
            refused[position] = repr(error)
        else:
            encoded.append(text)
            positions.append(position)
    if encoded:
        for failed in await connection.fetch(_EXECUTE_FOR_EACH, statement, encoded):
            refused[positions[failed["row_number"]]] = failed["error"]
    return refused
