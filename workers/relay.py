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
from profiles.redaction import redact_text
from profiles.runs import outbox
from profiles.runs.outbox import OutboxRow
from profiles.runs.routing import Route
from profiles.state.unit_of_work import OutboxKind
from workers.ad_platform import AdPlatform, UnconfirmedMembership, sync_member
from workers.delivery import Delivery, DeliveryStatus
from workers.errors import UserError
from workers.heartbeat import Heartbeat, Pulse
from workers.outbox_listener import OutboxListener
from workers.process import run_until_signal
from workers.reconciler import TRANSIENT_ERRORS, Reconciler, close_orphaned_run
from workers.sandbox import SandboxAdPlatform
from workers.settings import WorkerSettings
from workers.startup import wait_for_schema
from workers.temporal_client import connect_temporal
from workers.temporal_errors import PermanentDeliveryError, TemporalUnavailable

log = structlog.get_logger("relay")

BATCH_SIZE = 100
MAX_CONCURRENT_BATCHES = 3
"""Concurrent batches of one relay; each locks its own rows, as batches of several relays do.

The first takes only lanes with a row of a verified event, which thus never wait for a slow batch of others.
"""

IDLE_WAIT_S = 1.0
"""Seconds to wait for a notification before the outbox is read anyway."""

_MIN_RETRY_DELAY_S = 0.1

_MAX_RETRY_DELAY_S = 5.0


MAX_LOOP_AGE_S = 90.0
"""Seconds in which a batch ends, at the latest. An older loop hangs: every call has a shorter timeout."""


class UnknownOutboxKind(Exception):
    """A newer version wrote the row; a relay of that version delivers it."""


@dataclass(slots=True)
class BatchResult:
    """Results of one batch."""

    delivered_seqs: list[int] = field(default_factory=list)
    temporal_run_ids: dict[UUID, str] = field(default_factory=dict)
    orphaned_rows: list[OutboxRow] = field(default_factory=list)
    unavailable: list[tuple[OutboxRow, BaseException]] = field(default_factory=list)
    """Rows that Temporal did not take, with its errors."""
    answered: bool = False
    """Temporal took or refused a row of this batch: it is not away."""

    def outage(self) -> BaseException | None:
        """Return the error that lets all deliveries wait: Temporal is away, or limits the rate."""
        for _, error in self.unavailable:
            if not self.answered or (isinstance(error, TemporalUnavailable) and error.overloaded):
                return error
        return None


def _is_audience_entry(row: OutboxRow) -> bool:
    return (row.kind, row.name) == (OutboxKind.AUDIENCE, "add")


def _describe_unavailable(error: BaseException) -> str:
    """Return why Temporal takes no row now, with the text of Temporal, which holds no payload."""
    return redact_text(str(error)) if isinstance(error, TemporalUnavailable) else describe_error(error)


def _describe_unexpected(row: OutboxRow, error: BaseException) -> str:
    """Return the reason to show to operators. Without the error's text, which may quote a payload."""
    return (
        f"{type(error).__name__} in delivering {row.kind} {row.name!r} (outbox row {row.seq}): a bug, or an "
        "event of a shape that this version cannot deliver; the relay's log has the error"
    )


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

    async def run(self, listener: OutboxListener, heartbeat: Heartbeat | None = None) -> None:
        """Deliver forever, a few batches at once, so that a slow answer delays only its own batch.

        Never raises: an error is logged, and the next attempt waits, up to 5 s.
        """
        heartbeat = heartbeat or Heartbeat("relay")
        loops = [
            self._deliver_batches(
                listener, heartbeat.pulse(f"deliveries {number}", MAX_LOOP_AGE_S), urgent_only=number == 1
            )
            for number in range(1, MAX_CONCURRENT_BATCHES + 1)
        ]
        await asyncio.gather(*loops)

    async def _deliver_batches(self, listener: OutboxListener, pulse: Pulse, *, urgent_only: bool) -> None:
        """Deliver one batch after the other. Back off exponentially after any error."""
        pause = _MIN_RETRY_DELAY_S
        while True:
            pulse.turn()
            seen_count = listener.notifications
            try:
                processed = await self.deliver_batch(urgent_only=urgent_only)
                pulse.succeed()
                pause = _MIN_RETRY_DELAY_S
                if processed == 0:
                    await listener.wait(IDLE_WAIT_S, seen=seen_count)
            except Exception as error:
                pulse.fail(error)
                if isinstance(error, (TemporalUnavailable, *TRANSIENT_ERRORS)):
                    log.warning("cannot deliver yet", error=_describe_unavailable(error), again_in_s=pause)
                else:
                    log.error("batch failed", error=type(error).__name__, again_in_s=pause, exc_info=error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_RETRY_DELAY_S)

    async def deliver_batch(self, *, urgent_only: bool = False) -> int:
        """Deliver one batch of rows of different lanes. Return how many rows were processed.

        ``urgent_only``: only of lanes with a row of a verified event.
        Processed rows are delivered, stuck or rescheduled. No error of a row affects another one.
        Raises ``TemporalUnavailable`` if Temporal took no row or limits the rate, and errors of Postgres,
        after the results of the other rows are committed.
        """
        outcome = BatchResult()
        async with self._database.transaction() as connection:
            rows = await outbox.lock_batch(connection, BATCH_SIZE, urgent_only=urgent_only)
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
            outage = outcome.outage()
            for row, error in outcome.unavailable:
                # While Temporal is away, rows wait for it together. One that alone is not taken waits alone.
                record = outbox.reschedule if outcome.answered else outbox.record_failure
                await record(connection, row.seq, _describe_unavailable(error))
            await outbox.mark_delivered(connection, outcome.delivered_seqs, outcome.temporal_run_ids)
        for row in outcome.orphaned_rows:
            await self._close_run_of(row)
        if outage is not None:
            raise outage
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
                outcome.answered = True
                await self._park(connection, row, str(answer), outcome)
            case UnconfirmedMembership() | UnknownOutboxKind():
                # Rescheduled, not transient: a failing ad platform must not delay signals to runs.
                what = "ad platform has not confirmed" if row.kind == OutboxKind.AUDIENCE else "row waits"
                log.warning(what, told=row.name, reason=str(answer))
                await outbox.reschedule(connection, row.seq, str(answer))
            case TemporalUnavailable() | OSError() | asyncio.CancelledError():
                outcome.unavailable.append((row, answer))
            case Exception():
                reason = _describe_unexpected(row, answer)
                log.error("row cannot be delivered", lane=str(row.lane), reason=reason, exc_info=answer)
                await self._park(connection, row, reason, outcome)
            case BaseException():
                raise answer
            case DeliveryStatus.NOT_FOUND:
                # Not marked: the row stays until its run is closed, in case this process ends before.
                outcome.answered = True
                outcome.orphaned_rows.append(row)
            case str(temporal_run_id):
                outcome.answered = True
                outcome.delivered_seqs.append(row.seq)
                outcome.temporal_run_ids[row.lane] = temporal_run_id
            case _:
                outcome.delivered_seqs.append(row.seq)
                if row.kind == OutboxKind.AUDIENCE:
                    await record_confirmation(connection, row.lane, row.name)
                else:
                    outcome.answered = True

    async def _park(self, connection: Any, row: OutboxRow, reason: str, outcome: BatchResult) -> None:
        """Set the row's run to stuck. A row of no run is retried instead, as nothing would show it."""
        if row.workflow_id is None:
            await outbox.reschedule(connection, row.seq, reason)
            return
        log.error("run is stuck", run_id=str(row.lane), reason=reason)
        await outbox.record_failure(connection, row.seq, reason)
        if not await outbox.mark_stuck(connection, row.lane, reason):
            # The run has ended. If the row stayed first in its lane, it would be retried forever.
            outcome.delivered_seqs.append(row.seq)

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
                raise UnknownOutboxKind(
                    f"outbox row {row.seq} is of the kind {unknown!r}, which this relay cannot deliver; it "
                    f"knows {', '.join(OutboxKind)}. It waits for a relay of the version that wrote it"
                )

    async def _close_run_of(self, row: OutboxRow) -> None:
        """Close the run of a workflow that ended before the row was delivered. Never raises.

        After an error the row is rescheduled, and its next delivery closes the run.
        """
        detail = "Temporal no longer has this run"
        try:
            await self._close_orphaned_run(row.lane, outcome="gone", detail=detail, before_seq=row.seq)
        except Exception as error:
            log.error("run cannot be closed", run_id=str(row.lane), error=describe_error(error))
            with contextlib.suppress(*TRANSIENT_ERRORS):
                async with self._database.transaction() as connection:
                    await outbox.reschedule(connection, row.seq, _describe_unexpected(row, error))


async def run_relay_process(settings: WorkerSettings) -> None:
    """Run one relay until SIGTERM or SIGINT. Raises ``UserError`` for unusable settings or schema."""
    try:
        journeys = load_journeys(settings.journey_modules)
    except ValueError as error:
        raise UserError(str(error)) from error
    heartbeat = Heartbeat("relay", settings.waypost_heartbeat_file)
    async with heartbeat.beating():
        await wait_for_schema(settings.database_url)
        database = Database(settings.database_url, pool_size=MAX_CONCURRENT_BATCHES + 3)
        client = await connect_temporal(settings, lazy=True)
        relay = Relay(database, Delivery(client), journeys.routes, local=settings.waypost_local)
        reconciler = Reconciler(database, client, journeys.routes, local=settings.waypost_local)
        async with OutboxListener(settings.database_url) as listener:
            log.info("ready")
            await run_until_signal(asyncio.gather(relay.run(listener, heartbeat), reconciler.run(heartbeat)))
        with contextlib.suppress(OSError):
            await database.close()
