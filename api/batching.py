"""Group commit: requests that arrive while a transaction is under way share the next one."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from api.http.outage import Outage, Probe, is_outage, persistent
from profiles.ingest.event_store import Ingested
from profiles.state.event_records import IncomingEvent

log = structlog.get_logger(__name__)

IngestCall = Callable[[Sequence[IncomingEvent]], Coroutine[Any, Any, list[Ingested]]]


class Overloaded(Exception):
    """More is waiting than may wait; nothing of this request was written."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One request's events, until their transaction has committed."""

    events: Sequence[IncomingEvent]
    answer: "asyncio.Future[list[Ingested]]"


class Batcher:
    """The way from the doors to ingest. Answers only after COMMIT, each request by its own events alone."""

    def __init__(
        self,
        ingest: IngestCall,
        probe: Probe,
        *,
        flights: int = 2,
        most: int = 500,
        most_waiting: int = 5000,
        patience_s: float = 5.0,
    ) -> None:
        """``flights``: transactions at once; ``most``: events that requests may share one with;
        ``most_waiting``: events that may queue; ``patience_s``: how long a request may queue."""
        self._ingest, self._probe = ingest, probe
        self._most_flights, self._most, self._most_waiting = flights, most, most_waiting
        self._patience_s = patience_s
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._flights: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        """Events that wait for a transaction to begin."""
        return self._queued

    async def submit(self, events: Sequence[IncomingEvent]) -> list[Ingested]:
        """Take events in; answers in the same order, after COMMIT.

        Raises ``Overloaded`` when too much waits, ``Outage`` when Postgres is away; nothing was written then
        (or its COMMIT went unanswered; sending the same ids again is safe either way).
        """
        if not events:
            return []
        if self._queued and self._queued + len(events) > self._most_waiting:
            raise Overloaded
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued += len(events)
        self._launch()
        done, _ = await asyncio.wait({waiting.answer}, timeout=self._patience_s)
        if not done and waiting in self._queue:
            self._withdraw(waiting)
            raise Overloaded
        return await waiting.answer

    async def close(self) -> None:
        """Wait until everything that was submitted is answered."""
        while self._flights:
            await asyncio.wait(set(self._flights))

    def _launch(self) -> None:
        while self._queue and len(self._flights) < self._most_flights:
            flight = asyncio.create_task(self._fly(self._board()))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        self._launch()

    def _board(self) -> list[_Waiting]:
        """The requests that go together: in order of arrival, one at least, ``_most`` events at most."""
        aboard: list[_Waiting] = []
        count = 0
        while self._queue and (not aboard or count + len(self._queue[0].events) <= self._most):
            waiting = self._queue.popleft()
            count += len(waiting.events)
            aboard.append(waiting)
        self._queued -= count
        return aboard

    def _withdraw(self, waiting: _Waiting) -> None:
        self._queue.remove(waiting)
        self._queued -= len(waiting.events)

    async def _fly(self, aboard: list[_Waiting]) -> None:
        events = [event for waiting in aboard for event in waiting.events]
        try:
            answers = await persistent(lambda: self._ingest(events), self._probe)
        except Exception as error:
            await self._ditch(aboard, error)
            return
        start = 0
        for waiting in aboard:
            _settle(waiting, answers[start : start + len(waiting.events)])
            start += len(waiting.events)

    async def _ditch(self, aboard: list[_Waiting], error: Exception) -> None:
        """Answer requests whose transaction failed; none of their events may pass for taken in."""
        if is_outage(error):
            # Whoever queues behind an outage would only wait for the same answer.
            behind = list(self._queue) if isinstance(error, Outage) else []
            for waiting in behind:
                self._withdraw(waiting)
            for waiting in (*aboard, *behind):
                _settle(waiting, error)
        elif len(aboard) > 1:
            # A defect of ours that one request has met: the others must not pay for it.
            for waiting in aboard:
                await self._fly([waiting])
        else:
            log.error("request_not_taken_in", error=type(error).__name__, exc_info=error)
            _settle(aboard[0], error)


def _settle(waiting: _Waiting, outcome: list[Ingested] | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
        # Read once here, so that a request that has gone away leaves no "never retrieved" warning.
        waiting.answer.exception()
    else:
        waiting.answer.set_result(outcome)
