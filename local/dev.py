"""``waypost dev``: run a local stack in a terminal until Ctrl-C; its console output and signal handling."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.style import Style
from rich.table import Table

from local.ports import Port
from local.processes import LogCallback
from local.stack import ADMIN_KEY, SERVER_KEY, WRITE_KEY, LocalStack
from workers.process import wait_unless_stopped
from workers.settings import StackSettings

_EXIT_INTERRUPTED = 130

_SAMPLE_EVENT = (
    '{"userId":"42","event":"Product Added","properties":{"cart_id":"c-1","product_id":"p-1","name":"Lamp"},'
    '"context":{"traits":{"email":"ada@example.com"}}}'
)

_PROCESS_COLORS = {
    "postgres": "blue",
    "temporal": "magenta",
    "api": "green",
    "relay": "yellow",
    "worker": "cyan",
}

_NAME_WIDTH = max(len(name) for name in _PROCESS_COLORS)

_PANEL_WIDTH = 100

_PORT_LABELS = {"api": "the API", "temporal": "Temporal", "ui": "the Temporal UI", "postgres": "Postgres"}


async def run_dev_stack(settings: StackSettings) -> int:
    """Run the stack until SIGINT or SIGTERM; returns the exit code 0.

    A second Ctrl-C ends all processes at once, without a clean shutdown; no accepted event is lost.
    Raises ``StackError`` if the stack cannot start or one of its processes exits.
    """
    console = StackConsole()
    if console.has_color:
        os.environ.setdefault("FORCE_COLOR", "1")  # child processes write to a pipe, this one to a terminal
    stop = install_stop_signals(lambda: console.print_line("Stopping …"))
    begun = time.monotonic()
    stack = create_stack(settings, settings.waypost_data_dir, console.log)
    starting = asyncio.create_task(stack.__aenter__())
    if not await wait_unless_stopped(stop, starting):
        return 0
    try:
        console.print_moved_ports(stack.ports)
        console.print_ready_panel(access_info(stack), time.monotonic() - begun)
        console.print_line(
            f"A first event:\n\n  {sample_command(stack.api_url)}\n\n"
            "Or a shop's traffic: waypost demo --serve\n"
        )
        died = asyncio.create_task(stack.wait_for_failure())
        if await wait_unless_stopped(stop, died):
            raise died.result()
        return 0
    finally:
        await stack.__aexit__(None, None, None)


def create_stack(
    settings: StackSettings, folder: Path, log: LogCallback, environment: Mapping[str, str] | None = None
) -> LocalStack:
    """Create a stack on ``folder`` from the settings, without starting it."""
    given = settings.model_dump(exclude={"waypost_data_dir"})
    return LocalStack(folder, environment=environment, log=log, **given)


def access_info(stack: LocalStack) -> dict[str, str]:
    """Return what the ready panel shows: URLs, keys and the data directory, by label."""
    return {
        "API": stack.api_url,
        "API docs": f"{stack.api_url}/docs",
        "Mailbox": f"{stack.api_url}/sandbox   every rendered message, as its receiver sees it",
        "Temporal UI": stack.ui_url,
        "Write key": f"{WRITE_KEY}   (local only)",
        "Server key": f"{SERVER_KEY}   (local only)",
        "Admin key": f"{ADMIN_KEY}   (local only)",
        "Data": display_path(stack.directory.folder),
    }


def sample_command(api_url: str) -> str:
    """Return a curl command that sends a sample ``Product Added`` event."""
    return f"curl -u {WRITE_KEY}: {api_url}/v1/track -d '{_SAMPLE_EVENT}'"


def install_stop_signals(on_stop: Callable[[], None]) -> asyncio.Event:
    """Return an event that the first SIGINT or SIGTERM sets; ``on_stop`` is called then.

    A second signal ends this process, and with it the stack, at once.
    """
    stop = asyncio.Event()

    def handle_signal() -> None:
        if stop.is_set():
            os._exit(_EXIT_INTERRUPTED)
        stop.set()
        on_stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle_signal)
    return stop


class StackConsole:
    """Output of the stack on standard output; in colour on a terminal only."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        system = self._console._color_system
        self.has_color = system is not None
        self._prefixes = {
            name: Style(color=colour).render(f"{name:<{_NAME_WIDTH}} │", color_system=system)
            for name, colour in _PROCESS_COLORS.items()
        }

    def log(self, name: str, line: str) -> None:
        """Print one line of a process, with the process's name as prefix."""
        prefix = self._prefixes.get(name, f"{name:<{_NAME_WIDTH}} │")
        sys.stdout.write(f"{prefix} {line}\n")
        sys.stdout.flush()

    def print_line(self, words: str) -> None:
        """Print a line of the stack itself, in bold."""
        self._console.print(words, style="bold", soft_wrap=True, markup=False)

    def print_moved_ports(self, ports: Mapping[str, Port]) -> None:
        """Print the default ports that were taken, and the ports used instead."""
        for name, port in ports.items():
            if port.taken_default is not None:
                self.print_line(
                    f"Port {port.taken_default} is taken: {_PORT_LABELS[name]} is on {port.number}."
                )

    def print_ready_panel(self, places: Mapping[str, str], seconds: float) -> None:
        """Print the panel of ``access_info``. ``seconds``: duration of the start."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for what, where in places.items():
            table.add_row(what, where)
        panel = Panel(
            table,
            title=f"Waypost is ready ({seconds:.1f} s)",
            subtitle="Ctrl-C stops it; the data stay",
            border_style="green",
            expand=False,
        )
        Console(width=max(_PANEL_WIDTH, self._console.width), highlight=False).print(panel)
        sys.stdout.flush()


def display_path(folder: Path) -> str:
    """Return the path relative to the working directory if the folder is inside it."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
