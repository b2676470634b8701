"""Has Waypost's sweeps made when the demo's calendar needs them: by their schedules, as an operator would."""

import asyncio
import time

from temporalio.client import Client, ScheduleOverlapPolicy

from profiles.database import Database
from workers.faults import Fault
from workers.sweeps import LAPSED, PRODUCTS, ScheduledSweep

_SWEPT_WITHIN_S = 45.0

_TO_COME = "SELECT $1 - count(*) FROM event WHERE type = 'Customer Lapsed'"
_UNSWEPT = "SELECT count(*) FROM product_change WHERE swept_at IS NULL"


class Sweeps:
    """The sweeps of one stack; whether they are done is read in Postgres."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database

    async def lapsed(self, expected: int) -> None:
        """Until so many people have lapsed. Raises ``Fault`` when that takes too long."""
        await self._until_nothing_is_left(LAPSED, _TO_COME, expected)

    async def products(self) -> None:
        """Until everybody is told of every product that changed. Raises ``Fault`` as above."""
        await self._until_nothing_is_left(PRODUCTS, _UNSWEPT)

    async def _until_nothing_is_left(self, sweep: ScheduledSweep, query: str, *values: int) -> None:
        deadline = time.monotonic() + _SWEPT_WITHIN_S
        triggered = False
        while (left := await self._left(query, *values)) > 0:
            if time.monotonic() > deadline:
                raise Fault(f"the sweep for {sweep.looks_for} did not find {left} of them: see demo.log")
            if not triggered:
                schedule = self._client.get_schedule_handle(sweep.schedule_id)
                # One that is on its way may have looked too early; skipped, nobody would look again.
                await schedule.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)
                triggered = True
            await asyncio.sleep(0.1)

    async def _left(self, query: str, *values: int) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(query, *values))
