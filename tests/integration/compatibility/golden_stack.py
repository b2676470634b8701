"""API and worker on one database with ids and instants that are the same at every run of a test."""

import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
import temporalio.bridge.worker
import uuid_utils.compat
from pydantic import BaseModel
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.channels.registry import ChannelRegistry
from activities.settings import ActivitySettings
from journeys.registry import load_journeys
from profiles.db.database import Database
from tests.support.environments.api import ADMIN, opened
from workers.sandbox import create_sandbox_store
from workers.settings import WorkerSettings
from workers.startup import store_policy_limits
from workers.worker import build_workers

MONDAY = datetime(2040, 6, 4, 10, tzinfo=UTC)
"""Noon in Berlin. It lies ahead, so that ingest of a local stack goes by the events' own times."""

SERVER = {"Authorization": "Bearer server-key-of-tests"}

SECRET = "a-secret-of-tests-that-is-long-enough-to-sign-with"

YES = {"consents": {"email": True, "sms": True, "push": True, "ads": True}}

_NOW = re.compile(r"20[23]\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d:\d\d|Z)")
"""An instant of the machine's clock inside a text; those of the scenarios lie in 2040."""


def count_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace UUIDv7 by a counter in every module that makes ids."""
    numbers = count(1)

    def next_id() -> UUID:
        return UUID(int=(0x0190_0000_0000_7000_8000 << 48) + next(numbers))

    original = uuid_utils.compat.uuid7
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if value is original:
                monkeypatch.setattr(module, name, next_id)


def rows_as_json(rows: list[Any]) -> list[dict[str, Any]]:
    """Rows with columns in their order; an instant of the machine's clock is replaced by a word."""
    return [{name: _value(value) for name, value in row.items()} for row in rows]


def _value(value: Any) -> Any:
    match value:
        case datetime() if value.year < MONDAY.year:
            return "<stamped>"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID():
            return str(value)
        case bytes():
            return value.hex()
        case str():
            return _NOW.sub("<stamped>", value)
        case list():
            return [_value(one) for one in value]
        case _:
            return value


@dataclass(slots=True)
class Stack:
    """The running API, the worker's activities by name, and a connection to look at the tables."""

    api: httpx2.AsyncClient
    workers: list[Worker]
    connection: Any
    now: datetime = MONDAY
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def activities(self) -> dict[str, Any]:
        """Name → Temporal's definition of the activity."""
        callables = [one for worker in self.workers for one in worker.config()["activities"]]
        definitions = [
            vars(getattr(one, "__func__", one))["__temporal_activity_definition"] for one in callables
        ]
        return {definition.name: definition for definition in definitions}

    def callable_of(self, name: str) -> Callable[..., Any]:
        """The activity as the worker would call it."""
        for worker in self.workers:
            for one in worker.config()["activities"]:
                if vars(getattr(one, "__func__", one))["__temporal_activity_definition"].name == name:
                    return one
        raise KeyError(name)

    async def event(self, name: str, identifiers: dict[str, str], **more: Any) -> None:
        """Send one event at the stack's now with a server key; it must be accepted."""
        body = {
            "id": f"e-{next(self.numbers)}",
            "type": name,
            "source": "golden",
            "channel": "web",
            "time": self.now.isoformat(),
            "identifiers": identifiers,
            **more,
        }
        answer = await self.api.post("/v1/events", json=body, headers=SERVER)
        assert answer.status_code == 200, answer.text
        [result] = answer.json()["results"]
        assert result["status"] == "accepted", result

    async def admin(self, method: str, path: str, **more: Any) -> Any:
        """A call with the admin key that succeeds."""
        answer = await self.api.request(method, path, headers=ADMIN, **more)
        assert answer.is_success, answer.text
        return answer.json()

    async def perform(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """One attempt of an activity at the stack's now, with its request and its answer as JSON."""
        [argument] = self.activities[name].arg_types
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=self.now)
        try:
            answer = await environment.run(self.callable_of(name), argument.model_validate(request))
        except ApplicationError as error:
            delay = error.next_retry_delay.total_seconds() if error.next_retry_delay else None
            return {"error": error.type, "non_retryable": error.non_retryable, "retry_after_s": delay,
                    "category": error.category.name}  # fmt: skip
        assert isinstance(answer, BaseModel)
        return answer.model_dump(mode="json")

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Rows, with JSON columns as text exactly as Postgres has them."""
        return [dict(row) for row in await self.connection.fetch(query, *arguments)]

    async def value(self, query: str, *arguments: Any) -> Any:
        """One value."""
        return await self.connection.fetchval(query, *arguments)


@asynccontextmanager
async def stack(
    database_url: str, client: Client, *, policy: Path | None = None, at: datetime = MONDAY
) -> AsyncIterator[Stack]:
    """A stack with the shipped journeys, the sandbox for every channel, and the policy of a file."""
    file = str(policy or "")
    database = Database(database_url)
    no_provider = dict.fromkeys(("SENDGRID_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"))
    given = {**no_provider, "waypost_policy": file, "WAYPOST_SECRETS": SECRET}
    settings = ActivitySettings.model_validate(given)
    await store_policy_limits(database, settings.policy.limits)
    channels = ChannelRegistry.from_settings(settings, create_sandbox_store(database))
    worker_settings = WorkerSettings(waypost_local=True, waypost_versioning=False)
    with pytest.MonkeyPatch.context() as patched:
        # A worker that is never run would stay registered with Temporal for the tests that come after.
        patched.setattr(temporalio.bridge.worker.Worker, "create", lambda client, config: None)
        workers = build_workers(client, database, load_journeys(), channels, settings, worker_settings)
    connection = await asyncpg.connect(database_url)
    more = {"waypost_local": True, "waypost_policy": file, "waypost_server_keys": "till:server-key-of-tests"}
    try:
        async with opened(database_url, **more) as api:
            yield Stack(api.client, workers, connection, at)
    finally:
        await connection.close()
        await channels.aclose()
        await database.close()
