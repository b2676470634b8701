"""What is refused before a body is read or parsed: requests without a key, and those over a budget."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from api.batching import Batcher
from api.dependencies import AppState
from api.events import routes as event_routes
from api.events.routes import EVENT_PATHS
from api.http.admission import MAX_KEYLESS_BODY_BYTES
from api.http.budgets import SenderBudgets
from api.http.outage import Outage
from profiles.ingest.event_store import IngestResult, IngestStatus
from profiles.state.event_records import IncomingEvent
from tests.integration.api.test_keys import PUBLIC, concrete, routes
from tests.support.deadlines import scaled
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, WRITE, OpenApi, event, opened

HOSTILE = b"[" * 150 + b'"' + b'\\"' * 250_000


class Unread(Exception):
    """The body was read."""


async def status_unread(
    api: OpenApi, method: str, path: str, headers: dict[str, str] | None = None, client: str = "127.0.0.1"
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request whose body must not be read."""
    sent: list[dict[str, Any]] = []
    given = {"content-length": "100", "content-type": "application/json", **(headers or {})}
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "server": ("x", 80), "client": (client, 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        raise Unread

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(scaled(5)):
        await api.client._transport.app(scope, receive, send)  # type: ignore[attr-defined]
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def tight(doors: AppState, address: float = 1.0, key: float = 0.0) -> None:
    """Budgets that are used up by 20 events."""
    doors.budgets = SenderBudgets(address_events_per_s=address, key_events_per_s=key)


async def test_no_route_with_a_key_reads_a_body_without_a_good_one(shared_api: OpenApi) -> None:
    closed = [
        (method, path)
        for method, path in routes()
        if path not in PUBLIC and method != "GET" and (path not in EVENT_PATHS or path == "/v1/events")
    ]
    for headers, expected in (({}, 401), ({"Authorization": "Bearer no"}, 401)):
        found = {
            (method, path): (await status_unread(shared_api, method, concrete(path), headers))[0]
            for method, path in closed
        }

        assert len(closed) > 6
        assert found == dict.fromkeys(closed, expected)


async def test_no_route_reads_a_body_under_a_key_that_may_not_use_it(shared_api: OpenApi) -> None:
    closed = [(m, p) for m, p in routes() if p not in PUBLIC and m != "GET" and p not in EVENT_PATHS]
    found = {(m, p): (await status_unread(shared_api, m, concrete(p), WRITE))[0] for m, p in closed}

    assert found == dict.fromkeys(closed, 403)


async def test_a_body_without_a_known_key_is_not_parsed(
    shared_api: OpenApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(body: bytes) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(event_routes, "parse_json_body", parse)
    bodies = [
        HOSTILE,
        b"",
        b'{"writeKey":"wrong"}',
        b'{"writeKey":7}',
        b'{"writeKey":{"writeKey":[]}}',
        b'"writeKey":"write-key-of-tests',
        b'{"event":"\\"writeKey\\":\\"write-key-of-tests\\""}',
        b'"writeKey"' * 10_000 + b':"write-key-of-tests"',
    ]
    answers = [await shared_api.client.post("/v1/t", content=body) for body in bodies]

    assert {401} == {answer.status_code for answer in answers}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"writeKey":"write-key-of-tests","event":"X","userId":"u"}', 200, id="first"),
        pytest.param(b'{"event":"X","userId":"u",\n "writeKey" : "write-key-of-tests" }', 200, id="last"),
        pytest.param(
            b'{"properties":{"writeKey":"x"},"event":"X","userId":"u","writeKey":"write-key-of-tests"}',
            200,
            id="behind a property of that name",
        ),
        pytest.param(
            b'{"properties":{"writeKey":"write-key-of-tests"},"event":"X","userId":"u"}',
            401,
            id="only in a property",
        ),
        pytest.param(
            b'{"properties":{"writeKey":"write-key-of-tests"},"writeKey":"x","event":"X","userId":"u"}',
            401,
            id="wrong, with a good one in a property",
        ),
        pytest.param(b'"writeKey":"write-key-of-tests"', 400, id="with a good key, and no JSON"),
    ],
)
async def test_the_key_of_the_parsed_body_counts(api: OpenApi, body: bytes, status: int) -> None:
    assert status == (await api.client.post("/v1/t", content=body)).status_code


async def test_a_body_that_brings_its_key_may_have_512_kib(shared_api: OpenApi) -> None:
    def body(size: int) -> bytes:
        start = b'{"writeKey":"write-key-of-tests","batch":[]'
        return start + b" " * (size - len(start) - 1) + b"}"

    answers = [
        await shared_api.client.post("/v1/m", content=body(MAX_KEYLESS_BODY_BYTES + extra))
        for extra in (0, 1)
    ]
    with_key = await shared_api.send("/v1/m", body(MAX_KEYLESS_BODY_BYTES + 1))

    assert [answer.status_code for answer in (*answers, with_key)] == [200, 413, 200]


async def test_over_its_budget_a_key_is_refused_unread_and_others_are_not(database_url: str) -> None:
    async with opened(database_url, waypost_address_events_per_s=1.0, **SERVER_KEYS) as api:
        batch = [event(event_id=f"e-{n}") for n in range(40)]
        taken = await api.send("/v1/events", batch)
        status, headers = await status_unread(api, "POST", "/v1/events", WRITE)
        elsewhere = await api.client.post(
            "/v1/t", content=orjson.dumps({"writeKey": "write-key-of-tests", "event": "X", "userId": "u"})
        )
        till = await api.send("/v1/events", event(event_id="till"), headers=SERVER)
        operator = await api.send("/v1/events", event(event_id="operator"), headers=ADMIN)
        other, _ = await status_unread_status(api, "2.2.2.2")
        metrics = (await api.client.get("/metrics")).text

    assert taken.status_code == 200
    assert (status, elsewhere.status_code) == (429, 429)
    # 20 events at once and 1 a second: 40 leave a debt of 20, and one more is needed.
    assert headers["retry-after"] == "21"
    assert [till.status_code, operator.status_code] == [200, 200]
    assert other == "read"
    assert 'waypost_requests_refused_total{key="shop",reason="address_events"} 2.0' in metrics


async def status_unread_status(api: OpenApi, client: str) -> tuple[str, None]:
    """Whether the body of a request from an address is read at all."""
    try:
        status, _ = await status_unread(api, "POST", "/v1/events", WRITE, client)
    except Unread:
        return "read", None
    return ("read" if status == 500 else str(status)), None


async def test_a_key_is_refused_for_all_that_its_senders_send_together(database_url: str) -> None:
    async with opened(database_url, waypost_key_events_per_s=1.0) as api:
        await api.send("/v1/events", [event(event_id=f"e-{n}") for n in range(40)])
        status, _ = await status_unread(api, "POST", "/v1/events", WRITE, "2.2.2.2")
        metrics = (await api.client.get("/metrics")).text

    assert status == 429
    assert 'waypost_requests_refused_total{key="shop",reason="key_events"} 1.0' in metrics


async def test_the_429_says_what_to_do_to_browsers_too(api: OpenApi) -> None:
    tight(api.doors)
    await api.send("/v1/events", [event(event_id=f"e-{n}") for n in range(40)])
    refused = await api.send("/v1/events", event(), headers={"Origin": "https://shop.example"})

    assert refused.status_code == 429
    assert refused.headers["access-control-allow-origin"] == "*"
    assert refused.headers["content-type"] == "application/problem+json"
    assert "Retry-After" in refused.json()["detail"]
    assert "nothing of this request was written" in refused.json()["detail"]


async def test_unknown_keys_are_counted(api: OpenApi) -> None:
    await api.client.post("/v1/events", content=b"{}")
    await api.client.post("/v1/t", content=b"{}")
    metrics = (await api.client.get("/metrics")).text

    assert 'waypost_requests_refused_total{key="none",reason="unknown_key"} 2.0' in metrics


async def test_a_header_that_is_as_long_as_it_gets_is_refused(shared_api: OpenApi) -> None:
    status, _ = await status_unread(
        shared_api, "POST", "/v1/events", {"Authorization": "Basic " + "A" * 60_000}
    )

    assert status == 401


@pytest.mark.parametrize("length", ["9" * 18, "9" * 5000])
async def test_an_absurd_content_length_is_a_413(shared_api: OpenApi, length: str) -> None:
    for path in ("/v1/events", "/v1/t", "/v1/identity/tokens"):
        status, _ = await status_unread(shared_api, "POST", path, {**WRITE, "content-length": length})

        assert status == 413


async def test_an_answer_repeats_no_more_problems_than_a_reader_needs(api: OpenApi) -> None:
    more = {"x" * 5000 + str(number): 1 for number in range(10)} | {f"y{n}": 1 for n in range(500)}
    (result,) = await api.results("/v1/events", event(**more))

    assert result["status"] == "accepted"
    assert 21 <= len(result["problems"]) <= 42
    assert result["problems"][-1]["code"] == "more_problems"
    assert "490 more problems" in result["problems"][-1]["detail"]
    assert len(orjson.dumps(result)) < 20_000


async def test_a_request_that_is_committed_in_part_says_which_events_are_in(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url, **SERVER_KEYS) as api:
        ingest, calls = api.doors.batcher._ingest, 0

        async def fail_later(events: Sequence[IncomingEvent]) -> list[IngestResult]:
            nonlocal calls
            calls += 1
            if calls > 2:
                raise Outage("gone")
            return await ingest(events)

        api.doors.batcher = Batcher(
            fail_later, api.doors.database.ping, max_concurrent_batches=1, max_unverified_batch_events=2
        )
        await api.send("/v1/events", event(event_id="till"), headers=SERVER)
        batch = [event(event_id="e-0"), {"id": "bad"}, event(event_id="e-1"), event(event_id="e-2")]
        partly = await api.send("/v1/events", batch)
        away = await api.send("/v1/events", event(event_id="e-3"))
        calls = -10
        again = await api.results("/v1/events", batch)
        stored = [row["id"] for row in await api.rows("SELECT id FROM event ORDER BY id")]

    assert (partly.status_code, away.status_code) == (503, 503)
    assert partly.headers["retry-after"].isdigit()
    assert [(one["index"], one["id"], one["status"]) for one in partly.json()["results"]] == [
        (0, "e-0", "accepted"),
        (2, "e-1", "accepted"),
    ]
    assert "2 of 4 events are written" in partly.json()["detail"]
    assert "nothing" not in partly.json()["detail"] + away.json()["detail"]
    assert [one["status"] for one in again] == ["duplicate", "rejected", "duplicate", "accepted"]
    assert stored == ["e-0", "e-1", "e-2", "till"]


async def test_others_have_their_turn_while_a_large_body_is_parsed(
    api: OpenApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, ticking = 0, True

    async def tick() -> None:
        nonlocal turns
        while ticking:
            turns += 1
            await asyncio.sleep(0)

    async def no_ingest(events: Sequence[IncomingEvent], *, verified: bool = True) -> list[IngestResult]:
        return [IngestResult(one.id, IngestStatus.ACCEPTED) for one in events]

    monkeypatch.setattr(event_routes, "PARSE_SLICE_S", 0.0)
    monkeypatch.setattr(api.doors.batcher, "submit", no_ingest)
    clock = asyncio.create_task(tick())
    answer = await api.send("/v1/events", [event(event_id=f"e-{n}") for n in range(900)])
    ticking = False
    await clock

    assert answer.status_code == 200
    assert turns >= 900


def test_a_slice_of_parsing_is_short() -> None:
    assert event_routes.PARSE_SLICE_S <= 0.005


async def test_bodies_of_strangers_are_parsed_one_at_a_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = 0
    parse_body = event_routes._parse_body

    async def counted(*arguments: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await parse_body(*arguments)
        finally:
            under_way -= 1

    monkeypatch.setattr(event_routes, "PARSE_SLICE_S", 0.0)
    monkeypatch.setattr(event_routes, "_parse_body", counted)
    async with opened(database_url, **SERVER_KEYS) as api:
        batch = [{"id": f"bad-{n}"} for n in range(50)]
        await asyncio.gather(*(api.send("/v1/events", batch) for _ in range(5)))
        strangers, most = most, 0
        await asyncio.gather(*(api.send("/v1/events", batch, headers=SERVER) for _ in range(5)))

    assert strangers == 1
    assert most > 1


async def test_wrong_keys_cannot_be_tried_at_any_rate(api: OpenApi) -> None:
    tight(api.doors)
    wrong = {"Authorization": "Bearer wrong"}
    found = [(await status_unread(api, "POST", "/v1/events", wrong))[0] for _ in range(21)]

    assert found == [401] * 20 + [429]
