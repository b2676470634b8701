"""The demo's calendar: its days in beats, and the runs that are moved along with it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from temporalio.client import Client

from local.time_travel import fast_forward
from profiles.db.database import Database
from workers.process import UserError

_MAX_CONCURRENT_PEOPLE = 24

_DELIVERY_TIMEOUT_S = 90.0

_MIN_JUMP = timedelta(minutes=5)
"""Not worth a jump: the demo's own seconds blur the clocks by as much."""

_PHASES = (
    ("Day 1, until noon", 13),
    ("Day 1, until the evening", 21),
    ("The night, until noon", 37),
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
on for a day, so the first beats are about half days."""

PHASE_NAMES = tuple(name for name, _ in _PHASES)

_SELECT_RUNNING = """
SELECT r.run_id, r.workflow_id, r.clock_offset_s, r.profile_id,
  ARRAY(SELECT i.type || ' ' || i.value FROM identifier i WHERE i.profile_id = r.profile_id) AS person
FROM run r WHERE r.state = 'running' AND r.temporal_run_id IS NOT NULL ORDER BY r.entered_at, r.key
"""

_COUNT_PENDING = """
SELECT (SELECT count(*) FROM outbox o WHERE o.delivered_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM run r WHERE r.run_id = o.lane AND r.state = 'stuck'))
     + (SELECT count(*) FROM run WHERE state = 'running' AND temporal_run_id IS NULL) AS waiting
"""


@dataclass(frozen=True, slots=True)
class DemoPhase:
    """A stretch of the calendar: what happens in it is told in order, then every run is moved to its end."""

    name: str
    ends_at: datetime


def next_opening(now: datetime) -> datetime:
    """When the first day begins: the next midnight UTC, so that the hour the demo is run at plays no part."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def build_phases(opening: datetime) -> tuple[DemoPhase, ...]:
    """The beats of a calendar that opens then."""
    return tuple(DemoPhase(name, opening + timedelta(hours=hours)) for name, hours in _PHASES)


class RunMover:
    """Moves the runs of one stack along the calendar."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database
        self._skipped: dict[UUID, timedelta] = {}

    async def wait_until_delivered(self) -> None:
        """Wait until all that was accepted has been delivered. Raises ``Fault`` when that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DELIVERY_TIMEOUT_S
        pause = 0.02
        while waiting := await self._count_pending():
            if loop.time() > deadline:
                raise UserError(
                    f"{waiting} deliveries still wait after {_DELIVERY_TIMEOUT_S:.0f} s: see demo.log"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    async def move_all(self, to: datetime, on_progress: Callable[[float], None]) -> None:
        """Move every run to an instant of the calendar. ``moved`` hears how much is done, from 0 to 1."""
        await self._move_runs([(run, to) for run in await self._load_running()], on_progress)

    async def move_people(self, to: Mapping[str, datetime]) -> None:
        """Move the runs of some people, named by "type value" of an identifier, each to an instant."""
        if not to:
            return
        moves = [
            (run, max(instants))
            for run in await self._load_running()
            if (instants := [to[name] for name in run["person"] if name in to])
        ]
        await self._move_runs(moves, lambda share: None)

    async def _move_runs(self, moves: Sequence[tuple[Any, datetime]], moved: Callable[[float], None]) -> None:
        """Many people at once, but one person's runs one after the other, the older first.

        Side by side, chance would decide which of a person's runs sends first and which one meets the cap.
        """
        of_person: defaultdict[UUID, list[tuple[Any, datetime]]] = defaultdict(list)
        for run, to in moves:
            of_person[run["profile_id"]].append((run, to))
        turns = asyncio.Semaphore(_MAX_CONCURRENT_PEOPLE)
        done = 0

        async def one_after_the_other(mine: list[tuple[Any, datetime]]) -> None:
            nonlocal done
            async with turns:
                for run, to in mine:
                    await self._move_run(run, to)
                    done += 1
                    moved(done / len(moves))

        await asyncio.gather(*(one_after_the_other(mine) for mine in of_person.values()))

    async def _move_run(self, run: Any, to: datetime) -> None:
        skipped = self._skipped.get(run["run_id"], timedelta())
        # A run's clock is the server's, plus its offset, plus what was skipped.
        clock = datetime.now(UTC) + timedelta(seconds=run["clock_offset_s"]) + skipped
        if to - clock > _MIN_JUMP:
            self._skipped[run["run_id"]] = skipped + (to - clock)
            await fast_forward(self._client, run["workflow_id"], to - clock)

    async def _load_running(self) -> list[Any]:
        async with self._database.transaction() as connection:
            return list(await connection.fetch(_SELECT_RUNNING))

    async def _count_pending(self) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(_COUNT_PENDING))
