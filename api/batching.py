"""Group commit of ingest: requests that arrive during a transaction share the next one."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from api.http.outage import Outage, Probe, is_outage, retry_stale_connection
from profiles.ingest.event_store import IngestResult
from profiles.state.event_records import IncomingEvent

log = structlog.get_logger(__name__)

IngestCallable = Callable[[Sequence[IncomingEvent]], Coroutine[Any, Any, list[IngestResult]]]


TARGET_TRANSACTION_S = 0.1
"""Seconds that a transaction of unverified events may take while verified ones come."""

PRIORITY_PERIOD_S = 3600.0
"""Seconds after a verified request in which unverified ones leave room for the next."""


class Overloaded(Exception):
    """The ingest queue is full; nothing of this request was written."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__(f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s
        """Whole seconds in which the queue is worked off, at the speed of the last transactions."""


class PartlyCommitted(Exception):
    """Some events of a request are committed, of the others it is not known."""

    def __init__(self, results: Mapping[int, IngestResult]) -> None:
        super().__init__(f"{len(results)} events are committed")
        self.results = results
        """Index in the request → result, of what is committed."""


@dataclass(slots=True, eq=False)
class _PendingRequest:
    """The events of one request, or a part of them, until their transaction has committed."""

    events: Sequence[IncomingEvent]
    future: "asyncio.Future[list[IngestResult]]"


class _Queue:
    """Requests of one kind of sender that wait for a transaction."""

    def __init__(self, max_events: int) -> None:
        self.max_events = max_events
        self.requests: deque[_PendingRequest] = deque()
        self.events = 0
        """Number of events that wait."""
        self.running = 0
        """Transactions under way."""

    def has_room(self, count: int) -> bool:
        """Whether so many events may join. Into an empty queue any number may."""
        return not self.events or self.events + count <= self.max_events

    def add(self, waiting: _PendingRequest) -> None:
        """Append a request."""
        self.requests.append(waiting)
        self.events += len(waiting.events)

    def remove(self, waiting: _PendingRequest) -> None:
        """Remove a request that waits no longer."""
        self.requests.remove(waiting)
        self.events -= len(waiting.events)

    def take_batch(self, max_batch_events: int) -> list[_PendingRequest]:
        """Remove the first request, and as many more as fit into ``max_batch_events``."""
        batch: list[_PendingRequest] = []
        count = 0
        while self.requests and (not batch or count + len(self.requests[0].events) <= max_batch_events):
            waiting = self.requests.popleft()
            count += len(waiting.events)
            batch.append(waiting)
        self.events -= count
        return batch


class BatchSize:
    """How many unverified events share a transaction while verified ones come: as many as take a short time.

    It doubles after a full transaction that was short, and halves after a long one, whatever the cause.
    """

    def __init__(self, smallest: int, largest: int, target_s: float = TARGET_TRANSACTION_S) -> None:
        self._smallest, self._largest, self._target_s = smallest, largest, target_s
        self.events = smallest
        """Events of the next transaction."""

    def record(self, events: int, seconds: float) -> None:
        """Learn from a transaction."""
        if seconds > self._target_s:
            self.events = max(self._smallest, self.events // 2)
        elif events >= self.events and seconds < self._target_s / 2:
            self.events = min(self._largest, self.events * 2)


class Batcher:
    """Batches events of requests for ingest. Answers after COMMIT, each request with its own results.

    Verified requests (under a server or admin key) have a queue of their own, which is first. While such
    requests come, the others use all transactions but one, and smaller ones.
    """

    def __init__(
        self,
        ingest: IngestCallable,
        probe: Probe,
        *,
        max_concurrent_batches: int = 2,
        max_batch_events: int = 500,
        max_queued_events: int = 5000,
        queue_timeout_s: float = 5.0,
        min_unverified_batch_events: int = 25,
        max_unverified_batch_events: int = 200,
        max_queued_unverified_events: int = 2500,
    ) -> None:
        """Create a batcher.

        ``max_batch_events``: events up to which requests share a transaction. ``max_queued_events``: events
        that may queue. ``queue_timeout_s``: seconds that a request may queue. Unverified requests have limits
        of their own. While verified requests come too, their transactions have between
        ``min_unverified_batch_events`` and ``max_unverified_batch_events``, as long as each is short.
        """
        self._ingest, self._probe = ingest, probe
        self._max_concurrent_batches, self._max_batch_events = max_concurrent_batches, max_batch_events
        self._part_events = min(min_unverified_batch_events, max_unverified_batch_events)
        self._unverified_size = BatchSize(self._part_events, max_unverified_batch_events)
        self._queue_timeout_s = queue_timeout_s
        self._verified = _Queue(max_queued_events)
        self._unverified = _Queue(max_queued_unverified_events)
        self._last_verified_at = -math.inf
        self._event_s = 0.001
        """Seconds that an event took lately, as a moving average."""
        self._running_batches: set[asyncio.Task[None]] = set()

    @property
    def queued_events(self) -> int:
        """Number of events that wait for a transaction."""
        return self._verified.events + self._unverified.events

    async def submit(self, events: Sequence[IncomingEvent], *, verified: bool = True) -> list[IngestResult]:
        """Ingest events. Return results in the same order, after COMMIT.

        ``verified``: sent under a key that only trusted senders have. A large unverified request may be
        ingested in several transactions.

        Raises:
            Overloaded: the queue is full, or the request queued too long; nothing was written.
            Outage: Postgres is away. Nothing was written, unless only the answer to COMMIT was lost
                (``may_be_written``). Sending the same ids again is safe in both cases.
            PartlyCommitted: the same, after some of the transactions of the request have committed.
        """
        if not events:
            return []
        queue = self._verified if verified else self._unverified
        if verified:
            self._last_verified_at = time.monotonic()
        if not queue.has_room(len(events)):
            raise Overloaded(self._seconds_to_work_off(queue))
        # Small parts, so that the size of a transaction is decided when it starts.
        size = len(events) if verified else self._part_size()
        loop = asyncio.get_running_loop()
        parts = [
            _PendingRequest(events[start : start + size], loop.create_future())
            for start in range(0, len(events), size)
        ]
        for part in parts:
            queue.add(part)
        self._start_batches()
        await self._wait_for(parts, queue)
        return _collect_results(parts)

    async def _wait_for(self, parts: Sequence[_PendingRequest], queue: _Queue) -> None:
        """Wait until every part has an outcome. What queues too long has none but ``Overloaded``."""
        _, waiting = await asyncio.wait({part.future for part in parts}, timeout=self._queue_timeout_s)
        if not waiting:
            return
        overloaded = Overloaded(self._seconds_to_work_off(queue))
        for part in parts:
            if not part.future.done() and part in queue.requests:
                queue.remove(part)
                _complete_request(part, overloaded)
        await asyncio.wait({part.future for part in parts})

    def _has_verified_senders(self) -> bool:
        return time.monotonic() - self._last_verified_at < PRIORITY_PERIOD_S

    def _part_size(self) -> int:
        return self._part_events if self._has_verified_senders() else self._max_batch_events

    def _unverified_batch_size(self) -> int:
        return self._unverified_size.events if self._has_verified_senders() else self._max_batch_events

    def _seconds_to_work_off(self, queue: _Queue) -> int:
        return min(60, max(1, math.ceil(queue.events * self._event_s)))

    async def close(self) -> None:
        """Wait until all submitted requests are answered."""
        while self._running_batches:
            await asyncio.wait(set(self._running_batches))

    def _start_batches(self) -> None:
        while len(self._running_batches) < self._max_concurrent_batches:
            if self._verified.requests:
                self._start_batch(self._verified, self._max_batch_events)
            elif self._unverified.requests and self._may_start_unverified():
                self._start_batch(self._unverified, self._unverified_batch_size())
            else:
                return

    def _may_start_unverified(self) -> bool:
        reserved = 1 if self._has_verified_senders() else 0
        return self._unverified.running < max(1, self._max_concurrent_batches - reserved)

    def _start_batch(self, queue: _Queue, max_events: int) -> None:
        queue.running += 1
        task = asyncio.create_task(self._run_timed_batch(queue, queue.take_batch(max_events)))
        self._running_batches.add(task)

        def on_done(task: "asyncio.Task[None]") -> None:
            queue.running -= 1
            self._running_batches.discard(task)
            self._start_batches()

        task.add_done_callback(on_done)

    async def _run_timed_batch(self, queue: _Queue, batch: list[_PendingRequest]) -> None:
        started = time.monotonic()
        await self._run_batch(batch)
        took, events = time.monotonic() - started, sum(len(waiting.events) for waiting in batch)
        self._event_s += (took / events - self._event_s) / 10
        if queue is self._unverified:
            self._unverified_size.record(events, took)

    async def _run_batch(self, batch: list[_PendingRequest]) -> None:
        events = [event for waiting in batch for event in waiting.events]
        try:
            answers = await retry_stale_connection(lambda: self._ingest(events), self._probe)
        except Exception as error:
            await self._handle_batch_error(batch, error)
            return
        start = 0
        for waiting in batch:
            _complete_request(waiting, answers[start : start + len(waiting.events)])
            start += len(waiting.events)

    async def _handle_batch_error(self, batch: list[_PendingRequest], error: Exception) -> None:
        """Answer the requests of a failed transaction with the error; after an ``Outage``, queued ones too.

        After any other error of a shared batch, each request is tried alone.
        """
        if is_outage(error):
            # Requests that queue during an outage would only wait for the same error.
            for waiting in batch:
                _complete_request(waiting, error)
            for queue in (self._verified, self._unverified) if isinstance(error, Outage) else ():
                for waiting in list(queue.requests):
                    queue.remove(waiting)
                    not_begun = Outage(str(error))
                    not_begun.may_be_written = False
                    _complete_request(waiting, not_begun)
        elif len(batch) > 1:
            # One request may trigger a bug; the other requests of the batch must not fail with it.
            for waiting in batch:
                await self._run_batch([waiting])
        else:
            log.error("request_not_taken_in", error=type(error).__name__, exc_info=error)
            _complete_request(batch[0], error)


def _collect_results(parts: Sequence[_PendingRequest]) -> list[IngestResult]:
    """Return the results of a request from its parts, in order. Raises its error, or ``PartlyCommitted``."""
    committed: dict[int, IngestResult] = {}
    errors: list[BaseException] = []
    start = 0
    for part in parts:
        error = part.future.exception()
        if error is None:
            committed.update(enumerate(part.future.result(), start))
        else:
            errors.append(error)
        start += len(part.events)
    if not errors:
        return list(committed.values())
    if committed:
        raise PartlyCommitted(committed) from errors[0]
    # Where a part may be written, the answer must not say that nothing is.
    raise next((error for error in errors if _may_be_written(error)), errors[0])


def _may_be_written(error: BaseException) -> bool:
    return not isinstance(error, Overloaded) and getattr(error, "may_be_written", True)


def _complete_request(waiting: _PendingRequest, outcome: list[IngestResult] | Exception) -> None:
    if waiting.future.done():
        return
    if isinstance(outcome, Exception):
        waiting.future.set_exception(outcome)
        # Retrieved here, so that a disconnected request causes no "never retrieved" warning.
        waiting.future.exception()
    else:
        waiting.future.set_result(outcome)
