"""Events in over HTTP: per-event results, limits, and bodies that were made to break things."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from api.events_in import PATHS
from api.limits import MAX_BODY, MAX_DEPTH, MAX_EVENT, MAX_EVENTS
from tests.integration.open_api import OpenApi, event, opened


@pytest_asyncio.fixture(loop_scope="session")
async def api(database_url: str) -> AsyncIterator[OpenApi]:
    """The API on this test's own database."""
    async with opened(database_url) as running:
        yield running


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

    assert ["accepted", "duplicate", "conflict"] == [r["status"] for r in (first, again, other)]
    (kept,) = await api.rows("SELECT properties->>'product_id' AS product FROM event")
    assert kept["product"] == "p-1"


async def test_a_retried_segment_call_is_a_duplicate_although_its_corrected_time_differs(api: OpenApi) -> None:
    call = {"messageId": "m-1", "userId": "u-1", "event": "X", "timestamp": "2026-11-21T10:00:00Z"}
    (first,) = await api.results("/v1/track", {**call, "sentAt": "2026-11-21T10:00:01Z"})
    (again,) = await api.results("/v1/track", {**call, "sentAt": "2026-11-21T10:00:09Z"})

    assert ["accepted", "duplicate"] == [first["status"], again["status"]]


async def test_one_bad_event_costs_the_others_of_its_batch_nothing(api: OpenApi) -> None:
    results = await api.results(
        "/v1/events", {"events": [event(event_id="a"), {"id": "b"}, 7, event(event_id="c")]}
    )

    assert ["accepted", "rejected", "rejected", "accepted"] == [r["status"] for r in results]
    assert "missing" == results[1]["code"]
    assert "/type" == results[1]["pointer"]
    assert "send" in results[1]["detail"]
    assert 2 == len(await api.rows("SELECT FROM event"))


async def test_a_bad_single_event_is_a_422_with_pointers(api: OpenApi) -> None:
    answer = await api.send("/v1/events", {"id": "x", "type": "T", "time": "yesterday", "identifiers": []})

    assert 422 == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    assert {"/time", "/identifiers"} == {error["pointer"] for error in answer.json()["errors"]}


async def test_a_batch_of_nothing_but_bad_events_is_still_a_200(api: OpenApi) -> None:
    results = await api.results("/v1/batch", {"batch": [{"type": "track"}, {"type": "nope"}]})

    assert ["missing", "unknown_type"] == [r["code"] for r in results]


async def test_an_event_that_names_nobody_is_rejected_and_says_why(api: OpenApi) -> None:
    answer = await api.send("/v1/track", {"event": "X", "userId": "null", "messageId": "m"})

    assert 422 == answer.status_code
    assert "no_identifier" == answer.json()["code"]
    assert "placeholder" in answer.json()["detail"]


async def test_a_blocked_identifier_beside_a_good_one_is_left_out_and_reported(api: OpenApi) -> None:
    (result,) = await api.results(
        "/v1/identify", {"userId": "u-1", "messageId": "m", "traits": {"email": "not an address"}}
    )

    assert "accepted" == result["status"]
    assert [("bad_identifier", "/traits/email")] == [(p["code"], p["pointer"]) for p in result["problems"]]
    (kept,) = await api.rows("SELECT problems::text AS problems FROM event")
    assert "bad_identifier" in kept["problems"]


async def test_a_nul_character_in_a_product_name_does_not_lose_the_purchase(api: OpenApi) -> None:
    body = b'{"id":"1","type":"Order Completed","source":"s","identifiers":{"user_id":"u-1"},"properties":'
    body += b'{"products":[{"product_id":"p-1","name":"La\\u0000mp","price":NaN}]}}'
    (result,) = await api.results("/v1/events", body)

    assert "accepted" == result["status"]
    assert ["bad_text", "not_a_number"] == [p["code"] for p in result["problems"]]
    assert [("p-1", "La\ufffdmp", None)] == [
        tuple(row) for row in await api.rows("SELECT item, name, price FROM purchase")
    ]


@pytest.mark.parametrize(
    ("extra", "status"), [pytest.param(0, 200, id="at the limit"), pytest.param(1, 413, id="one over")]
)
async def test_an_event_may_have_64_kib(api: OpenApi, extra: int, status: int) -> None:
    frame = len(orjson.dumps(event(properties={"text": ""})))
    answer = await api.send("/v1/events", event(properties={"text": "x" * (MAX_EVENT - frame + extra)}))

    assert status == answer.status_code
    assert status == 200 or str(MAX_EVENT) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("extra", "status"), [pytest.param(0, 200, id="at the limit"), pytest.param(1, 413, id="one over")]
)
async def test_a_body_may_hold_1000_events(api: OpenApi, extra: int, status: int) -> None:
    answer = await api.send("/v1/events", {"events": [{}] * (MAX_EVENTS + extra)})

    assert status == answer.status_code
    assert status == 200 or str(MAX_EVENTS) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("extra", "status"), [pytest.param(0, 200, id="at the limit"), pytest.param(1, 413, id="one over")]
)
@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_may_have_1_mib_before_and_after_gzip(
    api: OpenApi, extra: int, status: int, compressed: bool
) -> None:
    body = orjson.dumps({"events": [event(event_id="a")]})
    body += b" " * (MAX_BODY - len(body) + extra)
    answer = await api.send("/v1/events", gzip.compress(body) if compressed else body)

    assert status == answer.status_code
    assert status == 200 or str(MAX_BODY) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("depth", "status"),
    [pytest.param(MAX_DEPTH - 1, 200, id="at the limit, the event being the first level"),
     pytest.param(MAX_DEPTH, 422, id="one over"), pytest.param(900, 422, id="far over")],
)  # fmt: skip
async def test_an_event_may_nest_16_levels(api: OpenApi, depth: int, status: int) -> None:
    answer = await api.send("/v1/events", event(properties=nested(depth) if depth < 200 else None, **(
        {} if depth < 200 else {"context": nested(200)})))  # fmt: skip

    assert status == answer.status_code
    assert status == 200 or str(MAX_DEPTH) in answer.json()["detail"]


async def test_an_event_too_deep_to_parse_costs_the_others_of_its_batch_nothing(api: OpenApi) -> None:
    deep = b'{"id":"deep","type":"T","identifiers":{"user_id":"u"},"properties":'
    deep += b'{"]":' * 10_000 + b"1" + b"}" * 10_000 + b"}"
    good = orjson.dumps(event(event_id="good"))
    results = await api.results("/v1/events", b'{"events":[' + deep + b"," + good + b"]}")

    assert [("deep", "rejected"), ("good", "accepted")] == [(r["id"], r["status"]) for r in results]
    assert "too_deep" == results[0]["code"]


async def test_a_gzip_bomb_is_refused(api: OpenApi) -> None:
    answer = await api.send("/v1/batch", gzip.compress(b"0" * 50_000_000))

    assert 413 == answer.status_code


async def test_a_body_that_streams_on_without_end_is_cut_off(api: OpenApi) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    answer = await api.client.post("/v1/batch", content=endless(), headers={"Authorization": "Bearer write-key-of-tests"})

    assert 413 == answer.status_code
    assert sent <= 2 * MAX_BODY


GOOD = b'{"id":"1","messageId":"1","type":"track","event":"X","userId":"u","identifiers":{"user_id":"u"}%s}'

POISON = {
    "nothing": b"",
    "blanks": b"  \n",
    "a word": b"hello",
    "half an object": b'{"id":"1"',
    "a number": b"5",
    "null": b"null",
    "true": b"true",
    "text": b'"text"',
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of lists": b"[[],[[]]]",
    "a list of everything else": b'[1,null,true,"a",1.5]',
    "NaN": b"NaN",
    "not UTF-8": b'{"id":"\xff\xfe"}',
    "UTF-16": '{"id":"1"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD % b"",
    "ten thousand lists": b"[" * 10_000 + b"]" * 10_000,
    "ten thousand lists left open": b"[" * 10_000,
    "a hundred thousand objects left open": b'{"a":' * 100_000,
    "closing first": b"]" * 10_000,
    "an unfinished string": b'{"id":"' + b"\\" * 9_999,
    "broken gzip": b"\x1f\x8b\x08\x00nonsense",
    "gzip cut short": gzip.compress(GOOD % b"" * 50)[:-9],
    "two gzips in a row": gzip.compress(GOOD % b"") * 2,
    "NaN inside": GOOD % b',"properties":{"price":NaN,"products":[{"product_id":"p","price":NaN}]}',
    "infinities": GOOD % b',"properties":{"a":1e400,"b":-1e400,"c":Infinity}',
    "a number of 5000 digits": GOOD % b',"properties":{"a":%s}' % (b"9" * 5000),
    "a number beyond 64 bits": GOOD % b',"properties":{"quantity":99999999999999999999999,"product_id":"p"}',
    "NUL in a value": GOOD % b',"properties":{"a":"\\u0000"},"traits":{"b":"\\u0000"}',
    "NUL in a name": GOOD % b',"properties":{"\\u0000":1}',
    "NUL in the id": b'{"id":"\\u0000","messageId":"\\u0000","type":"track","event":"X","userId":"u"}',
    "NUL in the event's name": b'{"id":"1","type":"a\\u0000","event":"a\\u0000","userId":"u","identifiers":{"user_id":"u"}}',
    "NUL in an identifier": b'{"id":"1","type":"track","event":"X","userId":"u\\u0000","identifiers":{"user_id":"\\u0000"}}',
    "a lone surrogate": GOOD % b',"properties":{"a":"\\ud800","\\udfff":1}',
    "a lone surrogate in the id": b'{"id":"\\ud800","messageId":"\\ud800","type":"track","event":"X","userId":"u"}',
    "a lone surrogate in a deep id": b'{"id":"\\ud800","p":' + b"[" * 50 + b"]" * 50 + b"}",
    "duplicate names": b'{"id":"1","id":"2","type":"track","event":"X","event":"Y","userId":"u"}',
    "wrong types everywhere": b'{"id":[],"messageId":{},"type":7,"event":[],"userId":{},"identifiers":7,"properties":[],"traits":"x","context":1,"time":{},"timestamp":[],"sentAt":{}}',
    "wrong types further in": GOOD % b',"properties":{"products":"p","cart_id":{},"order_id":[1],"message_id":5,"quantity":"many"},"traits":{"consents":[1],"email":{},"phone":true},"context":{"traits":[],"library":"x","timezone":5}',
    "a true user": b'{"id":"1","type":"track","event":"X","userId":true,"identifiers":{"user_id":true}}',
    "year 1": GOOD % b',"time":"0001-01-01T00:00:00+14:00","timestamp":"0001-01-01T00:00:00+14:00"',
    "year 9999": GOOD % b',"time":"9999-12-31T23:59:59-12:00","timestamp":"9999-12-31T23:59:59-12:00"',
    "year 99999": GOOD % b',"time":"99999-12-31T23:59:59Z","timestamp":"99999-12-31T23:59:59Z"',
    "a clock of year 1": GOOD % b',"timestamp":"2026-01-01T00:00:00Z","sentAt":"0001-01-01T00:00:00Z"',
    "a time beyond numbers": GOOD % b',"time":1e300,"timestamp":1e300,"sentAt":-1e300',
    "a name of 10000 characters": b'{"id":"1","type":"%s","event":"%s","userId":"u"}' % (b"n" * 10_000, b"n" * 10_000),
    "an id of 10000 characters": b'{"id":"%s","messageId":"%s","type":"track","event":"X","userId":"u"}' % (b"i" * 10_000, b"i" * 10_000),
    "a key of 10000 characters": GOOD % b',"properties":{"%s":1}' % (b"k" * 10_000),
    "ten thousand names": b'{"id":"1","type":"track","event":"X","userId":"u","identifiers":{"user_id":"u"},"properties":{%s}}' % b",".join(b'"%d":1' % n for n in range(5_000)),
    "right-to-left and zero width": '{"id":"\u202e1\u200b","type":"track","event":"\u202eX","userId":"\u200b","identifiers":{"user_id":"\u200b"}}'.encode(),
    "a purchase without sense": b'{"id":"1","type":"Order Completed","event":"Order Completed","userId":"u","identifiers":{"user_id":"u"},"properties":{"products":[null,1,[],{"product_id":null},{"product_id":"p","quantity":-1},{"product_id":"p","price":"x","quantity":1e300}]}}',
    "a cart line too many": b'{"id":"1","type":"Product Added","event":"Product Added","userId":"u","identifiers":{"user_id":"u"},"properties":{"product_id":"p","quantity":999999999999999999,"price":1e308}}',
    "a refund of nothing": b'{"id":"1","type":"Order Refunded","event":"Order Refunded","userId":"u","identifiers":{"user_id":"u"},"properties":{"order_id":"o","products":[{"product_id":"p","quantity":99999999999}]}}',
    "an open message": b'{"id":"1","type":"Message Opened","event":"Email Opened","properties":{"message_id":"no uuid","email_id":"x"}}',
    "a strange CloudEvent": b'{"specversion":"9","id":{},"source":[],"type":1,"data":[],"subject":5}',
    "a CloudEvent of bytes": b'{"specversion":"1.0","id":"1","source":"s","type":"T","data_base64":"AAAA"}',
    "batches that are none": b'{"batch":{},"events":{}}',
    "batches of nothing": b'{"batch":[],"events":[]}',
    "a batch of poison": b'{"batch":[{"type":[]},{"userId":[]},[],{"type":"track","event":"X","userId":"u","properties":{"a":"\\u0000"}}],"events":[{},[],{"id":"\\ud800"}],"sentAt":[]}',
    "telemetry of a browser": b'{"series":[{"type":"Counter"}]}',
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
async def test_no_body_is_answered_with_a_server_error(api: OpenApi, name: str) -> None:
    seen = {path: (await api.send(path, POISON[name])) for path in sorted(PATHS)}

    assert {} == {path: answer.text for path, answer in seen.items() if answer.status_code >= 500}
    for answer in seen.values():
        assert answer.status_code in (200, 400, 413, 422)
        assert answer.status_code == 200 or answer.json()["detail"]
    # And the door still opens.
    (result,) = await api.results("/v1/events", event(event_id="after"))
    assert "accepted" == result["status"]


async def test_every_poison_body_could_be_told_from_the_others() -> None:
    assert len(POISON) >= 40


async def test_cloud_events_are_native_events_in_another_envelope(api: OpenApi) -> None:
    cloud = {"specversion": "1.0", "id": "c-1", "source": "/pos/3", "type": "Order Completed",
             "time": "2026-11-21T10:00:00Z", "datacontenttype": "application/json", "subject": "loyalty_id:L7",
             "data": {"channel": "store", "identifiers": {"email": "ada@example.com"},
                      "properties": {"order_id": "o-1", "products": [{"sku": "s-1"}]}}}  # fmt: skip
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = await api.send("/v1/events", [cloud, {**cloud, "id": "c-2", "source": ""}], headers=headers)

    assert ["accepted", "rejected"] == [r["status"] for r in answer.json()["results"]]
    (kept,) = await api.rows("SELECT source, id, channel FROM event")
    assert ("/pos/3", "c-1", "store") == tuple(kept)
    profile = await api.read("/v1/profiles/loyalty_id/L7")
    assert {"email", "loyalty_id"} == {one["type"] for one in profile["identifiers"]}
    assert ["s-1"] == [one["item"] for one in profile["purchases"]]


async def test_the_content_type_is_not_believed(api: OpenApi) -> None:
    for number, kind in enumerate(("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")):
        body = gzip.compress(orjson.dumps(event(event_id=str(number))))
        answer = await api.send("/v1/events", body, headers={"Content-Type": kind})

        assert 200 == answer.status_code


async def test_every_web_origin_may_send_events_and_nothing_else(api: OpenApi) -> None:
    asking = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST",
              "Access-Control-Request-Headers": "authorization,content-type,anonymousid"}  # fmt: skip
    open_door = await api.client.options("/v1/batch", headers=asking)
    other = await api.client.options("/v1/profiles/user_id/1", headers=asking)

    assert 200 == open_door.status_code
    assert "*" == open_door.headers["access-control-allow-origin"]
    assert "access-control-allow-origin" not in other.headers
    refused = await api.client.post("/v1/t", content=b"{}", headers={"Origin": "https://shop.example"})
    assert 401 == refused.status_code
    assert "*" == refused.headers["access-control-allow-origin"]


async def test_the_browser_client_brings_its_key_in_the_body(api: OpenApi) -> None:
    call = {"type": "track", "event": "X", "anonymousId": "a-1", "messageId": "m-1"}
    alone = await api.client.post("/v1/t", content=orjson.dumps({**call, "writeKey": "write-key-of-tests"}))
    batch = await api.client.post(
        "/v1/m",
        content=orjson.dumps({"writeKey": "write-key-of-tests", "batch": [call], "sentAt": "2026-11-21T10:00:00Z"}),
    )
    wrong = await api.client.post("/v1/t", content=orjson.dumps({**call, "writeKey": "wrong"}))

    assert "accepted" == alone.json()["results"][0]["status"]
    assert "duplicate" == batch.json()["results"][0]["status"]
    assert 401 == wrong.status_code


async def test_telemetry_of_the_browser_client_is_answered_and_not_kept(api: OpenApi) -> None:
    answer = await api.client.post("/v1/m", content=orjson.dumps({"series": [{"type": "Counter"}]}))

    assert 200 == answer.status_code
    assert [] == list(await api.rows("SELECT FROM event"))
