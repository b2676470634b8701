"""Identity tokens over HTTP: a server vouches for its visitor, and what the visitor says is verified."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.batching import Batcher
from profiles.ingest.event_store import IngestResult
from profiles.state.event_records import IncomingEvent
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, WRITE, OpenApi, opened

API_SETTINGS = SERVER_KEYS

CLAIM = {"type": "user_id", "value": "42"}


async def asked(api: OpenApi, claim: dict[str, Any], *, headers: dict[str, str] = SERVER) -> httpx2.Response:
    """The answer to a server that asks for a token."""
    return await api.client.post("/v1/identity/tokens", json=CLAIM | claim, headers=headers)


async def issued(api: OpenApi, *, headers: dict[str, str] = SERVER, **claim: Any) -> str:
    """A token as a shop's server gets it."""
    answer = await asked(api, claim, headers=headers)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["token"]
    return token


def overheard(api: OpenApi) -> list[IncomingEvent]:
    """The events that reach ingest from now on, which takes them in as before."""
    taken: list[IncomingEvent] = []
    before = api.doors.batcher

    async def listening(events: Sequence[IncomingEvent]) -> list[IngestResult]:
        taken.extend(events)
        return await before.submit(events)

    api.doors.batcher = Batcher(listening, api.doors.database.ping)
    return taken


def call(event_id: str = "m-1", token: Any = None, **more: Any) -> dict[str, Any]:
    """A track call of a page."""
    context = {} if token is None else {"context": {"waypost_token": token, "locale": "de-DE"}}
    return {"messageId": event_id, "userId": "42", "event": "X", **context, **more}


@pytest.mark.parametrize("headers", [SERVER, ADMIN])
async def test_a_server_or_admin_key_gets_a_token_and_its_end(api: OpenApi, headers: dict[str, str]) -> None:
    answer = await asked(api, {"expires_in_s": 60}, headers=headers)
    said = answer.json()
    left = datetime.fromisoformat(said["expires_at"]) - datetime.now(UTC)

    assert answer.status_code == 200
    assert {"token", "expires_at"} == set(said)
    assert timedelta(0) < left <= timedelta(seconds=60)
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_of_other_origins_cannot_ask_for_one(api: OpenApi) -> None:
    question = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await api.client.options("/v1/identity/tokens", headers=question)

    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("claim", "pointer"),
    [
        pytest.param({"value": "null"}, "/value", id="a placeholder"),
        pytest.param({"value": ""}, "/value", id="an empty value"),
        pytest.param({"value": "a\x00b"}, "/value", id="what does not print"),
        pytest.param({"value": 42}, "/value", id="a number"),
        pytest.param({"type": "email", "value": "ada"}, "/value", id="no address"),
        pytest.param({"type": "phone", "value": "0151 12345678"}, "/value", id="no country"),
        pytest.param({"type": "anonymous_id"}, "/type", id="a device"),
        pytest.param({"type": None}, "/type", id="no type"),
        pytest.param({"expires_in_s": 0}, "/expires_in_s", id="no time"),
        pytest.param({"expires_in_s": 30 * 86_400 + 1}, "/expires_in_s", id="more than 30 days"),
        pytest.param({"expires_in_s": "soon"}, "/expires_in_s", id="no number"),
        pytest.param({"name": "Ada"}, "/name", id="an unknown field"),
    ],
)
async def test_a_bad_claim_is_a_422_that_points_at_the_field(
    shared_api: OpenApi, claim: dict[str, Any], pointer: str
) -> None:
    answer = await asked(shared_api, claim)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [pointer] == [error["pointer"] for error in answer.json()["errors"]]


async def test_a_phone_is_read_by_the_region_set(database_url: str) -> None:
    async with opened(database_url, default_region="DE", **SERVER_KEYS) as api:
        taken = overheard(api)
        token = await issued(api, type="phone", value="0151 12345678")
        await api.results("/v1/track", call(token=token, userId=None, properties={"phone": "+4915112345678"}))

    assert [event.verified for event in taken] == [True]


@pytest.mark.parametrize(("headers", "verified"), [(WRITE, False), (SERVER, True), (ADMIN, True)])
async def test_the_key_says_whether_an_event_reaches_ingest_verified(
    api: OpenApi, headers: dict[str, str], verified: bool
) -> None:
    taken = overheard(api)
    native = {"id": "e-1", "type": "X", "identifiers": {"user_id": "42"}}
    cloud = {"specversion": "1.0", "id": "e-2", "source": "s", "type": "X", "subject": "user_id:42"}
    answers = [
        await api.send("/v1/track", call(), headers=headers),
        await api.send("/v1/batch", {"batch": [{"type": "track", **call("m-2")}]}, headers=headers),
        await api.send("/v1/events", {"events": [native, cloud]}, headers=headers),
    ]

    assert {200} == {answer.status_code for answer in answers}
    assert [verified] * 4 == [event.verified for event in taken]


async def test_a_write_key_in_the_body_as_browsers_send_it_is_not_believed(api: OpenApi) -> None:
    taken = overheard(api)
    body = call() | {"writeKey": "write-key-of-tests"}
    answer = await api.client.post("/v1/t", json=body)

    assert answer.status_code == 200
    assert [event.verified for event in taken] == [False]


async def test_a_pages_event_with_its_token_reaches_ingest_verified_and_the_token_is_not_kept(
    api: OpenApi,
) -> None:
    taken = overheard(api)
    token = await issued(api)
    (result,) = await api.results("/v1/track", call(token=token))
    (row,) = await api.rows("SELECT event::text AS everything, context->>'locale' AS locale FROM event")

    assert result == {"index": 0, "id": "m-1", "status": "accepted"}
    assert [event.verified for event in taken] == [True]
    assert row["locale"] == "de-DE"
    assert "waypost_token" not in row["everything"]
    assert token not in row["everything"]


async def test_of_a_batch_each_event_has_tokens_of_its_own(api: OpenApi) -> None:
    taken = overheard(api)
    token = await issued(api)
    calls = [call("m-1", token), call("m-2"), call("m-3", token, userId="43"), call("m-4", "bad")]
    results = await api.results("/v1/batch", {"batch": [{"type": "track", **each} for each in calls]})

    assert [event.verified for event in taken] == [True, False, False, False]
    assert [[p["code"] for p in r.get("problems", [])] for r in results] == [
        [],
        [],
        ["unproved_identifier"],
        ["bad_token"],
    ]


async def test_a_bad_token_costs_the_event_nothing_but_its_proof(api: OpenApi) -> None:
    token = await issued(api)
    (result,) = await api.results("/v1/track", call(token=token[:-1]))
    (row,) = await api.rows("SELECT problems::text AS problems FROM event")

    assert result["status"] == "accepted"
    assert result["problems"][0]["code"] == "bad_token"
    assert "POST /v1/identity/tokens" in result["problems"][0]["detail"]
    assert "bad_token" in row["problems"]
    assert token[:-1] not in row["problems"]


@pytest.mark.parametrize("event_id", ["m-1", None])
async def test_a_retry_with_another_token_is_a_duplicate(api: OpenApi, event_id: str | None) -> None:
    first, second = await issued(api), await issued(api, expires_in_s=60)
    results = [
        (await api.results("/v1/track", call(token=token) | {"messageId": event_id}))[0]
        for token in (first, second, "bad")
    ]

    assert first != second
    assert [result["status"] for result in results] == ["accepted", "duplicate", "duplicate"]


async def test_a_token_outlives_the_rotation_of_its_secret_until_the_secret_is_gone(
    database_url: str,
) -> None:
    old, new = "old-secret-" + "o" * 32, "new-secret-" + "n" * 32
    verified = []
    for index, secrets in enumerate((old, f"{new},{old}", new)):
        async with opened(database_url, waypost_secrets=SecretStr(secrets), **SERVER_KEYS) as api:
            if index == 0:
                token = await issued(api)
            taken = overheard(api)
            await api.results("/v1/track", call(f"m-{index}", token))
            verified += [event.verified for event in taken]

    assert verified == [True, True, False]


async def test_a_customers_token_keeps_no_id_from_a_key_of_the_shop(api: OpenApi) -> None:
    till = {"id": "till-1-000900", "source": "pos/1"}
    own = {"identifiers": {"user_id": "42"}, "context": {"waypost_token": await issued(api)}}
    products = [{"product_id": "lamp"}]
    order = {"identifiers": {"user_id": "7"}, "properties": {"order_id": "o-1", "products": products}}
    [taken] = await api.results("/v1/events", {**till, "type": "Product Viewed", **own}, headers=WRITE)
    [answer] = await api.results("/v1/events", {**till, "type": "Order Completed", **order}, headers=SERVER)
    [late] = await api.results("/v1/events", {**till, "type": "Product Viewed", **own}, headers=WRITE)

    assert [taken["status"], answer["status"], late["status"]] == ["accepted", "accepted", "conflict"]
    assert len((await api.read("/v1/profiles/user_id/7"))["purchases"]) == 1
