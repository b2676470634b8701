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

from journeys.registry import load_journeys
from profiles.db.database import Database
from profiles.messaging.audiences import Membership, load_memberships, record_confirmation
from profiles.runs import outbox
from profiles.runs.outbox import OutboxRow
from profiles.runs.routing import Route
from workers.ad_platform import AdPlatform, UnconfirmedMembership, sync_member
from workers.delivery import Delivery, DeliveryStatus, PermanentDeliveryError
from workers.outbox_listener import OutboxListener
from workers.process import UserError, run_until_signal
from workers.reconciler import Reconciler, close_orphaned_run
from workers.sandbox import SandboxAdPlatform
from workers.settings import WorkerSettings
from workers.startup import wait_for_schema
from workers.temporal_client import connect_temporal

log = structlog.get_logger("relay")

BATCH_SIZE = 100
MAX_CONCURRENT_BATCHES = 3
"""Batches under way in one relay; each locks its rows, as several relays do."""

IDLE_WAIT_S = 1.0
"""How long to wait for the doorbell before looking anyway."""
_MAX_RETRY_DELAY_S = 5.0

TRANSIENT_ERRORS = (
    RPCError,
    OSError,
    RuntimeError,
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    TimeoutError,
)


@dataclass(slots=True)
class BatchResult:
    """What became of one batch."""

    delivered_seqs: list[int] = field(default_factory=list)
    temporal_run_ids: dict[UUID, str] = field(default_factory=dict)
    orphaned_rows: list[OutboxRow] = field(default_factory=list)
    transient_error: BaseException | None = None
    """Why the rest waits: Temporal or Postgres did not answer."""


def _is_audience_entry(row: OutboxRow) -> bool:
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
        self._platform = platform or SandboxAdPlatform(database)

    async def run(self, doorbell: OutboxListener) -> None:
        """Deliver for ever, a few batches at once, so that a slow answer holds up its own batch alone."""
        await asyncio.gather(*(self._deliver_batches(doorbell) for _ in range(MAX_CONCURRENT_BATCHES)))

    async def _deliver_batches(self, doorbell: OutboxListener) -> None:
        """One batch after the other. Temporal or Postgres away: pauses, a little longer each time."""
        pause = 0.1
        while True:
            known = doorbell.notifications
            try:
                told = await self.deliver_batch()
                pause = 0.1
            except TRANSIENT_ERRORS as error:
                log.warning("cannot deliver yet", error=repr(error)[:200], again_in_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_RETRY_DELAY_S)
                continue
            if told == 0:
                await doorbell.wait(IDLE_WAIT_S, seen=known)

    async def deliver_batch(self) -> int:
        """Deliver one batch of rows of different lanes; returns how many were told, parked or postponed."""
        outcome = BatchResult()
        async with self._database.transaction() as connection:
            rows = await outbox.lock_batch(connection, BATCH_SIZE)
            if not rows:
                return 0
            # Who comes back to an audience enters once their removal is confirmed, be it in this very batch.
            entries = [row for row in rows if _is_audience_entry(row)]
            for part in ([row for row in rows if not _is_audience_entry(row)], entries):
                standing = await load_memberships(
                    connection, [row.lane for row in part if _is_audience_entry(row)]
                )
                telling = (self._deliver_row(row, standing.get(row.lane)) for row in part)
                answers = await asyncio.gather(*telling, return_exceptions=True)
                for row, answer in zip(part, answers, strict=True):
                    await self._record_result(connection, row, answer, outcome)
            await outbox.mark_delivered(connection, outcome.delivered_seqs, outcome.temporal_run_ids)
        for row in outcome.orphaned_rows:
            await self._close_orphaned_run(row)
        if outcome.transient_error is not None:
            raise outcome.transient_error
        return len(rows)

    async def _record_result(
        self,
        connection: Any,
        row: OutboxRow,
        answer: str | DeliveryStatus | BaseException | None,
        outcome: BatchResult,
    ) -> None:
        match answer:
            case PermanentDeliveryError():
                log.error("run is stuck", run_id=str(row.lane), reason=str(answer))
                await outbox.record_failure(connection, row.seq, str(answer))
                if not await outbox.mark_stuck(connection, row.lane, str(answer)):
                    # An ended run waits for nobody; kept first in its lane, the row would spin.
                    outcome.delivered_seqs.append(row.seq)
            case UnconfirmedMembership():
                # Postponed, not "away": an ad platform that fails holds up nobody's signals.
                log.warning("ad platform has not confirmed", told=row.name, reason=str(answer))
                await outbox.reschedule(connection, row.seq, str(answer))
            case BaseException():
                await outbox.record_failure(connection, row.seq, repr(answer))
                outcome.transient_error = answer
            case DeliveryStatus.NOT_FOUND:
                outcome.delivered_seqs.append(row.seq)
                outcome.orphaned_rows.append(row)
            case str(temporal_run_id):
                outcome.delivered_seqs.append(row.seq)
                outcome.temporal_run_ids[row.lane] = temporal_run_id
            case _:
                outcome.delivered_seqs.append(row.seq)
                if row.kind == "audience":
                    await record_confirmation(connection, row.lane, row.name)

    async def _deliver_row(self, row: OutboxRow, standing: Membership | None) -> str | DeliveryStatus | None:
        match row.kind:
            case "start":
                return await self._delivery.start(row) or DeliveryStatus.DELIVERED
            case "signal":
                return await self._delivery.signal(row)
            case _:
                await sync_member(self._platform, row, standing)
                return None

    async def _close_orphaned_run(self, row: OutboxRow) -> None:
        """The workflow had ended before it was told."""
        await close_orphaned_run(
            self._database,
            self._routes,
            row.lane,
            outcome="gone",
            detail="Temporal no longer has this run",
            before_seq=row.seq,
            local=self._local,
        )


async def run_relay_process(settings: WorkerSettings) -> None:
    """Run one relay until SIGTERM or Ctrl-C. Raises ``Fault`` for settings and a schema it cannot use."""
    try:
        journeys = load_journeys(settings.journey_modules)
    except ValueError as error:
        raise UserError(str(error)) from error
    await wait_for_schema(settings.database_url)
    database = Database(settings.database_url, pool_size=MAX_CONCURRENT_BATCHES + 3)
    client = await connect_temporal(settings, lazy=True)
    relay = Relay(database, Delivery(client), journeys.routes, local=settings.waypost_local)
    sweeper = Reconciler(database, client, journeys.routes, local=settings.waypost_local)
    async with OutboxListener(settings.database_url) as doorbell:
        log.info("ready")
        await run_until_signal(asyncio.gather(relay.run(doorbell), sweeper.run()))
    with contextlib.suppress(OSError):
        await database.close()
