"""``waypost dev``: a local stack in a terminal, until Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable

from workers.settings import StackSettings
from workers.stack.console import StackConsole, shown
from workers.stack.errors import StackError
from workers.stack.local import ADMIN_KEY, SERVER_KEY, WRITE_KEY, LocalStack
from workers.stack.processes import Log

_INTERRUPTED = 130
_FIRST_EVENT = (
    '{"userId":"42","event":"Product Added","properties":{"cart_id":"c-1","product_id":"p-1","name":"Lamp"},'
    '"context":{"traits":{"email":"ada@example.com"}}}'
)


async def run(settings: StackSettings) -> int:
    """Run the stack until SIGINT or SIGTERM (exit code 0) or until one of its processes dies (1).

    A second Ctrl-C ends everything at once, without a clean shutdown; no accepted event is lost by it.
    Raises ``StackError`` when the stack cannot start.
    """
    console = StackConsole()
    if console.colourful:
        os.environ.setdefault("FORCE_COLOR", "1")  # the processes write into a pipe, we into a terminal
    stop = stop_on_signals(lambda: console.say("Stopping …"))
    begun = time.monotonic()
    stack = stack_for(settings, console.log)
    starting = asyncio.create_task(stack.__aenter__())
    if not await _unless(stop, starting):
        return 0
    try:
        console.moved(stack.ports)
        console.ready(places(stack), time.monotonic() - begun)
        console.say(
            f"A first event:\n\n  {first_call(stack.api_url)}\n\nOr a shop's traffic: waypost demo --serve\n"
        )
        died = asyncio.create_task(stack.failure())
        if await _unless(stop, died):
            raise died.result()
        return 0
    finally:
        await stack.__aexit__(None, None, None)


def stack_for(settings: StackSettings, log: Log) -> LocalStack:
    """The stack that these settings ask for, not started."""
    return LocalStack(
        settings.waypost_data_dir,
        api_port=settings.api_port,
        temporal_port=settings.temporal_port,
        temporal_ui_port=settings.temporal_ui_port,
        postgres_port=settings.postgres_port,
        database_url=settings.database_url,
        log=log,
    )


def places(stack: LocalStack) -> dict[str, str]:
    """Where to look: what a person may open, and the keys for it."""
    return {
        "API": stack.api_url,
        "API docs": f"{stack.api_url}/docs",
        "Mailbox": f"{stack.api_url}/sandbox   every rendered message, as its receiver sees it",
        "Temporal UI": stack.ui_url,
        "Write key": f"{WRITE_KEY}   (local only)",
        "Server key": f"{SERVER_KEY}   (local only)",
        "Admin key": f"{ADMIN_KEY}   (local only)",
        "Data": shown(stack.directory.folder),
    }


def first_call(api_url: str) -> str:
    """A line to paste into another terminal: something is put into a cart."""
    return f"curl -u {WRITE_KEY}: {api_url}/v1/track -d '{_FIRST_EVENT}'"


def stop_on_signals(say: Callable[[], None]) -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets; a second one ends this process, and so the stack, at once."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()
        say()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    return stop


async def _unless(stop: asyncio.Event, task: "asyncio.Task[LocalStack] | asyncio.Task[StackError]") -> bool:
    """Wait for the task; True when it ended, False when ``stop`` came first, the task then cancelled."""
    stopping = asyncio.create_task(stop.wait())
    waits: list[Awaitable[object]] = [stopping, task]
    await asyncio.wait([asyncio.ensure_future(each) for each in waits], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return False
