"""Drivers of cart runs: by events to Waypost's HTTP API, or by signals of the bare SDK's client."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import orjson
from temporalio.client import Client, WorkflowHandle

from bench.bare_journey import QUEUE, BareCartWorkflow, BareEvent
from bench.concurrency import poll_until
from bench.events import cart_event, shopper_cart_id
from bench.ingest_paths import open_session, post_accepted
from bench.servers import BenchProcesses, BenchServers
from profiles.db.sql import new_id

RunHandle = WorkflowHandle[Any, Any]

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
"""Noon of tomorrow: the start of the shoppers' calendar, so that results do not depend on the hour."""

ARMED_HISTORY_LENGTH = 6
"""Length of a history after its first workflow task, when its first timer is started."""

_PROCESSES = ("api", "relay", "worker", "bench.bare_worker")

_SELECT_WORKFLOW_ID = """
SELECT workflow_id FROM run WHERE journey = 'cart-abandonment' AND key = $1 AND temporal_run_id IS NOT NULL
"""


class WaypostCartDriver:
    """Sends events of numbered shoppers to the API; the relay starts and signals their runs, one each."""

    def __init__(self, client: Client, requests: aiohttp.ClientSession, connection: Any) -> None:
        self._client = client
        self._requests = requests
        self._connection = connection
        self._query_lock = asyncio.Lock()

    async def add(self, shopper: int, at: datetime) -> None:
        """Add a product to the cart. The first one starts a run."""
        await post_accepted(self._requests, orjson.dumps(cart_event("Product Added", shopper, at)))

    async def buy(self, shopper: int, at: datetime) -> None:
        """Buy the cart; returns when the purchase is accepted."""
        await post_accepted(self._requests, orjson.dumps(cart_event("Order Completed", shopper, at)))

    async def wait_for_run(self, shopper: int) -> RunHandle:
        """Wait until the shopper's run is started, and return it."""
        return self._client.get_workflow_handle(await poll_until(lambda: self._workflow_id(shopper)))

    async def _workflow_id(self, shopper: int) -> str | None:
        async with self._query_lock:
            workflow_id: str | None = await self._connection.fetchval(
                _SELECT_WORKFLOW_ID, shopper_cart_id(shopper)
            )
        return workflow_id


class BareCartDriver:
    """The same by the SDK's client: signal-with-start for the first event, then signals."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._started: dict[int, RunHandle] = {}
        self._name = f"bare-cart/{new_id()}"

    async def add(self, shopper: int, at: datetime) -> None:
        run, event = f"{self._name}/{shopper}", BareEvent(str(shopper), "added")
        if handle := self._started.get(shopper):
            await handle.signal(BareCartWorkflow.told, event)
            return
        self._started[shopper] = await self._client.start_workflow(
            BareCartWorkflow.run,
            run,
            id=run,
            task_queue=QUEUE,
            start_signal="told",
            start_signal_args=[event],
        )

    async def buy(self, shopper: int, at: datetime) -> None:
        await self._started[shopper].signal(BareCartWorkflow.told, BareEvent(str(shopper), "bought"))

    async def wait_for_run(self, shopper: int) -> RunHandle:
        return self._started[shopper]


CartDriver = WaypostCartDriver | BareCartDriver


@asynccontextmanager
async def open_drivers(
    servers: BenchServers, *, journeys: str = "journeys"
) -> AsyncIterator[tuple[BenchProcesses, dict[str, CartDriver]]]:
    """Run Waypost and the bare worker on a new database; yields them, and a driver for "waypost" and "bare".

    ``journeys``: the module with the journeys.
    """
    async with (
        servers.database() as url,
        servers.run_processes(url, *_PROCESSES, journeys=journeys) as processes,
        open_session(processes) as requests,
    ):
        connection = await asyncpg.connect(url)
        try:
            ours = WaypostCartDriver(servers.temporal.client, requests, connection)
            yield processes, {"waypost": ours, "bare": BareCartDriver(servers.temporal.client)}
        finally:
            await connection.close()


async def wait_until_armed(handles: Sequence[RunHandle]) -> None:
    """Wait until each run waits at its first timer. Raises TimeoutError after a minute."""

    async def armed(handle: RunHandle) -> bool:
        return (await handle.describe()).history_length >= ARMED_HISTORY_LENGTH

    for handle in handles:
        await poll_until(partial(armed, handle))
