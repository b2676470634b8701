"""Messages that are asked for while others are decided on are heard in one sitting: one transaction for all.

A lone one is heard at once, as if there were no sittings. Under load most of what a decision costs is round
trips, the start of its reading and COMMIT; a sitting pays for them once.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from activities.gate.send_gate import GateOutcome, GateRequest, SendGate

log = structlog.get_logger(__name__)

MAX_CONCURRENT_BATCHES = 2
"""Sittings: while Postgres works on one, this process works on the other."""

MAX_BATCH_SIZE = 16
"""Cases in one sitting: the people of the first stay locked until the last is decided on."""

SLOW_BATCH_S = 0.02
"""Who waits for somebody's lock longer than this keeps no one else from being heard."""


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    request: GateRequest
    future: "asyncio.Future[GateOutcome]"


class GateBatcher:
    """Hears cases by one gate. Build one per process; every case of its event loop belongs to it."""

    def __init__(self, gate: SendGate) -> None:
        self._gate = gate
        self._queue: deque[_QueuedRequest] = deque()
        self._slots: dict[object, float] = {}
        """Those taken, and since when, by the loop's clock."""
        self._slow_batch_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def decide(self, request: GateRequest) -> GateOutcome:
        """As ``Gate.hear``, and raises what it does: whatever the answer, it is committed when this returns.

        Who is cancelled while others are heard along leaves a claim that nobody uses, as a crash does.
        """
        if not self._slots and not self._queue:
            seat = self._acquire_slot()
            try:
                return await self._gate.decide(request)
            finally:
                self._release_slot(seat)
        loop = asyncio.get_running_loop()
        waiting = _QueuedRequest(request, loop.create_future())
        self._queue.append(waiting)
        if len(self._queue) == 1:
            # Not at once: who comes at the same moment comes along.
            loop.call_soon(self._start_batches)
        return await waiting.future

    def _acquire_slot(self) -> object:
        seat = object()
        self._slots[seat] = asyncio.get_running_loop().time()
        return seat

    def _release_slot(self, seat: object) -> None:
        self._slots.pop(seat, None)
        self._start_batches()

    def _start_batches(self) -> None:
        while self._queue and len(self._slots) < MAX_CONCURRENT_BATCHES:
            called = [self._queue.popleft() for _ in range(min(MAX_BATCH_SIZE, len(self._queue)))]
            if there := [waiting for waiting in called if not waiting.future.done()]:
                self._create_task(self._run_batch(there, self._acquire_slot()))
        if self._queue and self._slow_batch_timer is None:
            self._slow_batch_timer = asyncio.get_running_loop().call_later(
                SLOW_BATCH_S, self._release_slow_slots
            )

    def _release_slow_slots(self) -> None:
        self._slow_batch_timer = None
        late = asyncio.get_running_loop().time() - SLOW_BATCH_S
        self._slots = {seat: since for seat, since in self._slots.items() if since > late}
        self._start_batches()

    def _create_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_batch(self, there: Sequence[_QueuedRequest], seat: object) -> None:
        try:
            if len(there) == 1:
                await self._decide_alone(there[0])
                return
            answers = await self._decide_batch(there)
        finally:
            self._release_slot(seat)
        for waiting, answer in zip(there, answers, strict=True):
            if answer is None:
                self._create_task(self._decide_alone(waiting))
            else:
                _set_result(waiting, answer)

    async def _decide_batch(
        self, there: Sequence[_QueuedRequest]
    ) -> Sequence[GateOutcome | Exception | None]:
        try:
            return await self._gate.decide_batch([waiting.request for waiting in there])
        except OSError as error:
            # Postgres is away or too slow, for each of them as for all.
            return [error] * len(there)
        except Exception as error:
            # Each alone shows whose fault it was; the others must not pay for it.
            log.warning("sitting broken off", cases=len(there), error=repr(error)[:300])
            return [None] * len(there)

    async def _decide_alone(self, waiting: _QueuedRequest) -> None:
        try:
            _set_result(waiting, await self._gate.decide(waiting.request))
        except Exception as error:
            _set_result(waiting, error)


def _set_result(waiting: _QueuedRequest, outcome: GateOutcome | Exception) -> None:
    if waiting.future.done():
        return
    if isinstance(outcome, Exception):
        waiting.future.set_exception(outcome)
    else:
        waiting.future.set_result(outcome)
