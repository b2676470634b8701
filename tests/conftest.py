"""Real servers come with the testing kit; here is what only our own tests use besides."""

import gc
import os
import sys
from collections.abc import AsyncIterator, Generator
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from authoring.testing.environment import Waypost
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from tests.support.deadlines import scaled

pytest_plugins = ["authoring.testing.plugin"]


# Processes that tests start must find bytecode and write it, or each of them compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile(
    "waypost",
    deadline=timedelta(seconds=scaled(1)),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("waypost")

_LEVELS = ("acceptance", "journeys", "integration", "unit")
"""The levels of tests, the one with the longest files first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that at the end no process works alone on one of them."""
    items.sort(key=lambda item: next((n for n, level in enumerate(_LEVELS) if level in item.path.parts), 0))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, which also need not look at what was collected later on.

    Modules and tests stay to the end; looking at them again and again took a seventh of the time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on this test's own database."""
    pool = Database(database_url)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def waypost(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Waypost]:
    """All of Waypost in this process, with the shipped journeys, on this test's own database."""
    async with Waypost(database_url, temporal.client) as running:
        yield running
