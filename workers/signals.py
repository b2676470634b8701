"""Stop a process of ours in order when it is told to."""

import asyncio
import contextlib
import signal
from typing import Any


async def until_stopped(work: "asyncio.Future[Any]") -> None:
    """Wait for SIGTERM or SIGINT, then cancel ``work``; if ``work`` ends by itself, raise what it raised."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        return
    work.result()
