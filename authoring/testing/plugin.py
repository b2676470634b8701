"""The pytest plugin with the fixtures ``shop`` and ``shopper``; for ``pytest_plugins`` of a conftest."""

import inspect
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from authoring.testing.shared_memory import shared_memory_folder
from authoring.testing.shop import Shop
from authoring.testing.shopper import Shopper
from journeys.vocabulary import Journey
from local.postgres import EmbeddedPostgres, temporary_database
from local.temporal_server import TemporalDevServer
from profiles.db.migrate import upgrade_schema

_SESSION_LOOP_FIXTURES = frozenset({"shop", "shopper", "database_url", "temporal"})

_NON_DURABLE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "128MB"}
"""Postgres settings without durability against a power failure: test data need only survive a ``kill -9``."""

_COPY_STRATEGY = "" if os.environ.get("DATABASE_URL") else "STRATEGY file_copy"
"""The cheaper way to copy a database if a checkpoint costs nothing, which may not hold on another server."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "journeys: which journeys the shop of this test runs; see authoring.testing.with_journeys"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Run tests that use the shop on the event loop of its servers, whatever mode pytest-asyncio is in."""
    if isinstance(obj, Journey):
        # pytest would take a class in a marker for the object to mark, and lose the test itself.
        raise pytest.UsageError(
            f"{name}: write @with_journeys(…) of authoring.testing, not @pytest.mark.journeys"
        )
    if not inspect.iscoroutinefunction(obj) or not collector.istestfunction(obj, name):  # type: ignore[attr-defined]
        return
    if _SESSION_LOOP_FIXTURES.intersection(inspect.signature(obj).parameters):
        marks = [mark for mark in getattr(obj, "pytestmark", []) if mark.name != "asyncio"]
        obj.pytestmark = [*marks, pytest.mark.asyncio(loop_scope="session").mark]  # type: ignore[attr-defined]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """URL of a server on which databases may be created: that of DATABASE_URL, else an embedded one."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with shared_memory_folder() as memory:
        folder: Path = memory or tmp_path_factory.mktemp("postgres")
        async with EmbeddedPostgres(folder, settings=_NON_DURABLE_SETTINGS) as server:
            yield server.url("postgres")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(postgres: str) -> AsyncIterator[str]:
    """Name of a migrated database that serves as the template."""
    async with temporary_database(postgres, "waypost_template") as url:
        await upgrade_schema(url)
        yield urlsplit(url).path[1:]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_connection(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection to the server, which creates and drops the databases of all tests."""
    connection = await asyncpg.connect(postgres)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(
    postgres: str, migrated: str, postgres_connection: asyncpg.Connection
) -> AsyncIterator[str]:
    """URL of an empty, migrated database for this test alone."""
    options = f"TEMPLATE {migrated} {_COPY_STRATEGY}"
    async with temporary_database(postgres, "test", options, connection=postgres_connection) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[TemporalDevServer]:
    """A Temporal server that supports time skipping in runs."""
    async with TemporalDevServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def shop(
    request: pytest.FixtureRequest, database_url: str, temporal: TemporalDevServer
) -> AsyncIterator[Shop]:
    """A shop that opens at its first use; ``shop(starts_at=…)`` configures it before."""
    running = Shop(database_url, temporal.client)
    if (marker := request.node.get_closest_marker("journeys")) is not None:
        running(journeys=marker.args)
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shopper(shop: Shop) -> Shopper:
    """A shopper in Europe/Berlin with all consents granted."""
    return await shop.shopper()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the timelines of its shoppers to the report of a failed test."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        for each in getattr(item, "funcargs", {}).values():
            if isinstance(each, Shop):
                for shopper in each.shoppers:
                    report.sections.append((f"timeline of {shopper.name}", str(shopper.timeline)))
