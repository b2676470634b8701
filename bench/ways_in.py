"""The ways into Postgres that ``bench.ingest`` compares: HTTP, its parts in this process, bare inserts."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import orjson

from api.batching import Batcher
from api.events.native import native_event
from api.http.outage import probe_of
from bench.at_once import seconds_for
from bench.bare_ingest import connected, create_table, insert_many, insert_one
from bench.servers import WRITE, Processes
from bench.traffic import Event
from journeys.registry import load
from profiles.db.database import Database
from profiles.ingest.event_store import Ingested, Status
from profiles.ingest.pipeline import Ingest, Rules
from profiles.state.event_records import IncomingEvent

AT_ONCE = 16
"""Connections, for events sent one by one."""

Take = Callable[[Sequence[IncomingEvent]], Awaitable[list[Ingested]]]

_JSON = {"Content-Type": "application/json"}


class Way(ABC):
    """A way in: events one by one, or a batch at a time. Each returns seconds."""

    @abstractmethod
    async def singles(self, events: Sequence[Event]) -> float:
        """``AT_ONCE`` at once."""

    @abstractmethod
    async def batches(self, batches: Sequence[Sequence[Event]]) -> float:
        """One after another."""


class Http(Way):
    """A channel's own requests; bodies are encoded beforehand, since that is the channel's work."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def singles(self, events: Sequence[Event]) -> float:
        return await seconds_for([orjson.dumps(event) for event in events], [self._post] * AT_ONCE)

    async def batches(self, batches: Sequence[Sequence[Event]]) -> float:
        return await seconds_for([orjson.dumps({"events": batch}) for batch in batches], [self._post])

    async def _post(self, body: bytes) -> None:
        await _accepted(self._session, body)


class InProcess(Way):
    """The same events handed to a function of ours in this process."""

    def __init__(self, take: Take) -> None:
        self._take = take

    async def singles(self, events: Sequence[Event]) -> float:
        return await seconds_for([[event] for event in events], [self.take] * AT_ONCE)

    async def batches(self, batches: Sequence[Sequence[Event]]) -> float:
        return await seconds_for(batches, [self.take])

    async def take(self, events: Sequence[Event]) -> None:
        """One request. Raises RuntimeError when one of its events is not accepted."""
        answers = await self._take([read(event) for event in events])
        _all_accepted([answer.status for answer in answers])


class Bare(Way):
    """asyncpg and a table like ours."""

    def __init__(self, connections: Sequence[Any]) -> None:
        self._connections = connections

    async def singles(self, events: Sequence[Event]) -> float:
        return await seconds_for(events, [partial(insert_one, each) for each in self._connections])

    async def batches(self, batches: Sequence[Sequence[Event]]) -> float:
        return await seconds_for(batches, [partial(insert_many, self._connections[0])])


@asynccontextmanager
async def in_this_process(url: str) -> AsyncIterator[dict[str, Way]]:
    """All ways but HTTP, on pools of the same size."""
    async with AsyncExitStack() as stack:
        database = Database(url, pool_size=AT_ONCE)
        stack.push_async_callback(database.close)
        ingest = Ingest(database, load().routes, Rules(local=True))
        batcher = Batcher(ingest.__call__, probe_of(database))
        stack.push_async_callback(batcher.close)
        connections = await connected(url, AT_ONCE)
        for connection in connections:
            stack.push_async_callback(connection.close)
        await create_table(connections[0])
        yield {
            "Batcher": InProcess(batcher.submit),
            "Ingest": InProcess(ingest.__call__),
            "bare": Bare(connections),
        }


async def post(requests: aiohttp.ClientSession, event: Event) -> None:
    """Send one event; returns once it is accepted. Raises RuntimeError when it is not."""
    await _accepted(requests, orjson.dumps(event))


async def _accepted(requests: aiohttp.ClientSession, body: bytes) -> None:
    async with requests.post("/v1/events", data=body, headers=_JSON) as answer:
        said = orjson.loads(await answer.read())
        if answer.status != 200:
            raise RuntimeError(f"an event was refused with {answer.status}: {said}")
    _all_accepted([result["status"] for result in said["results"]])


def session(processes: Processes) -> aiohttp.ClientSession:
    """Up to ``AT_ONCE`` connections to the API, with the write key."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    return aiohttp.ClientSession(processes.api_url, connector=connector, headers=WRITE)


def read(event: Event) -> IncomingEvent:
    """An event as the API reads it. Raises RuntimeError where it would refuse it."""
    heard = native_event(event, now=datetime.now(UTC), source="bench", region=None)
    if not isinstance(heard, IncomingEvent):
        raise RuntimeError(f"a made-up event was refused: {heard.detail}")
    return heard


def _all_accepted(statuses: Sequence[str]) -> None:
    if any(status != Status.ACCEPTED for status in statuses):
        raise RuntimeError(f"expected every event to be accepted; got {sorted(set(statuses))}")
