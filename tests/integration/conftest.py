"""Fixtures of the tests on real Postgres."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from api.http import outage
from authoring.testing.shared_memory import shared_memory_folder
from local.postgres import EmbeddedPostgres, temporary_database
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from profiles.db.migrate import upgrade_schema
from tests.support.deadlines import scaled
from tests.support.environments.api import OpenApi, opened
from tests.support.environments.gate import GateHarness
from tests.support.environments.ingest import IngestHarness


@pytest.fixture(scope="session", autouse=True)
def outage_probe_scaled() -> Iterator[None]:
    """Scale the time in which Postgres answers a probe: on a busy machine it is slow and not away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outage, "PROBE_TIMEOUT_S", scaled(outage.PROBE_TIMEOUT_S))
        yield


@pytest.fixture
def facts(database: Database, request: pytest.FixtureRequest) -> IngestHarness:
    """Ingest on this test's own database, with the journeys that its module lists as ``JOURNEYS``."""
    return IngestHarness(database, *getattr(request.module, "JOURNEYS", ()))


@pytest_asyncio.fixture(loop_scope="session")
async def api(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenApi]:
    """The API on this test's own database, with its module's ``API_SETTINGS`` and without a Temporal."""
    async with opened(database_url, **getattr(request.module, "API_SETTINGS", {})) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_database_url(postgres: str, migrated: str) -> AsyncIterator[str]:
    """URL of a migrated database that the tests of a module share."""
    async with temporary_database(postgres, "test", f"TEMPLATE {migrated}") as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_api(module_database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenApi]:
    """The API on the module's database, for tests of what is refused before anything is written."""
    async with opened(module_database_url, **getattr(request.module, "API_SETTINGS", {})) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def gate_env(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[GateHarness]:
    """Waypost without workers, on this test's own database."""
    async with GateHarness(database_url, temporal.client) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ordered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """A server that keeps the instant of every commit."""
    with shared_memory_folder() as memory:
        folder = memory or tmp_path_factory.mktemp("ordered")
        settings = {"fsync": "off", "track_commit_timestamp": "on"}
        async with EmbeddedPostgres(folder, settings=settings) as server:
            await upgrade_schema(server.database_url)
            yield server


@pytest_asyncio.fixture(loop_scope="session")
async def ordered_database_url(ordered: EmbeddedPostgres) -> AsyncIterator[str]:
    """URL of a migrated database for this test alone that keeps the instant of every commit."""
    async with temporary_database(ordered.url("postgres"), "test", "TEMPLATE waypost") as url:
        yield url
