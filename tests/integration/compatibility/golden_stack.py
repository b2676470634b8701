"""API and worker on one database with ids and instants that are the same at every run of a test."""

import sys
from collections.abc import AsyncIterator, Iterator
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
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.channels.registry import ChannelRegistry
from activities.settings import ActivitySettings
from journeys.registry import load_journeys
from profiles.db.database import Database
from tests.support.environments.api import ADMIN, SECRET, opened
from workers.sandbox import create_sandbox_store
from workers.settings import WorkerSettings
from workers.startup import store_policy_limits
from workers.worker import build_workers

MONDAY = datetime(2040, 6, 4, 10, tzinfo=UTC)
"""Noon in Berlin. It lies ahead, so that ingest of a local stack goes by the events' own times."""

YES = {"consents": {"email": True, "sms": True, "push": True, "ads": True}}


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


def activities_of(worker: Worker) -> dict[str, Any]:
    """Name → activity as the worker calls it."""
    return {
        str(activity._Definition.must_from_callable(one).name): one for one in worker.config()["activities"]
    }


@dataclass(slots=True)
class Stack:
    """The running API, the workers, and a connection to look at the tables."""

    api: httpx2.AsyncClient
    workers: list[Worker]
    connection: Any
    now: datetime = MONDAY
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

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
        answer = await self.api.post("/v1/events", json=body, auth=("server-key-of-tests", ""))
        assert [one["status"] for one in answer.json()["results"]] == ["accepted"], answer.text

    async def admin(self, method: str, path: str, **json: Any) -> None:
        """A call with the admin key that succeeds."""
        answer = await self.api.request(method, path, headers=ADMIN, json=json or None)
        assert answer.is_success, answer.text

    async def perform(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """One attempt of an activity at the stack's now, with its request and its answer as JSON."""
        called = next(known[name] for known in map(activities_of, self.workers) if name in known)
        definition: Any = activity._Definition.must_from_callable(called)
        [argument] = definition.arg_types
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=self.now)
        try:
            answer = await environment.run(called, argument.model_validate(request))
        except ApplicationError as error:
            delay = error.next_retry_delay.total_seconds() if error.next_retry_delay else None
            return {"error": error.type, "non_retryable": error.non_retryable, "retry_after_s": delay,
                    "category": error.category.name}  # fmt: skip
        told: dict[str, Any] = answer.model_dump(mode="json")
        return told

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows, with JSON columns as text exactly as Postgres has them."""
        return [dict(row) for row in await self.connection.fetch(query, *arguments)]

    async def run_id(self, condition: str) -> str:
        """The one run of which this holds."""
        return str(await self.connection.fetchval(f"SELECT run_id FROM run WHERE {condition}"))


@asynccontextmanager
async def stack(database_url: str, client: Client, *, policy: Path | None = None) -> AsyncIterator[Stack]:
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
            yield Stack(api.client, workers, connection)
    finally:
        await connection.close()
        await channels.aclose()
        await database.close()
