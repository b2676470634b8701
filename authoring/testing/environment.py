"""All of Waypost in one process for tests: real Postgres and Temporal; the test triggers each delivery."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper
from temporalio.testing import TimeSkippingConfig as Skipping

from activities.channels.registry import ChannelRegistry
from activities.content.templates import LAYOUTS_FOLDER, TemplateRegistry
from activities.contracts import RunResult
from activities.settings import ActivitySettings
from authoring.testing.calendar import DEFAULT_START
from journeys.registry import SHIPPED, JourneyRegistry
from journeys.vocabulary import Journey
from policy.checks.suppression import rule_for
from policy.limits import BreakerRule, Limits
from profiles.db.database import Database
from profiles.identity.identifiers import read_identifier
from profiles.ingest.event_store import IngestResult
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.state.event_records import IncomingEvent
from workers.delivery import Delivery
from workers.relay import Relay
from workers.sandbox import create_sandbox_store
from workers.settings import WorkerSettings
from workers.startup import store_policy_limits
from workers.worker import build_workers, run_workers

Row = dict[str, Any]

_MAX_TIME_SKIPS = 10_000
"""Most time skips of one fast-forward. A run retries often while a provider is out of order for days."""

_PROVIDER_KEY_VARIABLES = ("SENDGRID_API_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")

_SETTINGS_OVERRIDES: dict[str, Any] = {**dict.fromkeys(_PROVIDER_KEY_VARIABLES), "waypost_policy": ""}
"""Settings that take precedence over the environment, so that a test never sends to a provider."""


def load_templates(journeys: JourneyRegistry) -> TemplateRegistry:
    """Return the messages of these journeys, which are read and checked again only if a file has changed.

    Raises ``TemplateError`` with all faults of all files.
    """
    folders = tuple(definition.folder for definition in journeys.values())
    files = {
        file
        for folder in folders
        for file in (*folder.glob("*/*"), *(folder.parent / LAYOUTS_FOLDER).glob("*"))
        if file.suffix != ".pyc"
    }
    states = ((file, file.stat()) for file in sorted(files))
    return _load_templates(folders, tuple((file, state.st_mtime_ns, state.st_size) for file, state in states))


@lru_cache(maxsize=64)
def _load_templates(folders: tuple[Path, ...], states: tuple[tuple[Path, int, int], ...]) -> TemplateRegistry:
    return TemplateRegistry.load(folders)


class Waypost:
    """A running Waypost. Nothing is delivered to Temporal until ``deliver_outbox`` is called."""

    def __init__(
        self,
        database_url: str,
        client: Client,
        *,
        journeys: Sequence[type[Journey]] = SHIPPED,
        channels: ChannelRegistry | None = None,
        limits: Limits | None = None,
        with_workers: bool = True,
        effects: Sequence[Callable[..., Any]] = (),
        starts_at: datetime = DEFAULT_START,
    ) -> None:
        self.database = Database(database_url)
        self.client = client
        self.journeys = JourneyRegistry(journeys, effects)
        # A breaker uses the worker's real clock, which time skipping does not move.
        self._limits = replace(limits or Limits(), breaker=BreakerRule(failures=1_000_000))
        rules = IngestConfig(local=True, suppression_rule_for=partial(rule_for, self._limits))
        self.ingest = Ingest(self.database, self.journeys.routes, rules)
        self.relay = Relay(self.database, Delivery(client), self.journeys.routes, local=True)
        self.skipper = TimeSkipper(client, config=Skipping(max_session_skip_count=_MAX_TIME_SKIPS))
        self.clock = starts_at
        self._channels = channels
        self._with_workers = with_workers
        self._event_count = 0
        self._workers_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._with_workers:
            await store_policy_limits(self.database, self._limits)
            secrets = (SecretStr("a secret of tests, which is long enough"),)
            settings = ActivitySettings(**{**_SETTINGS_OVERRIDES, "WAYPOST_SECRETS": secrets})
            channels = self._channels or ChannelRegistry.from_settings(
                settings, create_sandbox_store(self.database)
            )
            workers = build_workers(
                self.client,
                self.database,
                self.journeys,
                channels,
                settings,
                WorkerSettings(waypost_local=True, waypost_versioning=False, worker_grace_s=2),
                limits=self._limits,
                templates=load_templates(self.journeys),
            )
            self._workers_task = asyncio.create_task(run_workers(workers))
        return self

    async def __aexit__(self, *_: object) -> None:
        for run in await self.fetch_rows("SELECT workflow_id FROM run WHERE temporal_run_id IS NOT NULL"):
            # Workers of the next test, on another database, would take up a run that is left open.
            with contextlib.suppress(RPCError):
                await self.handle(run).terminate()
        if self._workers_task is not None:
            self._workers_task.cancel()
            await asyncio.wait([self._workers_task])
        await self.database.close()

    @property
    def workers_error(self) -> BaseException | None:
        """The error with which the workers stopped; None while they run."""
        if self._workers_task is None or not self._workers_task.done() or self._workers_task.cancelled():
            return None
        return self._workers_task.exception()

    def build_event(
        self,
        name: str,
        properties: Row | None = None,
        *,
        traits: Row | None = None,
        source: str = "test",
        channel: str = "web",
        event_id: str | None = None,
        time: datetime | None = None,
        **identifiers: str,
    ) -> IncomingEvent:
        """Return an event at the test's clock; identifiers are keywords (email=…, user_id=…)."""
        self._event_count += 1
        read = {kind: read_identifier(kind, value) for kind, value in identifiers.items()}
        return IncomingEvent(
            source=source,
            id=event_id or f"e{self._event_count}",
            type=name,
            channel=channel,
            time=time or self.clock,
            identifiers=tuple((kind, normal) for kind, (normal, _) in read.items()),
            given_emails=(read["email"],) if "email" in read else (),
            properties=properties or {},
            traits=traits or {},
        )

    async def ingest_event(self, name: str, properties: Row | None = None, **more: Any) -> IngestResult:
        """Ingest one event, and deliver the outbox rows that it queued."""
        [answer] = await self.ingest([self.build_event(name, properties, **more)])
        await self.deliver_outbox()
        return answer

    async def deliver_outbox(self) -> int:
        """Deliver the outbox until it is empty; returns the number of rows delivered."""
        delivered = 0
        while batch := await self.relay.deliver_batch():
            delivered += batch
        return delivered

    async def fetch_rows(self, query: str, *arguments: Any) -> list[Row]:
        """Return rows of the test's database."""
        async with self.database.transaction() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def run(self, journey: str, key: str | None = None) -> Row:
        """Return the newest run of a journey."""
        rows = await self.fetch_rows(
            "SELECT * FROM run WHERE journey = $1 AND ($2::text IS NULL OR split_part(key, chr(31), 1) = $2) "
            "ORDER BY run_id DESC LIMIT 1",
            journey,
            key,
        )
        if not rows:
            raise AssertionError(f"no run of {journey}")
        return rows[0]

    def handle(self, run: Row) -> WorkflowHandle[Any, RunResult]:
        """Return Temporal's handle of a run."""
        return self.client.get_workflow_handle(run["workflow_id"], result_type=RunResult)

    async def advance_run(self, run: Row, length: timedelta) -> bool:
        """Let time pass for one run and for the test's clock; False where the run ended meanwhile."""
        self.clock += length
        going_on = await self.skipper.fast_forward(self.handle(run), length)
        await self.deliver_outbox()
        return going_on

    async def run_result(self, run: Row, timeout_s: float = 20) -> RunResult:
        """Return the result of a run. ``timeout_s``: seconds."""
        async with asyncio.timeout(timeout_s):
            return await self.handle(run).result()

    async def messages(self) -> list[Row]:
        """Return messages, oldest first."""
        return await self.fetch_rows("SELECT * FROM message ORDER BY decided_at, message_id")

    async def decisions(self) -> list[Row]:
        """Return decisions, oldest first."""
        return await self.fetch_rows("SELECT * FROM decision ORDER BY recorded_at, decision_id")

    async def sandbox_messages(self) -> list[Row]:
        """Return messages that the sandbox delivered, oldest first."""
        return await self.fetch_rows("SELECT * FROM sandbox_message ORDER BY recorded_at, message_id")

    async def run_details(self, run: Row) -> str:
        """Return the details of a run as Temporal UI shows them."""
        metadata = await self.handle(run).query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return str(metadata.current_details)

    async def wait_for_rows(self, query: str, *arguments: Any, timeout_s: float = 15) -> list[Row]:
        """Poll until a query returns rows. Raises after ``timeout_s`` seconds."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not (rows := await self.fetch_rows(query, *arguments)):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"nothing within {timeout_s} s: {query}")
            await asyncio.sleep(0.05)
        return rows
