"""The local stack: Postgres, Temporal, API, relay and worker, started and stopped together on one machine."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import httpx2

from local.data_directory import DataDirectory
from local.ports import HOST, Port, PortRequest, choose_ports
from local.postgres import EmbeddedPostgres
from local.processes import ChildProcess, Command, LogCallback, StackError, discard_line, most_relevant_error
from local.temporal_server import NAMESPACE, TemporalDevServer
from profiles.db.migrate import upgrade_schema

_BUDGET_SETTINGS = ("WAYPOST_ADDRESS_EVENTS_PER_S", "WAYPOST_KEY_EVENTS_PER_S")

WRITE_KEY = "dev-write"

SERVER_KEY = "dev-server"

ADMIN_KEY = "dev-admin"

WAYPOST_PROCESSES = ("api", "relay", "worker")

_READY_TIMEOUT_S = 60.0

_STOP_TIMEOUT_S = 5.0

_WORKER_GRACE_S = 3.0

_READY_LINE = re.compile(r"\] ready\b")
"""The event that worker and relay log, after its level in brackets."""


class LocalStack:
    """Postgres, Temporal and Waypost's processes on one data directory.

    Use it as an async context manager. The stack ends with the thread that entered it::

        async with LocalStack(folder) as stack:
            stack.api_url, stack.database_url, stack.temporal_address, stack.ui_url
            await stack.kill("worker")
            await stack.start("worker")

    ``database_url``: an external Postgres instead of the embedded one. Ports: None for the default, or a
    free one if it is taken; 0 for any free one. ``processes``: which of ``WAYPOST_PROCESSES`` to run.
    ``environment``: environment variables for those, added to this process's own.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        api_port: int | None = 0,
        temporal_port: int | None = 0,
        temporal_ui_port: int | None = 0,
        postgres_port: int | None = 0,
        database_url: str = "",
        processes: Sequence[str] = WAYPOST_PROCESSES,
        environment: Mapping[str, str] | None = None,
        log: LogCallback = discard_line,
    ) -> None:
        self.directory = DataDirectory(data_dir)
        self.processes = tuple(processes)
        self.ports: dict[str, Port] = {}
        self._port_requests = {
            "api": PortRequest("API_PORT", 8000, api_port),
            "temporal": PortRequest("TEMPORAL_PORT", 7233, temporal_port),
            "ui": PortRequest("TEMPORAL_UI_PORT", 8233, temporal_ui_port),
            "postgres": PortRequest("POSTGRES_PORT", 5433, postgres_port),
        }
        if database_url:
            del self._port_requests["postgres"]
        self._external_database_url = database_url
        self._extra_environment = dict(environment or {})
        self._log = log
        self._postgres: EmbeddedPostgres | None = None
        self._temporal: TemporalDevServer | None = None
        self._children: dict[str, ChildProcess] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._failures: asyncio.Queue[StackError] = asyncio.Queue()

    @property
    def database_url(self) -> str:
        """URL of the profile database."""
        if self._external_database_url:
            return self._external_database_url
        if self._postgres is None:
            raise StackError("the local stack is not running: enter it with `async with` first")
        return self._postgres.database_url

    @property
    def temporal_address(self) -> str:
        """``host:port`` of Temporal."""
        return f"{HOST}:{self.ports['temporal'].number}"

    @property
    def temporal(self) -> TemporalDevServer:
        """The running Temporal dev server; its ``client`` is connected."""
        if self._temporal is None:
            raise StackError("the local stack is not running: enter it with `async with` first")
        return self._temporal

    @property
    def api_url(self) -> str:
        """Base URL of the API."""
        return f"http://{HOST}:{self.ports['api'].number}"

    @property
    def ui_url(self) -> str:
        """Base URL of the Temporal web UI."""
        return f"http://{HOST}:{self.ports['ui'].number}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which a Waypost process belongs to this stack."""
        return {
            "DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_UI_URL": self.ui_url,
            "API_HOST": HOST,
            "API_PORT": str(self.ports["api"].number),
            # The user may set a public address in front of this machine (a tunnel).
            "PUBLIC_URL": os.environ.get("PUBLIC_URL") or self.api_url,
            "WAYPOST_SECRETS": os.environ.get("WAYPOST_SECRETS") or self.directory.load_secret(),
            "WAYPOST_LOCAL": "1",
            "WAYPOST_DATA_DIR": str(self.directory.folder),
            "WAYPOST_WRITE_KEYS": WRITE_KEY,
            "WAYPOST_SERVER_KEYS": SERVER_KEY,
            "WAYPOST_ADMIN_KEYS": ADMIN_KEY,
            # All senders of this machine are one address, and the demo sends a day's traffic in seconds.
            **{name: os.environ.get(name) or "0" for name in _BUDGET_SETTINGS},
            "WORKER_GRACE_S": str(_WORKER_GRACE_S),
            **self._extra_environment,
        }

    async def __aenter__(self) -> Self:
        """Start everything and wait until it is ready. If one does not start, stop all: ``StackError``."""
        self.directory.acquire()
        try:
            self.ports = choose_ports(self._port_requests)
            async with asyncio.TaskGroup() as servers:
                servers.create_task(self._start_database())
                servers.create_task(self._start_temporal())
            self.directory.publish_environment(self.environment())
            async with asyncio.TaskGroup() as ours:
                for name in self.processes:
                    ours.create_task(self.start(name))
        except BaseException as error:
            await self._stop()
            if isinstance(error, BaseExceptionGroup):
                raise most_relevant_error(error) from error
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def wait_for_failure(self) -> StackError:
        """Wait until a process exits without ``stop`` or ``kill``; returns the error that describes it."""
        return await self._failures.get()

    async def start(self, name: str) -> None:
        """Start one process, also again, and wait until it is ready.

        ``name``: one of ``processes``, "postgres" or "temporal". Raises ``StackError``.
        """
        if name == "postgres" and self._postgres is not None:
            await self._postgres.start()
            self._watch(name, self._postgres.child)
        elif name == "temporal":
            await self.temporal.start()
            self._watch(name, self.temporal.child)
        else:
            child = self._children[name] = ChildProcess(self._command(name), self._log)
            await child.start()
            self._watch(name, child)
            probe = partial(is_api_ready, self.api_url) if name == "api" else None
            await child.wait_until_ready(probe, timeout_s=_READY_TIMEOUT_S)

    async def stop(self, name: str) -> None:
        """Stop one process; kill it after 5 seconds. Raises ``StackError`` for an unknown name."""
        self._unwatch(name)
        await self._child(name).stop(_STOP_TIMEOUT_S)

    async def kill(self, name: str) -> None:
        """``kill -9`` one process. Raises ``StackError`` for an unknown name."""
        self._unwatch(name)
        await self._child(name).kill()

    def pids(self) -> dict[str, int]:
        """Return the process ids of all running processes, by name."""
        return {name: child.pid for name, child in self._all_children().items() if child.running}

    def _all_children(self) -> dict[str, ChildProcess]:
        servers = {"postgres": self._postgres, "temporal": self._temporal}
        running = {name: server.child for name, server in servers.items() if server and server.child}
        return running | self._children

    def _child(self, name: str) -> ChildProcess:
        children = self._all_children()
        if name not in children:
            raise StackError(f"no process {name!r} in this stack; there are: {', '.join(children)}")
        return children[name]

    async def _start_database(self) -> None:
        if not self._external_database_url:
            folder, port = self.directory.postgres_dir, self.ports["postgres"].number
            self._postgres = EmbeddedPostgres(folder, port=port, log=self._log)
            await self.start("postgres")
        await asyncio.to_thread(asyncio.run, upgrade_schema(self.database_url))

    async def _start_temporal(self) -> None:
        self._temporal = TemporalDevServer(
            self.directory.temporal_db_file,
            port=self.ports["temporal"].number,
            ui_port=self.ports["ui"].number,
            log=self._log,
        )
        await self.start("temporal")

    def _command(self, name: str) -> Command:
        # TEMPORAL_ variables of the user belong to another server.
        outer = {k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")}
        return Command(
            name=name,
            argv=[sys.executable, "-m", "cli.main", name],
            environment={**outer, "PYTHONUNBUFFERED": "1", **self.environment()},
            ready_line=_READY_LINE,
        )

    def _watch(self, name: str, child: ChildProcess | None) -> None:
        if child is not None:
            self._unwatch(name)
            self._watchers[name] = asyncio.create_task(self._report_exit(child), name=f"watch {name}")

    def _unwatch(self, name: str) -> None:
        if watcher := self._watchers.pop(name, None):
            watcher.cancel()

    async def _report_exit(self, child: ChildProcess) -> None:
        self._failures.put_nowait(child.exit_error(await child.wait()))

    async def _stop(self) -> None:
        """Stop Waypost's processes, then the servers they use, and release the data directory."""
        for name in list(self._watchers):
            self._unwatch(name)
        await asyncio.gather(*(child.stop(_STOP_TIMEOUT_S) for child in self._children.values()))
        servers = [server.stop() for server in (self._postgres, self._temporal) if server is not None]
        await asyncio.gather(*servers)
        self.directory.release()


async def is_api_ready(api_url: str) -> bool:
    """Whether an API answers at this URL."""
    try:
        async with httpx2.AsyncClient() as client:
            return (await client.get(f"{api_url}/healthz", timeout=2)).status_code == 200
    except httpx2.HTTPError:
        return False
