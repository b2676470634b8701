"""Group commit for gate decisions: requests that arrive during a transaction share the next one.

A request that arrives while no other is in progress gets its own transaction at once. Under load most of a
decision's cost is round trips, the start of its reads and COMMIT; a batch has these once.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from activities.gate.send_gate import GateOutcome, GateRequest, NotAllowed, PriorAttempt, SendClaim, SendGate
from policy.verdict import Withhold
from profiles.error_description import describe_error

log = structlog.get_logger(__name__)

MAX_CONCURRENT_BATCHES = 2
"""While Postgres works on one batch, this process works on the other."""

MAX_BATCH_SIZE = 16
"""Requests in one batch. The profile of the first stays locked until the last is decided."""

SLOW_BATCH_S = 0.02
"""Seconds after which a batch, which may wait for a lock, no longer counts as concurrent."""


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    request: GateRequest
    future: "asyncio.Future[GateOutcome]"
    is_taken: bool = False
    """Whether a transaction for it has begun."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its outcome is known, and its claim is released where the caller was cancelled."""


class GateBatcher:
    """Batches the requests to one gate. One instance per process, for all requests of its event loop."""

    def __init__(self, gate: SendGate) -> None:
        self._gate = gate
        self._queue: deque[_QueuedRequest] = deque()
        self._slots: dict[object, float] = {}
        """Slot in use → since when, by the loop's clock."""
        self._slow_batch_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def decide(self, request: GateRequest) -> GateOutcome:
        """Decide as ``SendGate.decide``, with its errors; the outcome is committed when this returns.

        Cancelled before its batch is taken, it is not decided. Cancelled later, it waits for the outcome and
        releases its claim, as the caller will not use it.
        """
        loop = asyncio.get_running_loop()
        waiting = _QueuedRequest(request, loop.create_future())
        if not self._slots and not self._queue:
            waiting.is_taken = True
            self._create_task(self._run_batch([waiting], self._acquire_slot()))
        else:
            self._queue.append(waiting)
            if len(self._queue) == 1:
                # At the loop's next iteration, so that requests of the same moment share the batch.
                loop.call_soon(self._start_batches)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            if waiting.is_taken:
                await waiting.settled.wait()
            raise

    async def withhold(self, request: GateRequest, verdict: Withhold) -> NotAllowed | PriorAttempt:
        """Record a message as withheld, as ``SendGate.withhold``. Not batched, as it is rare."""
        return await self._gate.withhold(request, verdict)

    def _acquire_slot(self) -> object:
        slot = object()
        self._slots[slot] = asyncio.get_running_loop().time()
        return slot

    def _release_slot(self, slot: object) -> None:
        self._slots.pop(slot, None)
        self._start_batches()

    def _start_batches(self) -> None:
        while self._queue and len(self._slots) < MAX_CONCURRENT_BATCHES:
            batch = [self._queue.popleft() for _ in range(min(MAX_BATCH_SIZE, len(self._queue)))]
            if live := [waiting for waiting in batch if not waiting.future.done()]:
                for waiting in live:
                    waiting.is_taken = True
                self._create_task(self._run_batch(live, self._acquire_slot()))
        if self._queue and self._slow_batch_timer is None:
            self._slow_batch_timer = asyncio.get_running_loop().call_later(
                SLOW_BATCH_S, self._release_slow_slots
            )

    def _release_slow_slots(self) -> None:
        self._slow_batch_timer = None
        latest_start = asyncio.get_running_loop().time() - SLOW_BATCH_S
        self._slots = {slot: since for slot, since in self._slots.items() if since > latest_start}
        self._start_batches()

    def _create_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_batch(self, batch: Sequence[_QueuedRequest], slot: object) -> None:
        try:
            if len(batch) == 1:
                await self._decide_alone(batch[0])
                return
            answers = await self._decide_batch(batch)
        except BaseException:
            # The process stops; no caller may wait for an outcome that does not come.
            for waiting in batch:
                waiting.settled.set()
            raise
        finally:
            self._release_slot(slot)
        for waiting, answer in zip(batch, answers, strict=True):
            if answer is None:
                self._create_task(self._decide_alone(waiting))
            else:
                self._set_result(waiting, answer)

    async def _decide_batch(
        self, batch: Sequence[_QueuedRequest]
    ) -> Sequence[GateOutcome | Exception | None]:
        try:
            return await self._gate.decide_batch([waiting.request for waiting in batch])
        except OSError as error:
            # Postgres is unreachable or too slow, so single requests would fail too.
            return [error] * len(batch)
        except Exception as error:
            # Decide each request alone, so that only the faulty ones fail.
            log.warning("gate batch failed", cases=len(batch), error=describe_error(error))
            return [None] * len(batch)

    async def _decide_alone(self, waiting: _QueuedRequest) -> None:
        if waiting.future.done():
            waiting.settled.set()
            return
        try:
            outcome: GateOutcome | Exception = await self._gate.decide(waiting.request)
        except Exception as error:
            outcome = error
        except BaseException:
            waiting.settled.set()
            raise
        self._set_result(waiting, outcome)

    def _set_result(self, waiting: _QueuedRequest, outcome: GateOutcome | Exception) -> None:
        if waiting.future.done():
            # The caller was cancelled meanwhile.
            if isinstance(outcome, SendClaim):
                self._create_task(self._release_claim(waiting, outcome))
                return
        elif isinstance(outcome, Exception):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome)
        waiting.settled.set()

    async def _release_claim(self, waiting: _QueuedRequest, claim: SendClaim) -> None:
        try:
            await self._gate.release_unused(claim)
        except Exception as error:
            # The sweep of old claims settles it.
            message_id = str(claim.message_id)
            log.warning("unused claim not released", message_id=message_id, error=repr(error)[:300])
        finally:
            waiting.settled.set()
