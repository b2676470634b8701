"""Group commit: requests that arrive while a transaction is under way share the next one."""

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
    """More is waiting than may wait; nothing of this request was written."""


@dataclass(slots=True, eq=False)
class _PendingRequest:
    """One request's events, until their transaction has committed."""

    events: Sequence[IncomingEvent]
    future: "asyncio.Future[list[IngestResult]]"


class Batcher:
    """The way from the doors to ingest. Answers only after COMMIT, each request by its own events alone."""

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
        """``flights``: transactions at once; ``most``: events that requests may share one with;
        ``most_waiting``: events that may queue; ``patience_s``: how long a request may queue."""
        self._ingest, self._probe = ingest, probe
        self._max_concurrent_batches, self._max_batch_events, self._max_queued_events = (
            max_concurrent_batches,
            max_batch_events,
            max_queued_events,
        )
        self._queue_timeout_s = queue_timeout_s
        self._queue: deque[_PendingRequest] = deque()
        self._queued_events = 0
        self._running_batches: set[asyncio.Task[None]] = set()

    @property
    def queued_events(self) -> int:
        """Events that wait for a transaction to begin."""
        return self._queued_events

    async def submit(self, events: Sequence[IncomingEvent]) -> list[IngestResult]:
        """Take events in; answers in the same order, after COMMIT.

        Raises ``Overloaded`` when too much waits, ``Outage`` when Postgres is away; nothing was written then
        (or its COMMIT went unanswered; sending the same ids again is safe either way).
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
        """Wait until everything that was submitted is answered."""
        while self._running_batches:
            await asyncio.wait(set(self._running_batches))

    def _start_batches(self) -> None:
        while self._queue and len(self._running_batches) < self._max_concurrent_batches:
            flight = asyncio.create_task(self._run_batch(self._next_batch()))
            self._running_batches.add(flight)
            flight.add_done_callback(self._on_batch_done)

    def _on_batch_done(self, flight: "asyncio.Task[None]") -> None:
        self._running_batches.discard(flight)
        self._start_batches()

    def _next_batch(self) -> list[_PendingRequest]:
        """The requests that go together: in order of arrival, one at least, ``_most`` events at most."""
        aboard: list[_PendingRequest] = []
        count = 0
        while self._queue and (not aboard or count + len(self._queue[0].events) <= self._max_batch_events):
            waiting = self._queue.popleft()
            count += len(waiting.events)
            aboard.append(waiting)
        self._queued_events -= count
        return aboard

    def _remove_from_queue(self, waiting: _PendingRequest) -> None:
        self._queue.remove(waiting)
        self._queued_events -= len(waiting.events)

    async def _run_batch(self, aboard: list[_PendingRequest]) -> None:
        events = [event for waiting in aboard for event in waiting.events]
        try:
            answers = await retry_stale_connection(lambda: self._ingest(events), self._probe)
        except Exception as error:
            await self._handle_batch_error(aboard, error)
            return
        start = 0
        for waiting in aboard:
            _complete_request(waiting, answers[start : start + len(waiting.events)])
            start += len(waiting.events)

    async def _handle_batch_error(self, aboard: list[_PendingRequest], error: Exception) -> None:
        """Answer requests whose transaction failed; none of their events may pass for taken in."""
        if is_outage(error):
            # Whoever queues behind an outage would only wait for the same answer.
            behind = list(self._queue) if isinstance(error, Outage) else []
            for waiting in behind:
                self._remove_from_queue(waiting)
            for waiting in (*aboard, *behind):
                _complete_request(waiting, error)
        elif len(aboard) > 1:
            # A defect of ours that one request has met: the others must not pay for it.
            for waiting in aboard:
                await self._run_batch([waiting])
        else:
            log.error("request_not_taken_in", error=type(error).__name__, exc_info=error)
            _complete_request(aboard[0], error)


def _complete_request(waiting: _PendingRequest, outcome: list[IngestResult] | Exception) -> None:
    if waiting.future.done():
        return
    if isinstance(outcome, Exception):
        waiting.future.set_exception(outcome)
        # Read once here, so that a request that has gone away leaves no "never retrieved" warning.
        waiting.future.exception()
    else:
        waiting.future.set_result(outcome)
