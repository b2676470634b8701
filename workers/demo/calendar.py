"""The demo's calendar: its days in beats, and the runs that are moved along with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio.client import Client

from profiles.database import Database
from workers.faults import Fault
from workers.travel import fast_forward

_AT_ONCE = 24
_SETTLES_WITHIN_S = 90.0

_BEATS = (
    ("Day 1, until noon", 13),
    ("Day 1, the evening", 25),
    ("Day 2, until noon", 37),
    ("Day 2, the evening", 49),
    ("Days 3 and 4", 4 * 24),
    ("Days 5 to 8", 8 * 24),
    ("Days 9 to 12", 12 * 24),
    ("Days 13 to 16", 16 * 24),
    ("Days 17 to 23", 23 * 24),
    ("Until day 32", 32 * 24),
    ("Until day 48", 48 * 24),
)
"""Name, and hours from the opening to its end. A reminder comes an hour after the cart and can be acted
on for a day, so the first beats are half days."""

BEAT_NAMES = tuple(name for name, _ in _BEATS)

_RUNNING = """
SELECT run_id, workflow_id, clock_offset_s FROM run
WHERE state = 'running' AND temporal_run_id IS NOT NULL ORDER BY run_id
"""

_WAITING = """
SELECT (SELECT count(*) FROM outbox o WHERE o.delivered_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM run r WHERE r.run_id = o.lane AND r.state = 'stuck'))
     + (SELECT count(*) FROM run WHERE state = 'running' AND temporal_run_id IS NULL) AS waiting
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """A stretch of the calendar: what happens in it is told first, then every run is moved to its end."""

    name: str
    ends: datetime


def opening_after(now: datetime) -> datetime:
    """When the first day begins: the next midnight UTC, so that the hour the demo is run at plays no part."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def beats(opening: datetime) -> tuple[Beat, ...]:
    """The beats of a calendar that opens then."""
    return tuple(Beat(name, opening + timedelta(hours=hours)) for name, hours in _BEATS)


class Travel:
    """Moves the runs of one stack along the calendar."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database
        self._skipped: dict[UUID, timedelta] = {}

    async def settle(self) -> None:
        """Wait until all that was accepted has been delivered. Raises ``Fault`` when that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SETTLES_WITHIN_S
        pause = 0.02
        while waiting := await self._waiting():
            if loop.time() > deadline:
                raise Fault(f"{waiting} deliveries still wait after {_SETTLES_WITHIN_S:.0f} s: see demo.log")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.3)

    async def to(self, instant: datetime, moved: Callable[[float], None]) -> int:
        """Move every run to an instant of the calendar; returns how many go on after it.

        ``moved`` hears how much of the way is done, from 0 to 1.
        """
        async with self._database.transaction() as connection:
            runs = await connection.fetch(_RUNNING)
        turns = asyncio.Semaphore(_AT_ONCE)
        done = 0

        async def move(run_id: UUID, workflow_id: str, offset_s: float) -> bool:
            nonlocal done
            async with turns:
                skipped = self._skipped.get(run_id, timedelta())
                # A run's clock is the server's, plus its offset, plus what was skipped.
                by = instant - (datetime.now(UTC) + timedelta(seconds=offset_s) + skipped)
                goes_on = by <= timedelta() or await fast_forward(self._client, workflow_id, by)
                self._skipped[run_id] = skipped + max(by, timedelta())
            done += 1
            moved(done / len(runs))
            return goes_on

        return sum(
            await asyncio.gather(
                *(move(run["run_id"], run["workflow_id"], run["clock_offset_s"]) for run in runs)
            )
        )

    async def _waiting(self) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(_WAITING))
