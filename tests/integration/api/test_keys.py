"""Who may come in: every route needs a key but those on a short list, and each kind of key has its rights."""

import base64
from hashlib import sha256

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.events.routes import EVENT_PATHS
from tests.support.environments.api import (
    ADMIN,
    SERVER,
    SERVER_KEYS,
    WRITE,
    OpenApi,
    all_routes,
    event,
    opened,
    settings,
)

PUBLIC = {
    "/", "/docs", "/docs/oauth2-redirect", "/openapi.json",
    "/healthz", "/readyz", "/metrics",
    "/unsubscribe/{token}", "/preferences/{token}", "/opt-in/{token}",
}  # fmt: skip
"""Routes without a key; the last three carry a signed token instead."""

CLAIM = {"type": "user_id", "value": "u-1"}


def routes() -> list[tuple[str, str]]:
    """(method, path) of everything the API answers, found in the app's own table."""
    schema = create_app(settings("postgresql://nobody@127.0.0.1:1/none")).openapi()
    listed = [(method.upper(), path) for path, ways in schema["paths"].items() for method in ways]
    hidden = [("GET", path) for path in ("/", "/docs", "/openapi.json")]
    return sorted({*listed, *hidden})


def concrete(path: str) -> str:
    """A path with its parameters filled in."""
    filled = path.replace("{run_id}", "01900000-0000-7000-8000-000000000000")
    for name in ("type", "value", "journey", "key", "event", "token"):
        filled = filled.replace("{" + name + "}", "x")
    return filled.replace("{message_id}", "01900000-0000-7000-8000-000000000000")


def test_the_schema_lists_every_route_but_the_documentations_own() -> None:
    app = create_app(settings("postgresql://nobody@127.0.0.1:1/none"))
    found = all_routes(app.routes)
    unlisted = {route.path for route in found if not route.include_in_schema and route.methods != {"HEAD"}}

    assert len(found) > 30
    assert unlisted <= {"/"}
    assert len(routes()) > 30


async def test_every_route_but_the_public_ones_asks_for_a_key(api: OpenApi) -> None:
    closed = [(m, p) for m, p in routes() if p not in PUBLIC]
    answers = {(m, p): await api.client.request(m, concrete(p)) for m, p in closed if p not in EVENT_PATHS}
    answers |= {(m, p): await api.client.request(m, p, content=b"{}") for m, p in closed if p in EVENT_PATHS}
    wrong = {
        (m, p): await api.client.request(m, concrete(p), headers={"Authorization": "Bearer no"})
        for m, p in closed
    }

    assert len(closed) > 20
    assert {401} == {answer.status_code for answer in (*answers.values(), *wrong.values())}
    assert all("Basic" in answer.headers["www-authenticate"] for answer in answers.values())


async def test_a_write_key_only_sends_events(api: OpenApi) -> None:
    closed = [(m, p) for m, p in routes() if p not in PUBLIC and p not in EVENT_PATHS]
    answers = {(m, p): await api.client.request(m, concrete(p), headers=WRITE) for m, p in closed}

    said = "a write key may only send events; use "
    assert {403} == {answer.status_code for answer in answers.values()}
    assert {
        (path == "/v1/identity/tokens", answer.json()["detail"]) for (_, path), answer in answers.items()
    } == {(True, said + "a server or an admin key here"), (False, said + "an admin key here")}
    assert (await api.send("/v1/events", event())).status_code == 200


async def test_a_server_key_sends_events_and_issues_tokens_and_no_more(database_url: str) -> None:
    mine = (*EVENT_PATHS, "/v1/identity/tokens")
    closed = [(m, p) for m, p in routes() if p not in PUBLIC and p not in mine]
    async with opened(database_url, **SERVER_KEYS) as api:
        answers = [await api.client.request(m, concrete(p), headers=SERVER) for m, p in closed]
        sent = await api.send("/v1/events", event(), headers=SERVER)
        named = await api.send("/v1/track", {"userId": "u", "event": "X", "messageId": "m"}, headers=SERVER)
        issued = await api.client.post("/v1/identity/tokens", json=CLAIM, headers=SERVER)
        sources = [row["source"] for row in await api.rows("SELECT source FROM event ORDER BY id")]

    assert len(closed) > 10
    assert {403} == {answer.status_code for answer in answers}
    assert {"a server key may only send events and issue identity tokens; use an admin key here"} == {
        answer.json()["detail"] for answer in answers
    }
    assert [sent.status_code, named.status_code, issued.status_code] == [200, 200, 200]
    assert sources == ["test", "segment/till"]


async def test_without_a_server_key_set_there_is_none(shared_api: OpenApi) -> None:
    answers = [
        await shared_api.send("/v1/events", event(), headers={"Authorization": f"Bearer {key}"})
        for key in ("dev-server", "server-key-of-tests")
    ]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_an_admin_key_does_everything(api: OpenApi) -> None:
    assert (await api.send("/v1/events", event(), headers=ADMIN)).status_code == 200
    assert (await api.client.get("/v1/journeys", headers=ADMIN)).status_code == 200


def basic(text: str) -> dict[str, str]:
    """Basic credentials as they come."""
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(basic("write-key-of-tests:"), id="Basic as Segment's clients send it"),
        pytest.param(basic("write-key-of-tests"), id="Basic without a colon"),
        pytest.param(basic(":write-key-of-tests"), id="Basic with the key as password"),
        pytest.param({"Authorization": "bearer write-key-of-tests"}, id="Bearer in small letters"),
    ],
)
async def test_a_key_is_taken_as_basic_or_bearer(api: OpenApi, headers: dict[str, str]) -> None:
    assert (await api.send("/v1/events", event(), headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic !!!", "Basic", "Digest x", "Basic " + "A" * 100_000, "Bearer \xe4", "Basic //79"],
)
async def test_a_malformed_header_is_a_401(shared_api: OpenApi, header: str) -> None:
    answer = await shared_api.client.post(
        "/v1/events", content=b"{}", headers=[(b"authorization", header.encode("latin-1"))]
    )

    assert answer.status_code == 401


async def test_several_keys_live_side_by_side_and_may_be_given_as_hashes(database_url: str) -> None:
    keys = SecretStr(
        f"shop:old-key, shop:sha256:{sha256(b'new-key').hexdigest()},{'sha256:' + sha256(b'pos').hexdigest()}"
    )
    async with opened(database_url, waypost_write_keys=keys) as api:
        for number, key in enumerate(("old-key", "new-key", "pos")):
            call = {"userId": "u", "event": "X", "messageId": f"m-{number}"}
            answer = await api.send("/v1/track", call, headers=basic(f"{key}:"))
            assert answer.status_code == 200
        hashed = await api.send("/v1/track", {}, headers=basic("sha256:" + sha256(b"pos").hexdigest()))
        sources = [row["source"] for row in await api.rows("SELECT source FROM event ORDER BY id")]

    assert hashed.status_code == 401
    # A rotation keeps the source, so that a retry under the new key is still the same event.
    assert sources == ["segment/shop", "segment/shop", "segment/default"]


async def test_a_local_stack_has_keys_of_its_own(database_url: str) -> None:
    none = {
        "waypost_write_keys": SecretStr(""),
        "waypost_admin_keys": SecretStr(""),
        "waypost_secrets": SecretStr(""),
    }
    async with opened(database_url, waypost_local=True, **none) as api:
        sent = await api.send("/v1/events", event(), headers={"Authorization": "Bearer dev-write"})
        vouched = await api.client.post(
            "/v1/identity/tokens", json=CLAIM, headers={"Authorization": "Bearer dev-server"}
        )
        read = await api.client.get("/v1/journeys", headers={"Authorization": "Bearer dev-admin"})

    assert [sent.status_code, vouched.status_code, read.status_code] == [200, 200, 200]
