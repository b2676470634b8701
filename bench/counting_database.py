"""A database pool that counts the statements sent on its connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from profiles.db.database import Database

_BEGIN_AND_COMMIT = 2


class CountingDatabase(Database):
    """A pool that counts statements. Each statement is one round trip, since it waits for its answer."""

    def __init__(self, database_url: str, *, pool_size: int = 10) -> None:
        super().__init__(database_url, pool_size=pool_size)
        self.statement_count = 0

    @asynccontextmanager
    async def transaction(
        self, first_statement: str = "", timeout_s: float | None = None
    ) -> AsyncIterator[Any]:
        async with super().transaction(first_statement, timeout_s) as connection:
            self.statement_count += _BEGIN_AND_COMMIT
            connection.add_query_logger(self._count)
            try:
                yield connection
            finally:
                connection.remove_query_logger(self._count)

    def _count(self, _: object) -> None:
        self.statement_count += 1
