"""The API as tests reach it: the real app on a real database, without a socket in between."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.routing import BaseRoute

from api.app import create_app
from api.dependencies import AppState
from api.settings import ApiSettings

WRITE = {"Authorization": "Bearer write-key-of-tests"}

SERVER = {"Authorization": "Bearer server-key-of-tests"}

ADMIN = {"Authorization": "Bearer admin-key-of-tests"}

SERVER_KEYS = {"waypost_server_keys": SecretStr("till:server-key-of-tests")}
"""The setting by which there is a server key."""

SECRET = "a-secret-of-tests-that-is-long-enough-to-sign-with"


def settings(database_url: str, **more: Any) -> ApiSettings:
    """Settings of a stack that is not local, unless ``more`` says so."""
    given: dict[str, Any] = {
        "database_url": database_url,
        "waypost_write_keys": SecretStr("shop:write-key-of-tests"),
        "waypost_admin_keys": SecretStr("admin-key-of-tests"),
        "waypost_secrets": SecretStr(SECRET),
        "temporal_address": "127.0.0.1:1",
        # Tests send more from one address than a client of a shop; those of budgets set their own.
        "waypost_address_events_per_s": 0.0,
        "waypost_key_events_per_s": 0.0,
    }
    return ApiSettings(**{**given, **more})


@dataclass(slots=True)
class OpenApi:
    """A running API and a client to it."""

    client: httpx2.AsyncClient
    doors: AppState

    async def send(self, path: str, body: Any, *, headers: dict[str, str] | None = None) -> httpx2.Response:
        """POST JSON (or bytes as they are) with the write key."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.client.post(path, content=content, headers={**WRITE, **(headers or {})})

    async def results(
        self, path: str, body: Any, *, headers: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """The per-event results of a request that must be answered 200."""
        answer = await self.send(path, body, headers=headers)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    async def read(self, path: str, **query: Any) -> Any:
        """GET JSON with the admin key; must be answered 200."""
        answer = await self.client.get(path, params=query, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read_all(self, path: str, key: str, *, limit: int) -> list[Any]:
        """All entries of a list, read page by page."""
        found: list[Any] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = await self.read(path, **query)
            found += page[key]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    async def rows(self, query: str, *arguments: Any) -> Sequence[Any]:
        """Rows of the test's database."""
        async with self.doors.database.transaction() as connection:
            found: Sequence[Any] = await connection.fetch(query, *arguments)
            return found


def all_routes(routes: Sequence[BaseRoute]) -> list[APIRoute]:
    """Every route of an application, those of included routers too."""
    found: list[APIRoute] = []
    for route in routes:
        if isinstance(route, APIRoute):
            found.append(route)
        elif (included := getattr(route, "original_router", None)) is not None:
            found += all_routes(included.routes)
    return found


@asynccontextmanager
async def opened(database_url: str, **more: Any) -> AsyncIterator[OpenApi]:
    """The API on a database, open for the length of a test."""
    app = create_app(settings(database_url, **more))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://waypost.test") as client:
            yield OpenApi(client, app.state.app_state)


def event(name: str = "Product Added", event_id: str = "e-1", **more: Any) -> dict[str, Any]:
    """A native event that is taken in."""
    return {"id": event_id, "type": name, "source": "test", "identifiers": {"user_id": "u-1"}, **more}
