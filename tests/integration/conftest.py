"""Fixtures of the tests on real Postgres."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from authoring.testing.shared_memory import shared_memory_folder
from local.postgres import EmbeddedPostgres
from local.temporal_server import TemporalDevServer
from profiles.db.migrate import upgrade_schema
from tests.support.environments.gate import GateHarness


@pytest_asyncio.fixture(loop_scope="session")
async def shop(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[GateHarness]:
    """Waypost without workers, on this test's own database."""
    async with GateHarness(database_url, temporal.client) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ordered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """A server that keeps the instant of every commit."""
    with shared_memory_folder() as memory:
        folder = memory or tmp_path_factory.mktemp("ordered")
        server = EmbeddedPostgres(folder, settings={"fsync": "off"})
        async with server:
            connection = await asyncpg.connect(server.url("postgres"))
            await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            await connection.close()
        async with server:
            await upgrade_schema(await server.create_database("template_of_tests"))
            yield server
