"""Carts left behind and bought after all, told to Waypost over HTTP and to the bare SDK by its client."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, Protocol

import aiohttp
import asyncpg
from temporalio.client import Client, WorkflowHandle

from bench.at_once import until
from bench.bare_journey import QUEUE, BareCart, Told
from bench.servers import Processes
from bench.traffic import cart_event, cart_of
from bench.ways_in import post, session
from profiles.db.sql import new_id

Handle = WorkflowHandle[Any, Any]

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
"""Tomorrow: where the shoppers' calendar starts, so that nothing depends on the hour a bench is run."""

ARMED = 6
"""Events of a history whose first task is done and whose first timer runs."""

_RUN = """
SELECT workflow_id FROM run WHERE journey = 'cart-abandonment' AND key = $1 AND temporal_run_id IS NOT NULL
"""


class Carts(Protocol):
    """One shopper and one run each, by number."""

    async def add(self, shopper: int, at: datetime) -> None:
        """Something goes into the cart; the first time, a run starts."""

    async def buy(self, shopper: int, at: datetime) -> None:
        """All of it is bought. Returns once that is accepted."""

    async def run_of(self, shopper: int) -> Handle:
        """The shopper's run, once it is started."""


class WaypostCarts:
    """By events to the API. The relay starts and signals the runs."""

    def __init__(self, client: Client, requests: aiohttp.ClientSession, connection: Any) -> None:
        self._client = client
        self._requests = requests
        self._connection = connection
        self._one_query = asyncio.Lock()

    async def add(self, shopper: int, at: datetime) -> None:
        await post(self._requests, cart_event("Product Added", shopper, at))

    async def buy(self, shopper: int, at: datetime) -> None:
        await post(self._requests, cart_event("Order Completed", shopper, at))

    async def run_of(self, shopper: int) -> Handle:
        return self._client.get_workflow_handle(await until(lambda: self._workflow_id(shopper)))

    async def _workflow_id(self, shopper: int) -> str | None:
        async with self._one_query:
            found: str | None = await self._connection.fetchval(_RUN, cart_of(shopper))
        return found


class BareCarts:
    """By the SDK's client: a start with its signal, and plain signals."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._started: dict[int, Handle] = {}
        self._name = f"bare-cart/{new_id()}"

    async def add(self, shopper: int, at: datetime) -> None:
        run, told = f"{self._name}/{shopper}", Told(str(shopper), "added")
        if handle := self._started.get(shopper):
            await handle.signal(BareCart.told, told)
            return
        self._started[shopper] = await self._client.start_workflow(
            BareCart.run, run, id=run, task_queue=QUEUE, start_signal="told", start_signal_args=[told]
        )

    async def buy(self, shopper: int, at: datetime) -> None:
        await self._started[shopper].signal(BareCart.told, Told(str(shopper), "bought"))

    async def run_of(self, shopper: int) -> Handle:
        return self._started[shopper]


@asynccontextmanager
async def both(client: Client, processes: Processes, database_url: str) -> AsyncIterator[tuple[Carts, Carts]]:
    """Waypost's carts and the bare ones."""
    connection = await asyncpg.connect(database_url)
    try:
        async with session(processes) as requests:
            yield WaypostCarts(client, requests, connection), BareCarts(client)
    finally:
        await connection.close()


def shoppers(numbers: "count[int]", how_many: int) -> list[int]:
    """Shoppers whom nobody has seen yet."""
    return [next(numbers) for _ in range(how_many)]


async def until_armed(handles: Sequence[Handle]) -> None:
    """Wait until each run waits at its first timer. Raises TimeoutError after a minute."""

    async def armed(handle: Handle) -> bool:
        return (await handle.describe()).history_length >= ARMED

    for handle in handles:
        await until(partial(armed, handle))
