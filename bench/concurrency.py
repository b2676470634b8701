"""Concurrency of the benches: process items with a fixed number of workers, and poll other processes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
ItemWorker = Callable[[Item], Awaitable[object]]

_POLL_TIMEOUT_S = 60.0
_POLL_INTERVAL_S = 0.02


async def time_workers(items: Iterable[Item], workers: Iterable[ItemWorker[Item]]) -> float:
    """Process all items and return the seconds it took. Each worker takes the next item when it is free.

    Raises an ``ExceptionGroup`` of the workers' errors; the first error cancels the other workers.
    """
    queue = iter(items)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(_process_queue(queue, worker))
    return time.perf_counter() - begun


async def _process_queue(queue: Iterator[Item], worker: ItemWorker[Item]) -> None:
    for item in queue:
        await worker(item)


async def poll_until(ask: Callable[[], Awaitable[Answer | None]]) -> Answer:
    """Return the first answer that is not None, False or empty. Raises TimeoutError after a minute."""
    async with asyncio.timeout(_POLL_TIMEOUT_S):
        # The change happens in another process, so there is no event to wait for.
        while not (answer := await ask()):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_INTERVAL_S)
    return answer
