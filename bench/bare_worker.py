"""Worker process of the bare journey. Each effect is one INSERT."""

import asyncio
import os
import signal

import asyncpg
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from bench.bare_journey import QUEUE, BareCartWorkflow, BareEvent
from profiles.db.sql import new_id

_CREATE_TABLE = (
    "CREATE TABLE IF NOT EXISTS bare_effect (id uuid PRIMARY KEY, run text NOT NULL, what text NOT NULL)"
)
_INSERT = "INSERT INTO bare_effect VALUES ($1, $2, $3)"
_POOL_SIZE = 20


class BareActivities:
    """The bare journey's activity, on a pool as large as that of Waypost's worker."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @activity.defn
    async def insert(self, event: BareEvent) -> None:
        """Insert one row."""
        await self._pool.execute(_INSERT, new_id(), event.run, event.what)


async def main() -> None:
    """Run the worker until SIGTERM; prints "ready" when it polls."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"],
        namespace=os.environ["TEMPORAL_NAMESPACE"],
        data_converter=pydantic_data_converter,
    )
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], max_size=_POOL_SIZE) as pool:
        await pool.execute(_CREATE_TABLE)
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[BareCartWorkflow],
            activities=[BareActivities(pool).insert],
            max_cached_workflows=2000,
        )
        async with worker:
            print("ready", flush=True)
            await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)
