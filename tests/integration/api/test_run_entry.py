"""A run started by hand over HTTP: what is answered, what is kept, and what is refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from tests.support.environments.api import ADMIN, OpenApi, event

API_SETTINGS = {"waypost_journeys": "journeys,tests.support.journeys.segments"}

LAMP = {"cart_id": "c-1", "product_id": "p-1", "name": "Lamp", "price": 39.0}

CART = {"identifiers": {"user_id": "u-1"}, "event": "Product Added", "properties": LAMP}


async def enters(
    api: OpenApi, body: Any = CART, *, journey: str = "cart-abandonment", key: str | None = None
) -> httpx2.Response:
    headers = ADMIN | ({"Idempotency-Key": key} if key else {})
    path = f"/v1/journeys/{journey}/runs"
    if isinstance(body, bytes):
        return await api.client.post(
            path, content=body, headers=headers | {"Content-Type": "application/json"}
        )
    return await api.client.post(path, json=body, headers=headers)


async def kept(api: OpenApi) -> tuple[int, int, int]:
    """How many events, runs and outbox rows there are."""
    [row] = await api.rows(
        "SELECT (SELECT count(*) FROM event) AS events, (SELECT count(*) FROM run) AS runs, "
        "(SELECT count(*) FROM outbox) AS outbox"
    )
    return row["events"], row["runs"], row["outbox"]


async def test_a_run_is_started_and_its_event_kept_like_any_other(api: OpenApi) -> None:
    answer = await enters(api, CART | {"traits": {"plan": "gold"}})
    said = answer.json()
    run = await api.read(f"/v1/runs/{said['run_id']}")
    profile = await api.read("/v1/profiles/user_id/u-1")
    [stored] = await api.rows("SELECT * FROM event")

    assert answer.status_code == 202, answer.text
    assert (said["journey"], said["key"], said["state"]) == ("cart-abandonment", "c-1", "running")
    assert run["key"] == "c-1"
    assert profile["traits"] == {"plan": "gold"}
    assert profile["carts"][0]["cart_id"] == "c-1"
    assert (str(stored["event_id"]), stored["source"]) == (said["event_id"], "api/cart-abandonment")
    assert await kept(api) == (1, 1, 1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("user_id", "42"),
        ("loyalty_id", "L7"),
        ("email", "Ada@Example.com"),
        ("phone", "+49 151 12345678"),
        ("push_token", "fcm:token-of-a-handset"),
        ("anonymous_id", "device-1"),
        ("email_sha256", sha256(b"ada@example.com").hexdigest()),
    ],
)
async def test_whom_a_run_is_for_may_be_told_by_any_type_of_identifier(
    api: OpenApi, kind: str, value: str
) -> None:
    answer = await enters(api, CART | {"identifiers": {kind: value}})
    profile = await api.read(f"/v1/profiles/{kind}/{value}")

    assert answer.status_code == 202, answer.text
    assert [run["run_id"] for run in profile["runs"]] == [answer.json()["run_id"]]


async def test_a_run_of_somebody_known_by_a_server_is_theirs_whichever_identifier_is_told(
    api: OpenApi,
) -> None:
    everything = {"user_id": "42", "email": "ada@example.com", "anonymous_id": "device-1"}
    await api.send("/v1/events", event(identifiers=everything, properties={}), headers=ADMIN)
    hashed = sha256(b"ada@example.com").hexdigest()
    for number, (kind, value) in enumerate((*everything.items(), ("email_sha256", hashed))):
        cart = LAMP | {"cart_id": f"c-{number}"}
        assert (
            await enters(api, {**CART, "identifiers": {kind: value}, "properties": cart})
        ).status_code == 202
    [row] = await api.rows("SELECT count(DISTINCT profile_id) AS people, count(*) AS runs FROM run")

    assert (row["people"], row["runs"]) == (1, 4)


async def test_only_the_journey_that_is_named_learns_of_the_event(api: OpenApi) -> None:
    order = {"identifiers": {"user_id": "u-1"}, "properties": {"order_id": "o-1", "products": [LAMP]}}
    answer = await enters(api, order, journey="ask-about-order")
    runs = await api.rows("SELECT journey FROM run")

    # Post-purchase starts on an order as well.
    assert answer.status_code == 202
    assert [run["journey"] for run in runs] == ["ask-about-order"]


async def test_the_journeys_filter_is_the_callers_to_decide(api: OpenApi) -> None:
    small = {"cart_id": "c-1", "value": 5.0}
    await api.results("/v1/events", event("Checkout Started", properties=small))
    by_itself = await api.rows("SELECT 1 FROM run WHERE journey = 'court-large-checkouts'")
    body = {"identifiers": {"user_id": "u-1"}, "properties": small}
    answer = await enters(api, body, journey="court-large-checkouts")

    assert by_itself == []
    assert answer.status_code == 202


async def test_the_same_idempotency_key_starts_one_run_also_at_once(api: OpenApi) -> None:
    first, *others = await asyncio.gather(*(enters(api, key="retry-1") for _ in range(4)))
    changed = CART | {"properties": LAMP | {"product_id": "p-2"}}
    other = await enters(api, changed, key="retry-1")

    codes = sorted(answer.status_code for answer in (first, *others))
    assert codes == [200, 200, 200, 202]
    assert {first.json()["run_id"]} == {answer.json()["run_id"] for answer in others}
    assert other.status_code == 422
    assert other.json()["run_id"] == first.json()["run_id"]
    assert await kept(api) == (1, 1, 1)


async def test_a_repeated_key_finds_its_run_also_after_its_end(api: OpenApi) -> None:
    first = await enters(api, key="retry-1")
    await api.rows("UPDATE run SET state = 'ended', outcome = 'bought', ended_at = now()")
    again = await enters(api, key="retry-1")

    assert again.status_code == 200
    assert first.json() | {"state": "ended"} == again.json()


async def test_a_live_run_of_the_key_is_a_conflict_that_writes_nothing(api: OpenApi) -> None:
    first = await enters(api)
    before = await kept(api)
    again = await enters(api, key="retry-1")
    after = await kept(api)
    another_person = await enters(api, CART | {"identifiers": {"user_id": "u-2"}})
    await api.rows("UPDATE run SET state = 'ended', ended_at = now(), entered_at = now() - interval '4 days'")
    later = await enters(api, key="retry-1")

    assert [again.status_code, another_person.status_code] == [409, 202]
    assert again.json()["run_id"] == first.json()["run_id"]
    assert before == after
    # Nothing was kept, so the same key may be sent again.
    assert later.status_code == 202


async def test_re_entry_that_is_forbidden_says_until_when(api: OpenApi) -> None:
    run = (await enters(api)).json()
    order = {"identifiers": {"user_id": "u-1"}, "properties": {"order_id": "o-1", "products": [LAMP]}}
    await enters(api, order, journey="ask-about-order")
    greeted = {"identifiers": {"user_id": "u-1"}}
    await enters(api, greeted, journey="greet-regulars")
    await api.rows(
        "INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, "
        "message_class, items, status, decided_at) SELECT gen_random_uuid(), profile_id, run_id, 's', "
        "journey, 'email', 't', 'marketing', '{}', 'sent', now() FROM run"
    )
    await api.rows("UPDATE run SET state = 'ended', ended_at = now()")
    entered = datetime.fromisoformat((await api.read(f"/v1/runs/{run['run_id']}"))["entered_at"])
    after = await enters(api)
    at_most = await enters(api, order, journey="ask-about-order")
    once = await enters(api, greeted, journey="greet-regulars")

    assert {409} == {answer.status_code for answer in (after, at_most, once)}
    assert datetime.fromisoformat(after.json()["until"]) == entered + timedelta(days=3)
    assert "3 days" in after.json()["detail"]
    assert (at_most.json()["until"], once.json()["until"]) == (None, None)
    assert "1 times at most" in at_most.json()["detail"]
    assert "enters once" in once.json()["detail"]


async def test_a_journey_of_a_segment_is_started_with_the_segment_filled_in(api: OpenApi) -> None:
    answer = await enters(api, {"identifiers": {"email": "ada@example.com"}}, journey="thank-regulars")
    wrong = {"identifiers": {"user_id": "u-2"}, "properties": {"segment": "strangers"}}
    refused = await enters(api, wrong, journey="thank-regulars")
    [stored] = await api.rows("SELECT properties->>'segment' AS segment FROM event")

    assert answer.status_code == 202, answer.text
    assert stored["segment"] == "regulars"
    assert refused.status_code == 422
    assert "one of regulars" in refused.json()["detail"]


ADDED = b'"event":"Product Added"'

OLD = (datetime.now(UTC) - timedelta(days=4)).isoformat()


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        pytest.param({"event": "Product Viewd"}, 422, "Checkout Started, Product Added", id="unknown event"),
        pytest.param({"event": "Order Completed"}, 422, "cart-abandonment starts on", id="starts another"),
        pytest.param({"event": "Product Add"}, 422, "did you mean 'Product Added'", id="misspelt"),
        pytest.param({"event": None}, 422, "event is missing", id="two to choose from"),
        pytest.param({"properties": {"price": "much"}}, 422, "price", id="properties that do not fit"),
        pytest.param({"properties": {"cart_id": "ada@example.com"}}, 422, "email", id="a personal key"),
        pytest.param({"identifiers": {}}, 422, "no profile is named", id="nobody"),
        pytest.param({"identifiers": {"email": "ada"}}, 422, "/identifiers/email", id="no good address"),
        pytest.param({"identifiers": {"name": "ada"}}, 422, "identifier type", id="no identifier"),
        pytest.param(
            {"identifiers": {}, "properties": LAMP | {"message_id": "m"}}, 422, "no profile", id="a message's"
        ),
        pytest.param({"time": "yesterday"}, 422, "/time", id="no time"),
        pytest.param({"time": "2301-01-01T00:00:00Z"}, 422, "/time", id="no such time"),
        pytest.param({"time": OLD}, 422, "72 hours", id="too old"),
        pytest.param({"time": "2090-01-01T00:00:00Z"}, 422, "ahead", id="too early"),
        pytest.param({"proprties": {}}, 422, "/proprties", id="a field there is not"),
        pytest.param({"properties": {"note": "x" * 70_000}}, 413, "65536", id="too large"),
    ],
)
async def test_what_can_start_no_run_is_refused_and_nothing_is_kept(
    shared_api: OpenApi, change: dict[str, Any], status: int, said: str
) -> None:
    answer = await enters(shared_api, CART | change)

    assert status == answer.status_code, answer.text
    assert said in answer.text
    assert await kept(shared_api) == (0, 0, 0)


async def test_a_key_that_cannot_be_computed_is_named(shared_api: OpenApi) -> None:
    answer = await enters(shared_api, {"identifiers": {"user_id": "u-1"}}, journey="ask-about-order")

    assert answer.status_code == 422
    assert "order_id" in answer.json()["detail"]


async def test_an_unknown_journey_is_missing_and_the_nearest_is_named(shared_api: OpenApi) -> None:
    answer = await enters(shared_api, journey="cart-abandonmet")

    assert answer.status_code == 404
    assert "did you mean 'cart-abandonment'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[1]", 422),
        (b'{"identifiers": 5}', 422),
        (b'{"identifiers":{"user_id":"u"},"event":"\\u0000"}', 422),
        (b'{"identifiers":{"user_id":"\\ud800"},%b,"properties":{"cart_id":"c"}}' % ADDED, 422),
        (b'{"identifiers":{"user_id":"u"},%b,"properties":{"cart_id":"c","a":1e400}}' % ADDED, 202),
        (b'{"identifiers":{"user_id":"u"},%b,"properties":{"a":%b%b}}' % (ADDED, b"[" * 30, b"]" * 30), 422),
    ],
)
async def test_a_body_that_is_hardly_json_breaks_nothing(api: OpenApi, body: bytes, status: int) -> None:
    answer = await enters(api, body)

    assert status == answer.status_code, answer.text


async def test_journeys_say_which_segments_bring_people_in(shared_api: OpenApi) -> None:
    journeys = {one["name"]: one for one in (await shared_api.read("/v1/journeys"))["journeys"]}

    assert journeys["thank-regulars"]["segments"] == [{"name": "regulars", "every": "PT2H"}]
    assert journeys["cart-abandonment"]["segments"] == []
    assert journeys["cart-abandonment"]["holdout"] == 0
