"""Real servers for every test that needs one: Postgres and Temporal started once, a fresh database a test."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from profiles.database import Database
from profiles.ids import new_id
from profiles.migrate import upgrade_async
from tests.waypost import Waypost
from workers.stack.postgres import EmbeddedPostgres
from workers.stack.temporal import TemporalDevServer

TEMPLATE = f"waypost_template_{os.getpid()}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """URL of a server on which databases may be made: DATABASE_URL's, else an embedded one."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    folder: Path = tmp_path_factory.mktemp("postgres")
    async with EmbeddedPostgres(folder) as server:
        yield server.url("postgres")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated(postgres: str) -> AsyncIterator[str]:
    """Name of a migrated database to clone from."""
    await _execute(postgres, f"CREATE DATABASE {TEMPLATE}")
    await upgrade_async(_named(postgres, TEMPLATE))
    yield TEMPLATE
    await _execute(postgres, f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(postgres: str, migrated: str) -> AsyncIterator[str]:
    """URL of an empty, migrated database of this test's own."""
    name = f"test_{new_id().hex}"
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    yield _named(postgres, name)
    await _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on this test's own database."""
    pool = Database(database_url)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[TemporalDevServer]:
    """A Temporal server whose runs can travel in time."""
    async with TemporalDevServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def waypost(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Waypost]:
    """All of Waypost in this process, with the shipped journeys, on this test's own database."""
    async with Waypost(database_url, temporal.client) as running:
        yield running


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _named(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()
