"""Postgres away, frozen, or back again: what the doors answer, and how fast."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest_asyncio

from api.http.outage import _is_postgres_alive
from tests.support.deadlines import scaled
from tests.support.environments.api import ADMIN, OpenApi, event, opened
from tests.support.faults.tcp_proxy import Cable


@pytest_asyncio.fixture(loop_scope="session")
async def wired(database_url: str) -> AsyncIterator[tuple[OpenApi, Cable]]:
    """The API on this test's database, by way of a cable that can be held and pulled out."""
    url = urlsplit(database_url)
    user, _, server = url.netloc.rpartition("@")
    async with (
        Cable(server) as wire,
        opened(url._replace(netloc=f"{user}@{wire.address}").geturl()) as api,
    ):
        yield api, wire
        wire.let_go()
        wire.pull()


async def timed(api: OpenApi, event_id: str) -> tuple[int, float, str | None]:
    """(status, seconds, Retry-After) of one event."""
    started = asyncio.get_running_loop().time()
    answer = await api.send("/v1/events", event(event_id=event_id))
    return answer.status_code, asyncio.get_running_loop().time() - started, answer.headers.get("retry-after")


async def test_events_are_answered_503_while_postgres_is_down_and_taken_when_it_is_back(
    wired: tuple[OpenApi, Cable],
) -> None:
    api, wire = wired
    assert (await timed(api, "before"))[0] == 200
    wire.unplug()
    status, seconds, retry_after = await timed(api, "during")
    wire.plug_in()
    back, _, _ = await timed(api, "during")

    assert status == 503
    assert seconds < scaled(1.0)
    assert retry_after is not None
    assert retry_after.isdigit()
    assert back == 200
    assert [row["id"] for row in await api.rows("SELECT id FROM event ORDER BY id")] == ["before", "during"]


async def test_events_are_answered_503_within_a_second_while_postgres_is_frozen(
    wired: tuple[OpenApi, Cable],
) -> None:
    api, wire = wired
    assert (await timed(api, "before"))[0] == 200
    wire.hold()
    answers = await asyncio.gather(*(timed(api, f"e-{n}") for n in range(20)))

    assert {503} == {status for status, _, _ in answers}
    assert max(seconds for _, seconds, _ in answers) < scaled(1.5)
    assert None not in {retry_after for _, _, retry_after in answers}


async def test_connections_that_died_in_the_pool_are_nobodys_503(wired: tuple[OpenApi, Cable]) -> None:
    api, wire = wired
    await asyncio.gather(*(timed(api, f"warm-{n}") for n in range(20)))
    await asyncio.gather(*(api.read("/v1/profiles/user_id/u-1") for _ in range(8)))
    wire.pull()
    taken = await asyncio.gather(*(timed(api, f"after-{n}") for n in range(5)))
    seen = await api.read("/v1/profiles/user_id/u-1")

    assert {200} == {status for status, _, _ in taken}
    assert seen["profile_id"]


async def test_reads_and_readiness_say_503_too_and_health_does_not_care(wired: tuple[OpenApi, Cable]) -> None:
    api, wire = wired
    wire.unplug()
    paths = ("/v1/profiles/user_id/u-1", "/v1/journeys/x/runs", "/readyz", "/healthz", "/metrics")
    answers = {path: await api.client.get(path, headers=ADMIN) for path in paths}

    assert {503} == {answers[path].status_code for path in paths[:3]}
    assert {200} == {answers[path].status_code for path in paths[3:]}
    assert answers["/readyz"].json()["postgres"]["state"] == "unreachable"
    assert "waypost_postgres_up 0.0" in answers["/metrics"].text


async def test_a_process_without_time_takes_a_living_postgres_for_alive(api: OpenApi) -> None:
    """Teeth: by the clock alone, a probe of four round trips times out while this process computes."""
    busy = True

    async def compute() -> None:
        while busy:
            time.sleep(0.1)  # noqa: ASYNC251 - as parsing and projecting do
            await asyncio.sleep(0)

    computing = asyncio.create_task(compute())
    alive = await _is_postgres_alive(api.doors.database.ping)
    busy = False
    await computing

    assert alive
