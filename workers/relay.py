"""The relay: outbox rows to Temporal and the ad platforms, in order per run, as many relays as you like."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from journeys.registry import load
from profiles.db.database import Database
from profiles.messaging.audiences import Membership, confirmed, memberships
from profiles.runs import outbox
from profiles.runs.outbox import Row
from profiles.runs.routing import Route
from workers.ad_platform import AdPlatform, Unconfirmed, tell
from workers.delivery import CannotBeTold, Delivery, Told
from workers.outbox_listener import Doorbell
from workers.process import Fault, until_stopped
from workers.reconciler import Sweeper, close_gone
from workers.sandbox import SandboxAudiences
from workers.settings import WorkerSettings
from workers.startup import until_schema_fits
from workers.temporal_client import connect

log = structlog.get_logger("relay")

BATCH = 100
AT_ONCE = 3
"""Batches under way in one relay; each locks its rows, as several relays do."""

IDLE_S = 1.0
"""How long to wait for the doorbell before looking anyway."""
_LONGEST_PAUSE_S = 5.0

_AWAY = (
    RPCError,
    OSError,
    RuntimeError,
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    TimeoutError,
)


@dataclass(slots=True)
class Outcome:
    """What became of one batch."""

    done: list[int] = field(default_factory=list)
    started: dict[UUID, str] = field(default_factory=dict)
    gone: list[Row] = field(default_factory=list)
    away: BaseException | None = None
    """Why the rest waits: Temporal or Postgres did not answer."""


def _is_entry(row: Row) -> bool:
    return (row.kind, row.name) == ("audience", "add")


class Relay:
    """Delivers until told to stop. Holds a batch's locks while it delivers, and marks what was told."""

    def __init__(
        self,
        database: Database,
        delivery: Delivery,
        routes: Sequence[Route],
        *,
        local: bool = False,
        platform: AdPlatform | None = None,
    ) -> None:
        """``platform``: where the ad audiences are; None: the sandbox."""
        self._database = database
        self._delivery = delivery
        self._routes = tuple(routes)
        self._local = local
        self._platform = platform or SandboxAudiences(database)

    async def run(self, doorbell: Doorbell) -> None:
        """Deliver for ever, a few batches at once, so that a slow answer holds up its own batch alone."""
        await asyncio.gather(*(self._deliver(doorbell) for _ in range(AT_ONCE)))

    async def _deliver(self, doorbell: Doorbell) -> None:
        """One batch after the other. Temporal or Postgres away: pauses, a little longer each time."""
        pause = 0.1
        while True:
            known = doorbell.rings
            try:
                told = await self.deliver_batch()
                pause = 0.1
            except _AWAY as error:
                log.warning("cannot deliver yet", error=repr(error)[:200], again_in_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if told == 0:
                await doorbell.wait(IDLE_S, known=known)

    async def deliver_batch(self) -> int:
        """Deliver one batch of rows of different lanes; returns how many were told, parked or postponed."""
        outcome = Outcome()
        async with self._database.transaction() as connection:
            rows = await outbox.take(connection, BATCH)
            if not rows:
                return 0
            # Who comes back to an audience enters once their removal is confirmed, be it in this very batch.
            entries = [row for row in rows if _is_entry(row)]
            for part in ([row for row in rows if not _is_entry(row)], entries):
                standing = await memberships(connection, [row.lane for row in part if _is_entry(row)])
                telling = (self._tell(row, standing.get(row.lane)) for row in part)
                answers = await asyncio.gather(*telling, return_exceptions=True)
                for row, answer in zip(part, answers, strict=True):
                    await self._settle(connection, row, answer, outcome)
            await outbox.delivered(connection, outcome.done, outcome.started)
        for row in outcome.gone:
            await self._close_gone(row)
        if outcome.away is not None:
            raise outcome.away
        return len(rows)

    async def _settle(
        self, connection: Any, row: Row, answer: str | Told | BaseException | None, outcome: Outcome
    ) -> None:
        match answer:
            case CannotBeTold():
                log.error("run is stuck", run_id=str(row.lane), reason=str(answer))
                await outbox.failed(connection, row.seq, str(answer))
                if not await outbox.park(connection, row.lane, str(answer)):
                    # An ended run waits for nobody; kept first in its lane, the row would spin.
                    outcome.done.append(row.seq)
            case Unconfirmed():
                # Postponed, not "away": an ad platform that fails holds up nobody's signals.
                log.warning("ad platform has not confirmed", told=row.name, reason=str(answer))
                await outbox.postponed(connection, row.seq, str(answer))
            case BaseException():
                await outbox.failed(connection, row.seq, repr(answer))
                outcome.away = answer
            case Told.GONE:
                outcome.done.append(row.seq)
                outcome.gone.append(row)
            case str(temporal_run_id):
                outcome.done.append(row.seq)
                outcome.started[row.lane] = temporal_run_id
            case _:
                outcome.done.append(row.seq)
                if row.kind == "audience":
                    await confirmed(connection, row.lane, row.name)

    async def _tell(self, row: Row, standing: Membership | None) -> str | Told | None:
        match row.kind:
            case "start":
                return await self._delivery.start(row) or Told.DONE
            case "signal":
                return await self._delivery.signal(row)
            case _:
                await tell(self._platform, row, standing)
                return None

    async def _close_gone(self, row: Row) -> None:
        """The workflow had ended before it was told."""
        await close_gone(
            self._database,
            self._routes,
            row.lane,
            outcome="gone",
            detail="Temporal no longer has this run",
            before_seq=row.seq,
            local=self._local,
        )


async def run(settings: WorkerSettings) -> None:
    """Run one relay until SIGTERM or Ctrl-C. Raises ``Fault`` for settings and a schema it cannot use."""
    try:
        journeys = load(settings.journey_modules)
    except ValueError as error:
        raise Fault(str(error)) from error
    await until_schema_fits(settings.database_url)
    database = Database(settings.database_url, pool_size=AT_ONCE + 3)
    client = await connect(settings, lazy=True)
    relay = Relay(database, Delivery(client), journeys.routes, local=settings.waypost_local)
    sweeper = Sweeper(database, client, journeys.routes, local=settings.waypost_local)
    async with Doorbell(settings.database_url) as doorbell:
        log.info("ready")
        await until_stopped(asyncio.gather(relay.run(doorbell), sweeper.run()))
    with contextlib.suppress(OSError):
        await database.close()
