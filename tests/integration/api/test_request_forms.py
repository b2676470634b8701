"""What every route says of a body that it cannot read, and of HEAD."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from api.app import create_app
from api.events.routes import EVENT_PATHS
from tests.support.environments.api import ADMIN, SERVER_KEYS, OpenApi, settings

API_SETTINGS = SERVER_KEYS

PATHS = create_app(settings("postgresql://nowhere/x")).openapi()["paths"]

PLAIN_GETS = sorted([path for path, methods in PATHS.items() if "get" in methods and "{" not in path])

IN_PATHS = {"kind": "journey", "type": "email", "cut_id": "1", "run_id": str(UUID(int=0))}

WITH_BODY = [
    pytest.param(method, path.format_map(defaultdict(lambda: "x", IN_PATHS)), id=f"{method} {path}")
    for path, methods in sorted(PATHS.items())
    for method, operation in methods.items()
    if operation.get("requestBody", {}).get("required") and path not in EVENT_PATHS
]


def test_there_are_routes_to_try() -> None:
    assert len(WITH_BODY) >= 5
    assert "/healthz" in PLAIN_GETS


BROKEN = [
    pytest.param(b"", "expected a JSON object, nothing came", id="nothing"),
    pytest.param(b"{", "cannot be read as JSON at character 1", id="cut JSON"),
    pytest.param(b"[]", "expected a JSON object, got a list", id="a list"),
    pytest.param(b"7", "expected a JSON object, got a number", id="a number"),
    pytest.param(b'"x"', "expected a JSON object, got a text", id="a text"),
    pytest.param(b"true", "expected a JSON object, got true or false", id="a truth value"),
    pytest.param(b"\xff", "is not UTF-8", id="bytes that are no UTF-8"),
]


@pytest.mark.parametrize(("body", "reason"), BROKEN)
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_a_broken_body_is_explained(
    shared_api: OpenApi, method: str, path: str, body: bytes, reason: str
) -> None:
    headers = {**ADMIN, "Content-Type": "application/json"}
    answer = await shared_api.client.request(method, path, content=body, headers=headers)
    told: dict[str, Any] = answer.json()

    assert answer.status_code in (400, 422)
    assert not told["detail"].startswith(":")
    assert told["errors"][0]["pointer"] == ""
    assert reason in told["errors"][0]["detail"]
    assert all(fault["pointer"].startswith("/") for fault in told["errors"][1:])


async def test_missing_and_unknown_fields_are_named_by_pointer(shared_api: OpenApi) -> None:
    path = "/v1/profiles/email/ada@example.com/consents"
    answer = await shared_api.client.put(path, json={"a/b": 1}, headers=ADMIN)

    assert answer.json()["errors"] == [
        {"pointer": "/channel", "detail": "is missing"},
        {"pointer": "/state", "detail": "is missing"},
        {"pointer": "/a~1b", "detail": "is no field of this request; leave it out"},
    ]


@pytest.mark.parametrize("path", PLAIN_GETS)
async def test_head_is_get_without_the_body(shared_api: OpenApi, path: str) -> None:
    get = await shared_api.client.get(path, headers=ADMIN)
    head = await shared_api.client.head(path, headers=ADMIN)

    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.content == b""


async def test_head_where_there_is_no_get_says_so(shared_api: OpenApi) -> None:
    head = await shared_api.client.head("/v1/events")
    post = await shared_api.client.post("/healthz")

    assert (head.status_code, head.headers["allow"]) == (405, "POST")
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")
