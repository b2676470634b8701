"""The demo's calendar: its phases, and the movement of the runs' clocks along with it."""

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
from workers.errors import UserError

_MAX_CONCURRENT_PEOPLE = 24

_DELIVERY_TIMEOUT_S = 90.0

_MIN_JUMP = timedelta(minutes=5)
"""Smaller moves are skipped: the demo's own duration makes the clocks inexact by as much."""

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
"""Name of each phase, and the hours from the opening to its end. A reminder is sent an hour after the cart
and shoppers react to it for a day, so the first phases are about half a day long."""

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
    """A period of the calendar: its events are sent in order, then every run is moved to its end."""

    name: str
    ends_at: datetime


def next_opening(now: datetime) -> datetime:
    """Return the start of the first day: the next midnight UTC, so that results do not depend on the hour."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def build_phases(opening: datetime) -> tuple[DemoPhase, ...]:
    """Return the phases of a calendar that starts at ``opening``."""
    return tuple(DemoPhase(name, opening + timedelta(hours=hours)) for name, hours in _PHASES)


class RunMover:
    """Moves the clocks of a stack's runs along the calendar."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database
        self._skipped: dict[UUID, timedelta] = {}

    async def wait_until_delivered(self) -> None:
        """Wait until the outbox is delivered and every run is started. Raises ``UserError`` after 90 s."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DELIVERY_TIMEOUT_S
        pause = 0.02
        while waiting := await self._database.run(lambda connection: connection.fetchval(_COUNT_PENDING)):
            if loop.time() > deadline:
                raise UserError(
                    f"{waiting} deliveries still wait after {_DELIVERY_TIMEOUT_S:.0f} s: see demo.log"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    async def move_all(self, to: datetime, on_progress: Callable[[float], None]) -> None:
        """Move every run to a time of the calendar. ``on_progress`` is called with the share done, 0 to 1."""
        await self._move_runs([(run, to) for run in await self._load_running()], on_progress)

    async def move_people(self, to: Mapping[str, datetime]) -> None:
        """Move the runs of some profiles, each to its time. Keys: "type value" of an identifier."""
        if not to:
            return
        moves = [
            (run, max(instants))
            for run in await self._load_running()
            if (instants := [to[name] for name in run["person"] if name in to])
        ]
        await self._move_runs(moves, lambda share: None)

    async def _move_runs(self, moves: Sequence[tuple[Any, datetime]], moved: Callable[[float], None]) -> None:
        """Move runs of many profiles concurrently, but the runs of one profile in order, the oldest first.

        Otherwise chance would decide which run of a profile sends first and which one reaches the cap.
        """
        of_person: defaultdict[UUID, list[tuple[Any, datetime]]] = defaultdict(list)
        for run, to in moves:
            of_person[run["profile_id"]].append((run, to))
        turns = asyncio.Semaphore(_MAX_CONCURRENT_PEOPLE)
        done = 0

        async def move_in_order(profile_moves: list[tuple[Any, datetime]]) -> None:
            nonlocal done
            async with turns:
                for run, to in profile_moves:
                    await self._move_run(run, to)
                    done += 1
                    moved(done / len(moves))

        await asyncio.gather(*(move_in_order(profile_moves) for profile_moves in of_person.values()))

    async def _move_run(self, run: Any, to: datetime) -> None:
        skipped = self._skipped.get(run["run_id"], timedelta())
        # A run's clock is the server's clock, plus the run's offset, plus the skipped time.
        clock = datetime.now(UTC) + timedelta(seconds=run["clock_offset_s"]) + skipped
        if to - clock > _MIN_JUMP:
            self._skipped[run["run_id"]] = skipped + (to - clock)
            await fast_forward(self._client, run["workflow_id"], to - clock)

    async def _load_running(self) -> list[Any]:
        return list(await self._database.run(lambda connection: connection.fetch(_SELECT_RUNNING)))
