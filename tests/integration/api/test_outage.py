"""Postgres away, frozen, or back again: what the doors answer, and how fast."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest_asyncio

from tests.support.environments.api import ADMIN, OpenApi, event, opened


@dataclass
class Wire:
    """The network between the API and Postgres: it can be cut, and it can go silent."""

    host: str
    port: int
    silent: bool = False
    down: bool = False
    pipes: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways."""
        if self.down:
            writer.close()
            return
        other_reader, other_writer = await asyncio.open_connection(self.host, self.port)
        self.pipes |= {writer, other_writer}
        await asyncio.gather(self._carry(reader, other_writer), self._carry(other_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                while self.silent:  # noqa: ASYNC110 - reads plainer than two events
                    await asyncio.sleep(0.01)
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def cut(self) -> None:
        """End every connection there is."""
        for pipe in self.pipes:
            pipe.transport.abort()
        self.pipes.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def wired(database_url: str) -> AsyncIterator[tuple[OpenApi, Wire]]:
    """The API on this test's database, by way of a wire that can break."""
    url = urlsplit(database_url)
    wire = Wire(url.hostname or "", url.port or 5432)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = f"{url.username}:{url.password}@" if url.password else f"{url.username}@"
    async with server, opened(url._replace(netloc=f"{user}127.0.0.1:{port}").geturl()) as api:
        yield api, wire
        wire.silent = False
        wire.cut()


async def timed(api: OpenApi, event_id: str) -> tuple[int, float, str | None]:
    """(status, seconds, Retry-After) of one event."""
    started = asyncio.get_running_loop().time()
    answer = await api.send("/v1/events", event(event_id=event_id))
    return answer.status_code, asyncio.get_running_loop().time() - started, answer.headers.get("retry-after")


async def test_events_are_answered_503_while_postgres_is_down_and_taken_when_it_is_back(
    wired: tuple[OpenApi, Wire],
) -> None:
    api, wire = wired
    assert (await timed(api, "before"))[0] == 200
    wire.down = True
    wire.cut()
    status, seconds, retry_after = await timed(api, "during")
    wire.down = False
    back, _, _ = await timed(api, "during")

    assert status == 503
    assert seconds < 1.0
    assert retry_after is not None
    assert retry_after.isdigit()
    assert back == 200
    assert [row["id"] for row in await api.rows("SELECT id FROM event ORDER BY id")] == ["before", "during"]


async def test_events_are_answered_503_within_a_second_while_postgres_is_frozen(
    wired: tuple[OpenApi, Wire],
) -> None:
    api, wire = wired
    assert (await timed(api, "before"))[0] == 200
    wire.silent = True
    answers = await asyncio.gather(*(timed(api, f"e-{n}") for n in range(20)))

    assert {503} == {status for status, _, _ in answers}
    assert max(seconds for _, seconds, _ in answers) < 1.5
    assert None not in {retry_after for _, _, retry_after in answers}


async def test_connections_that_died_in_the_pool_are_nobodys_503(wired: tuple[OpenApi, Wire]) -> None:
    api, wire = wired
    await asyncio.gather(*(timed(api, f"warm-{n}") for n in range(20)))
    await asyncio.gather(*(api.read("/v1/profiles/user_id/u-1") for _ in range(8)))
    wire.cut()
    taken = await asyncio.gather(*(timed(api, f"after-{n}") for n in range(5)))
    seen = await api.read("/v1/profiles/user_id/u-1")

    assert {200} == {status for status, _, _ in taken}
    assert seen["profile_id"]


async def test_reads_and_readiness_say_503_too_and_health_does_not_care(wired: tuple[OpenApi, Wire]) -> None:
    api, wire = wired
    wire.down = True
    wire.cut()
    paths = ("/v1/profiles/user_id/u-1", "/v1/journeys/x/runs", "/readyz", "/healthz", "/metrics")
    answers = {path: await api.client.get(path, headers=ADMIN) for path in paths}

    assert {503} == {answers[path].status_code for path in paths[:3]}
    assert {200} == {answers[path].status_code for path in paths[3:]}
    assert answers["/readyz"].json()["postgres"]["state"] == "unreachable"
    assert "waypost_postgres_up 0.0" in answers["/metrics"].text
