"""Real servers come with the testing kit; here is what only our own tests use besides."""

import gc
import sys
from collections.abc import AsyncIterator

import pytest_asyncio
from hypothesis import settings

from profiles.database import Database
from tests.proofs import size
from tests.waypost import Waypost
from workers.stack.temporal import TemporalDevServer

pytest_plugins = ["workers.testing.plugin"]

if "tests.mutation.trials" not in sys.modules:
    # Every run of all tests draws others, but for a build server's; mutants bring settings of their own.
    settings.register_profile("waypost", settings(), max_examples=size(ci=40, full=100))
    settings.load_profile("waypost")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again."""
    gc.freeze()


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
