"""The relay: outbox rows to Temporal and the ad platforms, in order per run, as many relays as you like."""

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from journeys.registry import load
from profiles import outbox
from profiles.audiences import tell_sandbox
from profiles.database import Database
from profiles.outbox import Row
from profiles.routing import Route
from workers.delivery import CannotBeTold, Delivery, Told
from workers.doorbell import Doorbell
from workers.faults import Fault
from workers.gone import close_gone
from workers.schema import until_schema_fits
from workers.settings import WorkerSettings
from workers.signals import until_stopped
from workers.sweeper import Sweeper
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


class Relay:
    """Delivers until told to stop. Holds a batch's locks while it delivers, and marks what was told."""

    def __init__(
        self, database: Database, delivery: Delivery, routes: Sequence[Route], *, local: bool = False
    ) -> None:
        self._database = database
        self._delivery = delivery
        self._routes = tuple(routes)
        self._local = local

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
        """Deliver one batch of rows of different lanes; returns how many were told or parked."""
        gone: list[Row] = []
        async with self._database.transaction() as connection:
            rows = await outbox.take(connection, BATCH)
            if not rows:
                return 0
            answers = await asyncio.gather(*(self._tell(row) for row in rows), return_exceptions=True)
            done: list[int] = []
            started: dict[UUID, str] = {}
            away: BaseException | None = None
            for row, answer in zip(rows, answers, strict=True):
                match answer:
                    case CannotBeTold():
                        log.error("run is stuck", run_id=str(row.lane), reason=str(answer))
                        await outbox.failed(connection, row.seq, str(answer))
                        if not await outbox.park(connection, row.lane, str(answer)):
                            # An ended run waits for nobody; kept first in its lane, the row would spin.
                            done.append(row.seq)
                    case BaseException():
                        await outbox.failed(connection, row.seq, repr(answer))
                        away = answer
                    case Told.GONE:
                        done.append(row.seq)
                        gone.append(row)
                    case str(temporal_run_id):
                        done.append(row.seq)
                        started[row.lane] = temporal_run_id
                    case _:
                        done.append(row.seq)
                        if row.kind == "audience":
                            await tell_sandbox(connection, row.lane, row.payload["audience"], row.name)
            await outbox.delivered(connection, done, started)
        for row in gone:
            await self._close_gone(row)
        if away is not None:
            raise away
        return len(rows)

    async def _tell(self, row: Row) -> str | Told | None:
        match row.kind:
            case "start":
                return await self._delivery.start(row) or Told.DONE
            case "signal":
                return await self._delivery.signal(row)
            case _:
                # The sandbox ad platform lives in Postgres: it is told in the batch's own transaction.
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
