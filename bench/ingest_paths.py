"""The ingest paths that ``bench.ingest`` compares: HTTP, its components in this process, bare inserts."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import orjson

from api.batching import Batcher
from api.events.native import parse_native_event
from bench.bare_ingest import CREATE_TABLE, insert_many, insert_one, open_connections
from bench.concurrency import time_workers
from bench.events import EventBody
from bench.servers import WRITE_HEADERS, BenchProcesses
from journeys.registry import load_journeys
from profiles.db.database import Database
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.state.event_records import IncomingEvent

CONCURRENCY = 16
"""Number of connections for events sent one by one."""

IngestFunction = Callable[[Sequence[IncomingEvent]], Awaitable[list[IngestResult]]]

_JSON_HEADERS = {"Content-Type": "application/json"}


class IngestPath(ABC):
    """An ingest path: sends events one by one or in batches. Both methods return seconds."""

    @abstractmethod
    async def singles(self, events: Sequence[EventBody]) -> float:
        """Send each event in its own request, ``CONCURRENCY`` at once."""

    @abstractmethod
    async def batches(self, batches: Sequence[Sequence[EventBody]]) -> float:
        """Send one batch after the other."""


class HttpPath(IngestPath):
    """HTTP requests of a channel. Bodies are encoded outside of the measured time, as the channel's work."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._post = partial(_post_accepted, session)

    async def singles(self, events: Sequence[EventBody]) -> float:
        return await time_workers([orjson.dumps(event) for event in events], [self._post] * CONCURRENCY)

    async def batches(self, batches: Sequence[Sequence[EventBody]]) -> float:
        return await time_workers([orjson.dumps({"events": batch}) for batch in batches], [self._post])


class InProcessPath(IngestPath):
    """The same events, passed to an ingest function in this process."""

    def __init__(self, take: IngestFunction) -> None:
        self._ingest = take

    async def singles(self, events: Sequence[EventBody]) -> float:
        return await time_workers([[event] for event in events], [self.ingest_batch] * CONCURRENCY)

    async def batches(self, batches: Sequence[Sequence[EventBody]]) -> float:
        return await time_workers(batches, [self.ingest_batch])

    async def ingest_batch(self, events: Sequence[EventBody]) -> None:
        """Ingest one request. Raises RuntimeError if one of its events is not accepted."""
        answers = await self._ingest([parse_event(event) for event in events])
        _require_accepted([answer.status for answer in answers])


class BareInsertPath(IngestPath):
    """Inserts by asyncpg into a table with the columns and indexes of ``event``."""

    def __init__(self, connections: Sequence[Any]) -> None:
        self._connections = connections

    async def singles(self, events: Sequence[EventBody]) -> float:
        return await time_workers(events, [partial(insert_one, each) for each in self._connections])

    async def batches(self, batches: Sequence[Sequence[EventBody]]) -> float:
        return await time_workers(batches, [partial(insert_many, self._connections[0])])


@asynccontextmanager
async def open_in_process_paths(url: str) -> AsyncIterator[dict[str, IngestPath]]:
    """Open all paths except HTTP, by name, on pools of the same size."""
    async with AsyncExitStack() as stack:
        database = Database(url, pool_size=CONCURRENCY)
        stack.push_async_callback(database.close)
        ingest = Ingest(database, load_journeys().routes, IngestConfig(local=True))
        batcher = Batcher(ingest.__call__, database.ping)
        stack.push_async_callback(batcher.close)
        connections = await open_connections(url, CONCURRENCY)
        for connection in connections:
            stack.push_async_callback(connection.close)
        await connections[0].execute(CREATE_TABLE)
        yield {
            "Batcher": InProcessPath(batcher.submit),
            "Ingest": InProcessPath(ingest.__call__),
            "bare": BareInsertPath(connections),
        }


async def post_event(requests: aiohttp.ClientSession, event: EventBody) -> None:
    """Send one event. Raises RuntimeError if it is not accepted."""
    await _post_accepted(requests, orjson.dumps(event))


async def _post_accepted(requests: aiohttp.ClientSession, body: bytes) -> None:
    async with requests.post("/v1/events", data=body, headers=_JSON_HEADERS) as answer:
        response = orjson.loads(await answer.read())
        if answer.status != 200:
            raise RuntimeError(f"an event was refused with {answer.status}: {response}")
    _require_accepted([result["status"] for result in response["results"]])


def open_session(processes: BenchProcesses) -> aiohttp.ClientSession:
    """Open a session with up to ``CONCURRENCY`` connections to the API and the write key."""
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    return aiohttp.ClientSession(processes.api_url, connector=connector, headers=WRITE_HEADERS)


def parse_event(event: EventBody) -> IncomingEvent:
    """Return an event as the API parses it. Raises RuntimeError if the API would refuse it."""
    parsed = parse_native_event(event, now=datetime.now(UTC), source="bench", region=None)
    if not isinstance(parsed, IncomingEvent):
        raise RuntimeError(f"a generated event was refused: {parsed.detail}")
    return parsed


def _require_accepted(statuses: Sequence[str]) -> None:
    if any(status != IngestStatus.ACCEPTED for status in statuses):
        raise RuntimeError(f"expected every event to be accepted; got {sorted(set(statuses))}")
