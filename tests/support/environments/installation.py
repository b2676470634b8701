"""A whole Waypost in processes of its own, as its neighbours see it: events in, messages out, answers."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg
import httpx2
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from activities.contracts import RunResult
from local.processes import ChildProcess, Command, LogCallback
from local.stack import ADMIN_KEY, SERVER_KEY, WAYPOST_PROCESSES, LocalStack
from tests.support.deadlines import scaled
from tests.support.fakes import FakeSendGrid, FakeTwilio

Found = TypeVar("Found")

Row = dict[str, Any]

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
"""Tomorrow at noon: a local stack takes events of the future, so no test depends on the hour it is run."""

ACCOUNT = "AC" + "0" * 32

LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0}

CHAIR = {"product_id": "chair", "name": "Oslo chair", "price": 99.0}

YES = {"consents": {"email": True, "sms": True}, "timezone": "Europe/Berlin"}


class Installation:
    """A running local stack whose mail and texts go to fake providers by the real SDKs."""

    def __init__(self, stack: LocalStack, mail: FakeSendGrid, text: FakeTwilio) -> None:
        self.stack, self.mail, self.text = stack, mail, text
        self._http = httpx2.AsyncClient(base_url=stack.api_url, timeout=10)
        self._numbers = 0
        self._beside: list[ChildProcess] = []
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*(child.kill() for child in self._beside))
        await self._http.aclose()

    def event(
        self,
        name: str,
        properties: Row | None = None,
        *,
        event_id: str | None = None,
        time: datetime = NOON,
        channel: str = "web",
        source: str = "shop",
        traits: Row | None = None,
        **identifiers: str,
    ) -> Row:
        """An event in the contract's own format; identifiers as keywords."""
        self._numbers += 1
        return {
            "id": event_id or f"event-{self._numbers}",
            "type": name,
            "source": source,
            "channel": channel,
            "time": time.isoformat(),
            "identifiers": identifiers,
            "properties": properties or {},
            "traits": traits or {},
        }

    async def post(self, *events: Row) -> httpx2.Response:
        """Send events as the shop's own server does, whatever comes back."""
        body = {"events": list(events)}
        return await self._http.post("/v1/events", json=body, auth=(SERVER_KEY, ""))

    async def happens(self, name: str, properties: Row | None = None, **more: Any) -> None:
        """Send one event until it is acknowledged."""
        await self.takes(self.event(name, properties, **more))

    async def takes(self, event: Row, *, within_s: float = 60) -> int:
        """Send one event again and again, as a channel does, until it is acknowledged; returns the tries."""
        tries = 0

        async def acknowledged() -> bool:
            nonlocal tries
            tries += 1
            try:
                answer = await self.post(event)
            except httpx2.TransportError:
                return False
            if answer.status_code == 503:
                return False
            assert answer.status_code == 200, answer.text
            assert answer.json()["results"][0]["status"] in ("accepted", "duplicate"), answer.text
            return True

        await self.until(acknowledged, within_s=within_s)
        return tries

    async def read(self, path: str) -> Any:
        """Read with an admin key."""
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, method: str, path: str, *, key: str = ADMIN_KEY, **options: Any) -> httpx2.Response:
        """Any request, whatever comes back."""
        return await self._http.request(method, path, auth=(key, ""), **options)

    async def messages(self, email: str) -> list[Row]:
        """Messages to a person, the oldest first."""
        found: list[Row] = (await self.read(f"/v1/profiles/email/{email}/messages"))["messages"]
        return found[::-1]

    async def decisions(self, email: str) -> list[Row]:
        """Decisions about a person, the oldest first."""
        found: list[Row] = (await self.read(f"/v1/profiles/email/{email}/decisions"))["decisions"]
        return found[::-1]

    async def run(self, email: str, journey: str) -> Row:
        """A person's newest run of a journey, once Temporal has it."""

        async def told() -> Row | None:
            runs = (await self.read(f"/v1/profiles/email/{email}/runs"))["runs"]
            return next((run for run in runs if run["journey"] == journey and run["temporal_run_id"]), None)

        return await self.until(told)

    async def ended(self, email: str, journey: str, *, within_s: float = 20) -> Row:
        """A person's newest run of a journey, once its row says that it has ended."""

        async def over() -> Row | None:
            run = await self.run(email, journey)
            return run if run["state"] == "ended" else None

        return await self.until(over, within_s=within_s)

    async def settled(self, email: str, template: str, *statuses: str, within_s: float = 20) -> Row:
        """A person's message of a template, once it has one of these statuses."""

        async def found() -> Row | None:
            known = [m for m in await self.messages(email) if m["template"] == template]
            return next((m for m in known if m["status"] in statuses), None)

        return await self.until(found, within_s=within_s)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Any]:
        """A connection to the profile database."""
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, query: str, *arguments: Any) -> list[Row]:
        """Rows of the profile database."""
        async with self.database() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def until(self, probe: Callable[[], Awaitable[Found | None]], *, within_s: float = 20) -> Found:
        """Ask until the answer is true, with a deadline."""
        deadline = asyncio.get_running_loop().time() + scaled(within_s)
        while not (found := await probe()):
            assert asyncio.get_running_loop().time() < deadline, f"{probe.__qualname__}: not in {within_s} s"
            await asyncio.sleep(0.05)
        return found

    async def temporal(self) -> Client:
        """A client of its own, so that a restart of the server leaves it in use."""
        if self._client is None:
            self._client = await Client.connect(
                self.stack.temporal_address, data_converter=pydantic_data_converter
            )
        return self._client

    async def handle(self, run: Row) -> WorkflowHandle[Any, RunResult]:
        """Temporal's handle of a run."""
        client = await self.temporal()
        return client.get_workflow_handle(run["workflow_id"], result_type=RunResult)

    async def passes(self, run: Row, length: timedelta) -> bool:
        """Let time pass for one run; False where it ended on the way."""
        try:
            return await TimeSkipper(await self.temporal()).fast_forward(await self.handle(run), length)
        except RPCError as error:
            if "already completed" in error.message:
                return False
            raise

    async def start_beside(self, name: str, **environment: str) -> ChildProcess:
        """Start one more process of a kind, on top of those of the stack."""
        command = Command(
            name=name,
            argv=[sys.executable, "-m", "cli.main", name],
            environment={**os.environ, "PYTHONUNBUFFERED": "1", **self.stack.environment(), **environment},
            ready_line=re.compile(r"\] ready\b"),
        )
        child = ChildProcess(command)
        self._beside.append(child)
        await child.start()
        await child.wait_until_ready(timeout_s=scaled(60))
        return child


def provider_environment(mail: FakeSendGrid, text: FakeTwilio) -> dict[str, str]:
    """The settings by which a worker's mail and texts go to these fakes."""
    return {
        "SENDGRID_API_KEY": "SG.key",
        "SENDGRID_BASE_URL": mail.url,
        "EMAIL_FROM": "Lamps <hello@example.com>",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": "token",
        "TWILIO_BASE_URL": text.url,
        "TWILIO_FROM": "+15005550006",
    }


def _log_into(folder: Path) -> LogCallback:
    """Keeps what the processes print beside their data, for whoever looks into a failure."""

    def log(name: str, line: str) -> None:
        with (folder / "processes.log").open("a", encoding="utf-8") as lines:
            lines.write(f"{name} | {line}\n")

    return log


@asynccontextmanager
async def installed(
    folder: Path,
    *,
    processes: tuple[str, ...] = WAYPOST_PROCESSES,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Installation]:
    """A fresh installation in a folder, stopped at the end. ``environment``: more of its variables."""
    # Ports that another test's stack left in the environment are taken, or somebody else's by now.
    for name in ("API_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT", "POSTGRES_PORT"):
        os.environ.pop(name, None)
    async with (
        FakeSendGrid() as mail,
        FakeTwilio(mail.ledger) as text,
        LocalStack(
            folder,
            processes=processes,
            environment=provider_environment(mail, text) | dict(environment or {}),
            log=_log_into(folder),
        ) as stack,
        Installation(stack, mail, text) as installation,
    ):
        yield installation
