"""The relay: delivers outbox rows to Temporal and the ad platforms, in order per lane.

Any number of relays may run. Each process also runs the reconciler.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from journeys.registry import load_journeys
from profiles.db.database import Database
from profiles.error_description import describe_error
from profiles.messaging.audiences import Membership, load_memberships, record_confirmation
from profiles.runs import outbox
from profiles.runs.outbox import OutboxRow
from profiles.runs.routing import Route
from profiles.state.unit_of_work import OutboxKind
from workers.ad_platform import AdPlatform, UnconfirmedMembership, sync_member
from workers.delivery import Delivery, DeliveryStatus, PermanentDeliveryError
from workers.errors import UserError
from workers.outbox_listener import OutboxListener
from workers.process import run_until_signal
from workers.reconciler import TRANSIENT_ERRORS, Reconciler, close_orphaned_run
from workers.sandbox import SandboxAdPlatform
from workers.settings import WorkerSettings
from workers.startup import wait_for_schema
from workers.temporal_client import connect_temporal

log = structlog.get_logger("relay")

BATCH_SIZE = 100
MAX_CONCURRENT_BATCHES = 3
"""Concurrent batches of one relay; each locks its own rows, as batches of several relays do."""

IDLE_WAIT_S = 1.0
"""Seconds to wait for a notification before the outbox is read anyway."""

_MAX_RETRY_DELAY_S = 5.0


@dataclass(slots=True)
class BatchResult:
    """Results of one batch."""

    delivered_seqs: list[int] = field(default_factory=list)
    temporal_run_ids: dict[UUID, str] = field(default_factory=dict)
    orphaned_rows: list[OutboxRow] = field(default_factory=list)
    transient_error: BaseException | None = None
    """An error of Temporal or Postgres, because of which rows of the batch are still undelivered."""


def _is_audience_entry(row: OutboxRow) -> bool:
    return (row.kind, row.name) == (OutboxKind.AUDIENCE, "add")


class Relay:
    """Delivers outbox rows until it is cancelled.

    Locks held: the rows of a batch, during its delivery; delivered rows are marked in the same transaction.
    """

    def __init__(
        self,
        database: Database,
        delivery: Delivery,
        routes: Sequence[Route],
        *,
        local: bool = False,
        platform: AdPlatform | None = None,
    ) -> None:
        """Create a relay. ``platform`` holds the ad audiences; None means the sandbox."""
        self._database = database
        self._delivery = delivery
        self._close_orphaned_run = partial(close_orphaned_run, database, routes, local=local)
        self._platform = platform or SandboxAdPlatform(database)

    async def run(self, listener: OutboxListener) -> None:
        """Deliver forever, a few batches at once, so that a slow answer delays only its own batch."""
        await asyncio.gather(*(self._deliver_batches(listener) for _ in range(MAX_CONCURRENT_BATCHES)))

    async def _deliver_batches(self, listener: OutboxListener) -> None:
        """Deliver one batch after the other. Back off exponentially while Temporal or Postgres is away."""
        pause = 0.1
        while True:
            seen_count = listener.notifications
            try:
                processed = await self.deliver_batch()
                pause = 0.1
            except TRANSIENT_ERRORS as error:
                log.warning("cannot deliver yet", error=describe_error(error), again_in_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_RETRY_DELAY_S)
                continue
            if processed == 0:
                await listener.wait(IDLE_WAIT_S, seen=seen_count)

    async def deliver_batch(self) -> int:
        """Deliver one batch of rows of different lanes. Return how many rows were processed.

        Processed rows are delivered, stuck or rescheduled.
        Raises the first error of Temporal or Postgres, after the results of the other rows are committed.
        """
        outcome = BatchResult()
        async with self._database.transaction() as connection:
            rows = await outbox.lock_batch(connection, BATCH_SIZE)
            if not rows:
                return 0
            # Additions go last: an addition needs an earlier removal confirmed, perhaps in this very batch.
            entries = [row for row in rows if _is_audience_entry(row)]
            for part in ([row for row in rows if not _is_audience_entry(row)], entries):
                memberships = await load_memberships(
                    connection, [row.lane for row in part if _is_audience_entry(row)]
                )
                deliveries = (self._deliver_row(row, memberships.get(row.lane)) for row in part)
                answers = await asyncio.gather(*deliveries, return_exceptions=True)
                for row, answer in zip(part, answers, strict=True):
                    await self._record_result(connection, row, answer, outcome)
            await outbox.mark_delivered(connection, outcome.delivered_seqs, outcome.temporal_run_ids)
        for row in outcome.orphaned_rows:
            # The workflow ended before the row was delivered.
            detail = "Temporal no longer has this run"
            await self._close_orphaned_run(row.lane, outcome="gone", detail=detail, before_seq=row.seq)
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
                    # The run has ended. If the row stayed first in its lane, it would be retried forever.
                    outcome.delivered_seqs.append(row.seq)
            case UnconfirmedMembership():
                # Rescheduled, not transient: a failing ad platform must not delay signals to runs.
                log.warning("ad platform has not confirmed", told=row.name, reason=str(answer))
                await outbox.reschedule(connection, row.seq, str(answer))
            case BaseException():
                await outbox.record_failure(connection, row.seq, describe_error(answer))
                outcome.transient_error = answer
            case DeliveryStatus.NOT_FOUND:
                outcome.delivered_seqs.append(row.seq)
                outcome.orphaned_rows.append(row)
            case str(temporal_run_id):
                outcome.delivered_seqs.append(row.seq)
                outcome.temporal_run_ids[row.lane] = temporal_run_id
            case _:
                outcome.delivered_seqs.append(row.seq)
                if row.kind == OutboxKind.AUDIENCE:
                    await record_confirmation(connection, row.lane, row.name)

    async def _deliver_row(
        self, row: OutboxRow, membership: Membership | None
    ) -> str | DeliveryStatus | None:
        match row.kind:
            case OutboxKind.START:
                return await self._delivery.start(row) or DeliveryStatus.DELIVERED
            case OutboxKind.SIGNAL:
                return await self._delivery.signal(row)
            case OutboxKind.AUDIENCE:
                await sync_member(self._platform, row, membership)
                return None
            case unknown:
                raise PermanentDeliveryError(
                    f"outbox row {row.seq} is of the kind {unknown!r}, which this relay cannot deliver; "
                    f"it knows {', '.join(OutboxKind)}"
                )


async def run_relay_process(settings: WorkerSettings) -> None:
    """Run one relay until SIGTERM or SIGINT. Raises ``UserError`` for unusable settings or schema."""
    try:
        journeys = load_journeys(settings.journey_modules)
    except ValueError as error:
        raise UserError(str(error)) from error
    await wait_for_schema(settings.database_url)
    database = Database(settings.database_url, pool_size=MAX_CONCURRENT_BATCHES + 3)
    client = await connect_temporal(settings, lazy=True)
    relay = Relay(database, Delivery(client), journeys.routes, local=settings.waypost_local)
    reconciler = Reconciler(database, client, journeys.routes, local=settings.waypost_local)
    async with OutboxListener(settings.database_url) as listener:
        log.info("ready")
        await run_until_signal(asyncio.gather(relay.run(listener), reconciler.run()))
    with contextlib.suppress(OSError):
        await database.close()
