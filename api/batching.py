"""Group commit of ingest: requests that arrive during a transaction share the next one."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from api.http.outage import Outage, Probe, is_outage, retry_stale_connection
from profiles.ingest.event_store import IngestResult
from profiles.state.event_records import IncomingEvent

log = structlog.get_logger(__name__)

IngestCallable = Callable[[Sequence[IncomingEvent]], Coroutine[Any, Any, list[IngestResult]]]


class Overloaded(Exception):
    """The ingest queue is full; nothing of this request was written."""


@dataclass(slots=True, eq=False)
class _PendingRequest:
    """The events of one request, until their transaction has committed."""

    events: Sequence[IncomingEvent]
    future: "asyncio.Future[list[IngestResult]]"


class Batcher:
    """Batches events of requests for ingest. Answers after COMMIT, each request with its own results."""

    def __init__(
        self,
        ingest: IngestCallable,
        probe: Probe,
        *,
        max_concurrent_batches: int = 2,
        max_batch_events: int = 500,
        max_queued_events: int = 5000,
        queue_timeout_s: float = 5.0,
    ) -> None:
        """Create a batcher.

        ``max_batch_events``: events up to which requests share a transaction. ``max_queued_events``: events
        that may queue. ``queue_timeout_s``: seconds that a request may queue.
        """
        self._ingest, self._probe = ingest, probe
        self._max_concurrent_batches, self._max_batch_events = max_concurrent_batches, max_batch_events
        self._max_queued_events, self._queue_timeout_s = max_queued_events, queue_timeout_s
        self._queue: deque[_PendingRequest] = deque()
        self._queued_events = 0
        self._running_batches: set[asyncio.Task[None]] = set()

    @property
    def queued_events(self) -> int:
        """Number of events that wait for a transaction."""
        return self._queued_events

    async def submit(self, events: Sequence[IncomingEvent]) -> list[IngestResult]:
        """Ingest events. Return results in the same order, after COMMIT.

        Raises:
            Overloaded: the queue is full, or the request queued too long; nothing was written.
            Outage: Postgres is away. Nothing was written, unless only the answer to COMMIT was lost.
                Sending the same ids again is safe in both cases.
        """
        if not events:
            return []
        if self._queued_events and self._queued_events + len(events) > self._max_queued_events:
            raise Overloaded
        waiting = _PendingRequest(events, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued_events += len(events)
        self._start_batches()
        done, _ = await asyncio.wait({waiting.future}, timeout=self._queue_timeout_s)
        if not done and waiting in self._queue:
            self._remove_from_queue(waiting)
            raise Overloaded
        return await waiting.future

    async def close(self) -> None:
        """Wait until all submitted requests are answered."""
        while self._running_batches:
            await asyncio.wait(set(self._running_batches))

    def _start_batches(self) -> None:
        while self._queue and len(self._running_batches) < self._max_concurrent_batches:
            task = asyncio.create_task(self._run_batch(self._next_batch()))
            self._running_batches.add(task)
            task.add_done_callback(self._on_batch_done)

    def _on_batch_done(self, task: "asyncio.Task[None]") -> None:
        self._running_batches.discard(task)
        self._start_batches()

    def _next_batch(self) -> list[_PendingRequest]:
        """Take the first request from the queue, and as many more as fit into ``max_batch_events``."""
        batch: list[_PendingRequest] = []
        count = 0
        while self._queue and (not batch or count + len(self._queue[0].events) <= self._max_batch_events):
            waiting = self._queue.popleft()
            count += len(waiting.events)
            batch.append(waiting)
        self._queued_events -= count
        return batch

    def _remove_from_queue(self, waiting: _PendingRequest) -> None:
        self._queue.remove(waiting)
        self._queued_events -= len(waiting.events)

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
            behind = list(self._queue) if isinstance(error, Outage) else []
            for waiting in behind:
                self._remove_from_queue(waiting)
            for waiting in (*batch, *behind):
                _complete_request(waiting, error)
        elif len(batch) > 1:
            # One request may trigger a bug; the other requests of the batch must not fail with it.
            for waiting in batch:
                await self._run_batch([waiting])
        else:
            log.error("request_not_taken_in", error=type(error).__name__, exc_info=error)
            _complete_request(batch[0], error)


def _complete_request(waiting: _PendingRequest, outcome: list[IngestResult] | Exception) -> None:
    if waiting.future.done():
        return
    if isinstance(outcome, Exception):
        waiting.future.set_exception(outcome)
        # Retrieved here, so that a disconnected request causes no "never retrieved" warning.
        waiting.future.exception()
    else:
        waiting.future.set_result(outcome)
