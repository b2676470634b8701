"""The Postgres and Temporal servers shared by Waypost and the bare counterparts, and Waypost's processes."""

import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from local.ports import HOST, PortRequest, choose_ports
from local.postgres import EmbeddedPostgres, temporary_database
from local.processes import ChildProcess, Command
from local.stack import ADMIN_KEY, SERVER_KEY, WRITE_KEY, is_api_ready
from local.temporal_server import NAMESPACE, TemporalDevServer
from profiles.db.migrate import upgrade_schema

ROOT = Path(__file__).parents[1]
WRITE_HEADERS = {"Authorization": f"Bearer {WRITE_KEY}"}
"""Of a page. What only pages grant is not sent."""

SERVER_HEADERS = {"Authorization": f"Bearer {SERVER_KEY}"}
SECRET = "a-secret-of-the-benches-which-is-long-enough-to-sign-with"

ProgressCallback = Callable[[str], None]
"""Called with what a bench does now."""

_READY_LINE = re.compile(r"\] ready\b|^ready$")
_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0
# The user's settings must not reach a bench; with a provider key it would send real messages.
_REMOVED_ENV_PREFIXES = (
    "TEMPORAL_",
    "SENDGRID_",
    "TWILIO_",
    "WAYPOST_",
    "SHOPIFY_",
    "DATABASE_URL",
    "PUBLIC_URL",
)

_MEMORY_SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "8GB"}
"""Sized for a shop with a million people; the defaults of Postgres are for a small machine."""


@dataclass(frozen=True, slots=True)
class BenchProcesses:
    """The running processes of one bench."""

    api_url: str
    pids: dict[str, int] = field(default_factory=dict)


class BenchServers:
    """One Postgres and one Temporal server. Benches create databases and run processes on them."""

    def __init__(self, postgres_url: str, temporal: TemporalDevServer, folder: Path) -> None:
        self._postgres_url = postgres_url
        self._folder = folder
        self.temporal = temporal

    @property
    def temporal_pid(self) -> int:
        """Process id of the Temporal server. Raises LookupError if it does not run."""
        if self.temporal.child is None:
            raise LookupError("the Temporal server is not running: start it before a bench")
        return self.temporal.child.pid

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Create an empty, migrated database; yields its URL and drops it at the end."""
        async with temporary_database(self._postgres_url, "bench") as url:
            await upgrade_schema(url)
            yield url

    @asynccontextmanager
    async def run_processes(
        self,
        database_url: str,
        *modules: str,
        journeys: str = "journeys",
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[BenchProcesses]:
        """Run processes until the block ends: ``waypost`` api, relay or worker, or modules of this package.

        ``journeys``: the module with the journeys. ``settings``: variables in place of the benches' own.
        Raises ``StackError`` if a process does not become ready.
        """
        port = choose_ports({"api": PortRequest("API_PORT", 8000, 0)})["api"].number
        processes = BenchProcesses(f"http://{HOST}:{port}")
        environment = {**self._environment(database_url, port, journeys), **(settings or {})}
        async with AsyncExitStack() as stack:
            for name in modules:
                child = ChildProcess(_command(name, environment))
                await child.start()
                stack.push_async_callback(child.stop, _STOP_TIMEOUT_S)
                processes.pids[name] = child.pid
                probe = partial(is_api_ready, processes.api_url) if name == "api" else None
                await child.wait_until_ready(probe, timeout_s=_READY_TIMEOUT_S)
            yield processes

    def _environment(self, database_url: str, port: int, journeys: str) -> dict[str, str]:
        outer = {k: v for k, v in os.environ.items() if not k.startswith(_REMOVED_ENV_PREFIXES)}
        return {
            **outer,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "API_HOST": HOST,
            "API_PORT": str(port),
            "PUBLIC_URL": f"http://{HOST}:{port}",
            "WAYPOST_LOCAL": "1",
            "WAYPOST_DATA_DIR": str(self._folder / "data"),
            "WAYPOST_JOURNEYS": journeys,
            "WAYPOST_SECRETS": SECRET,
            "WAYPOST_WRITE_KEYS": WRITE_KEY,
            "WAYPOST_SERVER_KEYS": SERVER_KEY,
            "WAYPOST_ADMIN_KEYS": ADMIN_KEY,
            # The benches send from one address, faster than any client of a shop.
            "WAYPOST_ADDRESS_EVENTS_PER_S": "0",
            "WAYPOST_KEY_EVENTS_PER_S": "0",
            "WORKER_GRACE_S": "2",
        }


def _command(name: str, environment: Mapping[str, str]) -> Command:
    module = [name] if name.startswith("bench.") else ["cli.main", name]
    argv = [sys.executable, "-m", *module]
    return Command(name=name, argv=argv, environment=environment, working_dir=ROOT, ready_line=_READY_LINE)


@asynccontextmanager
async def start_servers(folder: Path) -> AsyncIterator[BenchServers]:
    """Start the servers with their data in ``folder``; stopped at the end."""
    async with (
        EmbeddedPostgres(folder / "postgres", settings=_MEMORY_SETTINGS) as postgres,
        TemporalDevServer(folder / "temporal" / "temporal.db") as temporal,
    ):
        yield BenchServers(postgres.url("postgres"), temporal, folder)
