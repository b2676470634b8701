"""The ingest paths that ``bench.ingest`` compares: HTTP, its components in this process, bare inserts."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import orjson

from api.batching import Batcher
from api.events.native import parse_native_event
from bench.bare_ingest import CREATE_TABLE, insert_many, insert_one, open_connections
from bench.concurrency import ItemWorker, time_workers
from bench.events import EventBody
from bench.servers import SERVER_HEADERS, BenchProcesses
from journeys.registry import load_journeys
from profiles.db.database import Database
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.state.event_records import IncomingEvent

CONCURRENCY = 16
"""Number of connections for events sent one by one."""

IngestFunction = Callable[[Sequence[IncomingEvent]], Awaitable[list[IngestResult]]]

_JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class IngestPath:
    """An ingest path: sends events one by one or in batches. Both methods return seconds.

    Requests are made outside of the measured time, as the channel's work.
    """

    singles_workers: Sequence[ItemWorker[Any]]
    """Each sends one request at a time, with one event."""
    batch_worker: ItemWorker[Any]
    make_single: Callable[[EventBody], object] = lambda event: event
    make_batch: Callable[[Sequence[EventBody]], object] = lambda batch: batch

    async def singles(self, events: Sequence[EventBody]) -> float:
        """Send each event in its own request, ``CONCURRENCY`` at once."""
        return await time_workers([self.make_single(event) for event in events], self.singles_workers)

    async def batches(self, batches: Sequence[Sequence[EventBody]]) -> float:
        """Send one batch after the other."""
        return await time_workers([self.make_batch(batch) for batch in batches], [self.batch_worker])


def http_path(session: aiohttp.ClientSession) -> IngestPath:
    """Return the path of a channel's HTTP requests."""
    post = partial(post_accepted, session)
    return IngestPath([post] * CONCURRENCY, post, orjson.dumps, lambda batch: orjson.dumps({"events": batch}))


def in_process_path(ingest: IngestFunction) -> IngestPath:
    """Return the path of the same events to an ingest function in this process."""
    worker = partial(ingest_batch, ingest)
    return IngestPath([worker] * CONCURRENCY, worker, lambda event: [event])


async def ingest_batch(ingest: IngestFunction, events: Sequence[EventBody]) -> None:
    """Ingest one request. Raises RuntimeError if one of its events is not accepted."""
    answers = await ingest([parse_event(event) for event in events])
    _require_accepted([answer.status for answer in answers])


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
            "Batcher": in_process_path(batcher.submit),
            "Ingest": in_process_path(ingest.__call__),
            "bare": IngestPath(
                [partial(insert_one, each) for each in connections], partial(insert_many, connections[0])
            ),
        }


async def post_accepted(requests: aiohttp.ClientSession, body: bytes) -> None:
    """Send one event or one batch, as JSON. Raises RuntimeError if an event is not accepted."""
    async with requests.post("/v1/events", data=body, headers=_JSON_HEADERS) as answer:
        response = orjson.loads(await answer.read())
        if answer.status != 200:
            raise RuntimeError(f"an event was refused with {answer.status}: {response}")
    _require_accepted([result["status"] for result in response["results"]])


def open_session(processes: BenchProcesses) -> aiohttp.ClientSession:
    """Open a session with up to ``CONCURRENCY`` connections to the API and the write key."""
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    return aiohttp.ClientSession(processes.api_url, connector=connector, headers=SERVER_HEADERS)


def parse_event(event: EventBody) -> IncomingEvent:
    """Return an event as the API parses it. Raises RuntimeError if the API would refuse it."""
    parsed = parse_native_event(event, now=datetime.now(UTC), source="bench", region=None)
    if not isinstance(parsed, IncomingEvent):
        raise RuntimeError(f"a generated event was refused: {parsed.detail}")
    return parsed


def _require_accepted(statuses: Sequence[str]) -> None:
    if any(status != IngestStatus.ACCEPTED for status in statuses):
        raise RuntimeError(f"expected every event to be accepted; got {sorted(set(statuses))}")
