"""Events in over HTTP: per-event results, limits, and bodies that were made to break things."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest

from api.batching import Batcher
from api.events.routes import EVENT_PATHS
from api.http.bodies import MAX_BODY_BYTES, MAX_DEPTH, MAX_EVENT_BYTES, MAX_EVENTS_PER_BODY
from profiles.identity.identifiers import IDENTIFIER_TYPES
from tests.support.deadlines import scaled
from tests.support.environments.api import OpenApi, event
from tests.support.generators.bad_bodies import IDENTIFIERS, POISON

AT_THE_LIMIT_AND_OVER = pytest.mark.parametrize(
    ("extra", "status"), [pytest.param(0, 200, id="at the limit"), pytest.param(1, 413, id="one over")]
)


def nested(depth: int) -> Any:
    """An object with ``depth`` objects in it, itself included."""
    return {"a": nested(depth - 1)} if depth > 1 else {}


async def test_an_event_is_in_postgres_when_its_answer_comes(api: OpenApi) -> None:
    (result,) = await api.results("/v1/events", event("Order Completed", properties={"product_id": "p-1"}))

    assert result == {"index": 0, "id": "e-1", "status": "accepted"}
    assert [row["item"] for row in await api.rows("SELECT item FROM purchase")] == ["p-1"]


async def test_the_same_again_is_a_duplicate_and_other_content_a_conflict(api: OpenApi) -> None:
    (first,) = await api.results("/v1/events", event(properties={"product_id": "p-1"}))
    (again,) = await api.results("/v1/events", event(properties={"product_id": "p-1"}))
    (other,) = await api.results("/v1/events", event(properties={"product_id": "p-2"}))

    assert [r["status"] for r in (first, again, other)] == ["accepted", "duplicate", "conflict"]
    (kept,) = await api.rows("SELECT properties->>'product_id' AS product FROM event")
    assert kept["product"] == "p-1"


async def test_a_retried_segment_call_is_a_duplicate_although_its_corrected_time_differs(
    api: OpenApi,
) -> None:
    call = {"messageId": "m-1", "userId": "u-1", "event": "X", "timestamp": "2026-11-21T10:00:00Z"}
    (first,) = await api.results("/v1/track", {**call, "sentAt": "2026-11-21T10:00:01Z"})
    (again,) = await api.results("/v1/track", {**call, "sentAt": "2026-11-21T10:00:09Z"})

    assert [first["status"], again["status"]] == ["accepted", "duplicate"]


async def test_one_bad_event_costs_the_others_of_its_batch_nothing(api: OpenApi) -> None:
    results = await api.results(
        "/v1/events", {"events": [event(event_id="a"), {"id": "b"}, 7, event(event_id="c")]}
    )

    assert [r["status"] for r in results] == ["accepted", "rejected", "rejected", "accepted"]
    assert results[1]["code"] == "missing"
    assert results[1]["pointer"] == "/type"
    assert "send" in results[1]["detail"]
    assert len(await api.rows("SELECT FROM event")) == 2


async def test_a_bad_single_event_is_a_422_with_pointers(shared_api: OpenApi) -> None:
    answer = await shared_api.send(
        "/v1/events", {"id": "x", "type": "T", "time": "yesterday", "identifiers": []}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"/time", "/identifiers"} == {error["pointer"] for error in answer.json()["errors"]}


async def test_a_batch_of_nothing_but_bad_events_is_still_a_200(shared_api: OpenApi) -> None:
    results = await shared_api.results("/v1/batch", {"batch": [{"type": "track"}, {"type": "nope"}]})

    assert [r["code"] for r in results] == ["missing", "unknown_type"]


async def test_an_event_without_any_identifier_is_rejected_and_says_what_to_send(shared_api: OpenApi) -> None:
    answer = await shared_api.send("/v1/track", {"event": "X", "messageId": "m"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "no_identifier"
    assert "send one of user_id, loyalty_id, email, phone" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("user", "code"),
    [
        pytest.param("null", "blocked_identifier", id="a placeholder"),
        pytest.param("u" * 321, "bad_identifier", id="malformed"),
    ],
)
async def test_an_event_whose_only_identifier_is_nobodys_is_kept_and_belongs_to_nobody(
    api: OpenApi, user: str, code: str
) -> None:
    bought = {"event": "Order Completed", "messageId": "m", "userId": user, "properties": {"product_id": "p"}}
    (result,) = await api.results("/v1/track", bought)

    assert result["status"] == "accepted"
    assert [(p["code"], p["pointer"]) for p in result["problems"]] == [(code, "/userId")]
    (kept,) = await api.rows(
        "SELECT profile_id, identifiers::text AS named, problems::text AS why FROM event"
    )
    assert (kept["profile_id"], kept["named"]) == (None, "{}")
    assert code in kept["why"]
    assert (
        list(await api.rows("SELECT FROM identifier")) == list(await api.rows("SELECT FROM purchase")) == []
    )


async def test_a_malformed_identifier_beside_a_good_one_is_left_out_and_reported(api: OpenApi) -> None:
    (result,) = await api.results(
        "/v1/identify", {"userId": "u-1", "messageId": "m", "traits": {"email": "not an address"}}
    )

    assert result["status"] == "accepted"
    assert [(p["code"], p["pointer"]) for p in result["problems"]] == [("bad_identifier", "/traits/email")]
    (kept,) = await api.rows("SELECT problems::text AS problems FROM event")
    assert "bad_identifier" in kept["problems"]


async def test_every_spelling_of_an_address_finds_one_person(api: OpenApi) -> None:
    for number, told in enumerate(("Ada@Example.com", "a\u200bda@example.com", "Ada <ada@ｅxample.com.>")):
        await api.results("/v1/events", event(event_id=f"e-{number}", identifiers={"email": told}))

    assert [
        tuple(row) for row in await api.rows("SELECT type, value FROM identifier WHERE type = 'email'")
    ] == [("email", "ada@example.com")]
    assert len(await api.rows("SELECT FROM event WHERE profile_id IS NOT NULL")) == 3


@pytest.mark.parametrize("kind", IDENTIFIER_TYPES)
async def test_no_identifier_is_answered_with_a_server_error(api: OpenApi, kind: str) -> None:
    wrong = {}
    for number, (name, value) in enumerate(IDENTIFIERS.items()):
        frame = b'{"id":"n%d","messageId":"s%d","type":"T","event":"X","%s":%s,"identifiers":{"%s":%s},'
        body = frame % (number, number, b"userId", value, kind.encode(), value)
        body += b'"previousId":%s,"traits":{"%s":%s},"context":{"device":{"token":%s}}}' % (
            value, kind.encode(), value, value,
        )  # fmt: skip
        for path in ("/v1/events", "/v1/identify", "/v1/alias"):
            answer = await api.send(path, body)
            if answer.status_code not in (200, 422):
                wrong[name, path] = answer.text

    assert wrong == {}


async def test_a_nul_character_in_a_product_name_does_not_lose_the_purchase(api: OpenApi) -> None:
    body = b'{"id":"1","type":"Order Completed","source":"s","identifiers":{"user_id":"u-1"},"properties":'
    body += b'{"products":[{"product_id":"p-1","name":"La\\u0000mp","price":NaN}]}}'
    (result,) = await api.results("/v1/events", body)

    assert result["status"] == "accepted"
    assert [p["code"] for p in result["problems"]] == ["bad_text", "not_a_number"]
    assert [tuple(row) for row in await api.rows("SELECT item, name, price FROM purchase")] == [
        ("p-1", "La\ufffdmp", None)
    ]


@AT_THE_LIMIT_AND_OVER
async def test_an_event_may_have_64_kib(shared_api: OpenApi, extra: int, status: int) -> None:
    frame = len(orjson.dumps(event(properties={"text": ""})))
    answer = await shared_api.send(
        "/v1/events", event(properties={"text": "x" * (MAX_EVENT_BYTES - frame + extra)})
    )

    assert status == answer.status_code
    assert status == 200 or str(MAX_EVENT_BYTES) in answer.json()["detail"]


@AT_THE_LIMIT_AND_OVER
async def test_a_body_may_hold_1000_events(shared_api: OpenApi, extra: int, status: int) -> None:
    answer = await shared_api.send("/v1/events", {"events": [{}] * (MAX_EVENTS_PER_BODY + extra)})

    assert status == answer.status_code
    assert status == 200 or str(MAX_EVENTS_PER_BODY) in answer.json()["detail"]


@AT_THE_LIMIT_AND_OVER
@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_may_have_1_mib_before_and_after_gzip(
    shared_api: OpenApi, extra: int, status: int, compressed: bool
) -> None:
    body = orjson.dumps({"events": [event(event_id="a")]})
    body += b" " * (MAX_BODY_BYTES - len(body) + extra)
    answer = await shared_api.send("/v1/events", gzip.compress(body) if compressed else body)

    assert status == answer.status_code
    assert status == 200 or str(MAX_BODY_BYTES) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("depth", "status"),
    [
        pytest.param(MAX_DEPTH, 200, id="at the limit, the event being the first level"),
        pytest.param(MAX_DEPTH + 1, 422, id="one over"),
        pytest.param(200, 422, id="far over"),
    ],
)
async def test_an_event_may_nest_16_levels(shared_api: OpenApi, depth: int, status: int) -> None:
    answer = await shared_api.send("/v1/events", event(properties=nested(depth - 1)))

    assert status == answer.status_code
    assert status == 200 or str(MAX_DEPTH) in answer.json()["detail"]


async def test_an_event_too_deep_to_parse_costs_the_others_of_its_batch_nothing(api: OpenApi) -> None:
    deep = b'{"id":"deep","type":"T","identifiers":{"user_id":"u"},"properties":'
    deep += b'{"]":' * 10_000 + b"1" + b"}" * 10_000 + b"}"
    good = orjson.dumps(event(event_id="good"))
    results = await api.results("/v1/events", b'{"events":[' + deep + b"," + good + b"]}")

    assert [(r["id"], r["status"]) for r in results] == [("deep", "rejected"), ("good", "accepted")]
    assert results[0]["code"] == "too_deep"


async def test_a_gzip_bomb_is_refused(shared_api: OpenApi) -> None:
    answer = await shared_api.send("/v1/batch", gzip.compress(b"0" * 50_000_000))

    assert answer.status_code == 413


async def test_a_body_that_streams_on_without_end_is_cut_off(shared_api: OpenApi) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    answer = await shared_api.client.post(
        "/v1/batch", content=endless(), headers={"Authorization": "Bearer write-key-of-tests"}
    )

    assert answer.status_code == 413
    assert sent <= 2 * MAX_BODY_BYTES


async def test_no_body_is_answered_with_a_server_error(api: OpenApi) -> None:
    wrong = {}
    for number, (name, body) in enumerate(POISON.items()):
        for path in sorted(EVENT_PATHS):
            answer = await api.send(path, body)
            if answer.status_code not in (200, 400, 413, 422):
                wrong[name, path] = answer.text
            elif answer.status_code != 200 and not answer.json()["detail"]:
                wrong[name, path] = "it says nothing"
        # And the door still opens.
        (result,) = await api.results("/v1/events", event(event_id=f"after-{number}"))
        assert result["status"] == "accepted", name

    assert wrong == {}
    assert len(POISON) >= 40


async def test_cloud_events_are_native_events_in_another_envelope(api: OpenApi) -> None:
    cloud = {"specversion": "1.0", "id": "c-1", "source": "/pos/3", "type": "Order Completed",
             "time": "2026-11-21T10:00:00Z", "datacontenttype": "application/json",
             "subject": "loyalty_id:L7",
             "data": {"channel": "store", "identifiers": {"email": "ada@example.com"},
                      "properties": {"order_id": "o-1", "products": [{"sku": "s-1"}]}}}  # fmt: skip
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = await api.send("/v1/events", [cloud, {**cloud, "id": "c-2", "source": ""}], headers=headers)

    assert [r["status"] for r in answer.json()["results"]] == ["accepted", "rejected"]
    (kept,) = await api.rows("SELECT source, id, channel FROM event")
    assert tuple(kept) == ("/pos/3", "c-1", "store")
    profile = await api.read("/v1/profiles/loyalty_id/L7")
    assert {"email", "loyalty_id"} == {one["type"] for one in profile["identifiers"]}
    assert [one["item"] for one in profile["purchases"]] == ["s-1"]


async def test_the_content_type_is_not_believed(api: OpenApi) -> None:
    for number, kind in enumerate(("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")):
        body = gzip.compress(orjson.dumps(event(event_id=str(number))))
        answer = await api.send("/v1/events", body, headers={"Content-Type": kind})

        assert answer.status_code == 200


async def test_every_web_origin_may_send_events_and_nothing_else(shared_api: OpenApi) -> None:
    asking = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST",
              "Access-Control-Request-Headers": "authorization,content-type,anonymousid"}  # fmt: skip
    open_door = await shared_api.client.options("/v1/batch", headers=asking)
    other = await shared_api.client.options("/v1/profiles/user_id/1", headers=asking)

    assert open_door.status_code == 200
    assert open_door.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in other.headers
    refused = await shared_api.client.post("/v1/t", content=b"{}", headers={"Origin": "https://shop.example"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_the_browser_client_brings_its_key_in_the_body(api: OpenApi) -> None:
    call = {"type": "track", "event": "X", "anonymousId": "a-1", "messageId": "m-1"}
    alone = await api.client.post("/v1/t", content=orjson.dumps({**call, "writeKey": "write-key-of-tests"}))
    batch = await api.client.post(
        "/v1/m",
        content=orjson.dumps(
            {"writeKey": "write-key-of-tests", "batch": [call], "sentAt": "2026-11-21T10:00:00Z"}
        ),
    )
    wrong = await api.client.post("/v1/t", content=orjson.dumps({**call, "writeKey": "wrong"}))

    assert alone.json()["results"][0]["status"] == "accepted"
    assert batch.json()["results"][0]["status"] == "duplicate"
    assert wrong.status_code == 401


async def test_telemetry_of_the_browser_client_is_answered_and_not_kept(api: OpenApi) -> None:
    answer = await api.client.post("/v1/m", content=orjson.dumps({"series": [{"type": "Counter"}]}))

    assert answer.status_code == 200
    assert list(await api.rows("SELECT FROM event")) == []


async def test_single_events_that_come_together_share_transactions(api: OpenApi) -> None:
    answers = await asyncio.gather(*(api.send("/v1/events", event(event_id=f"e-{n}")) for n in range(40)))
    (row,) = await api.rows(
        "SELECT count(*) AS events, count(DISTINCT xmin::text) AS transactions FROM event"
    )

    assert {200} == {answer.status_code for answer in answers}
    assert row["events"] == 40
    assert row["transactions"] <= 20


async def test_overload_is_a_429_with_retry_after_and_writes_nothing(api: OpenApi, database_url: str) -> None:
    ingest, probe = api.doors.batcher._ingest, api.doors.batcher._probe
    api.doors.batcher = Batcher(ingest, probe, max_concurrent_batches=1, max_queued_unverified_events=2)
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("LOCK TABLE event")
        waiting = [asyncio.create_task(api.send("/v1/events", event(event_id=f"e-{n}"))) for n in range(3)]
        async with asyncio.timeout(scaled(10)):
            while api.doors.batcher.queued_events < 2:  # noqa: ASYNC110 - the product has no hook to wait on
                await asyncio.sleep(0.01)
        refused = await api.send("/v1/events", event(event_id="too-much"))
    taken = await asyncio.gather(*waiting)
    await other.close()

    assert refused.status_code == 429
    assert refused.headers["retry-after"].isdigit()
    assert {200} == {answer.status_code for answer in taken}
    assert [row["id"] for row in await api.rows("SELECT id FROM event ORDER BY id")] == ["e-0", "e-1", "e-2"]
