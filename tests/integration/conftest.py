"""Fixtures of the tests on real Postgres."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.shop import Shop
from workers.stack.temporal import TemporalDevServer


@pytest_asyncio.fixture(loop_scope="session")
async def shop(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Shop]:
    """Waypost without workers, on this test's own database."""
    async with Shop(database_url, temporal.client) as running:
        yield running
