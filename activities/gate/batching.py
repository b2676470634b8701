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

from activities.gate.send_gate import Answer, Case, Gate

log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Sittings: while Postgres works on one, this process works on the other."""

MOST = 16
"""Cases in one sitting: the people of the first stay locked until the last is decided on."""

GIVES_WAY_S = 0.02
"""Who waits for somebody's lock longer than this keeps no one else from being heard."""


@dataclass(slots=True, eq=False)
class _Waiting:
    case: Case
    answer: "asyncio.Future[Answer]"


class Sittings:
    """Hears cases by one gate. Build one per process; every case of its event loop belongs to it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._queue: deque[_Waiting] = deque()
        self._seats: dict[object, float] = {}
        """Those taken, and since when, by the loop's clock."""
        self._relief: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def hear(self, case: Case) -> Answer:
        """As ``Gate.hear``, and raises what it does: whatever the answer, it is committed when this returns.

        Who is cancelled while others are heard along leaves a claim that nobody uses, as a crash does.
        """
        if not self._seats and not self._queue:
            seat = self._take()
            try:
                return await self._gate.hear(case)
            finally:
                self._leave(seat)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(case, loop.create_future())
        self._queue.append(waiting)
        if len(self._queue) == 1:
            # Not at once: who comes at the same moment comes along.
            loop.call_soon(self._begin)
        return await waiting.answer

    def _take(self) -> object:
        seat = object()
        self._seats[seat] = asyncio.get_running_loop().time()
        return seat

    def _leave(self, seat: object) -> None:
        self._seats.pop(seat, None)
        self._begin()

    def _begin(self) -> None:
        while self._queue and len(self._seats) < AT_ONCE:
            called = [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]
            if there := [waiting for waiting in called if not waiting.answer.done()]:
                self._start(self._sit(there, self._take()))
        if self._queue and self._relief is None:
            self._relief = asyncio.get_running_loop().call_later(GIVES_WAY_S, self._relieve)

    def _relieve(self) -> None:
        self._relief = None
        late = asyncio.get_running_loop().time() - GIVES_WAY_S
        self._seats = {seat: since for seat, since in self._seats.items() if since > late}
        self._begin()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sit(self, there: Sequence[_Waiting], seat: object) -> None:
        try:
            if len(there) == 1:
                await self._hear_alone(there[0])
                return
            answers = await self._hear_together(there)
        finally:
            self._leave(seat)
        for waiting, answer in zip(there, answers, strict=True):
            if answer is None:
                self._start(self._hear_alone(waiting))
            else:
                _settle(waiting, answer)

    async def _hear_together(self, there: Sequence[_Waiting]) -> Sequence[Answer | Exception | None]:
        try:
            return await self._gate.hear_together([waiting.case for waiting in there])
        except OSError as error:
            # Postgres is away or too slow, for each of them as for all.
            return [error] * len(there)
        except Exception as error:
            # Each alone shows whose fault it was; the others must not pay for it.
            log.warning("sitting broken off", cases=len(there), error=repr(error)[:300])
            return [None] * len(there)

    async def _hear_alone(self, waiting: _Waiting) -> None:
        try:
            _settle(waiting, await self._gate.hear(waiting.case))
        except Exception as error:
            _settle(waiting, error)


def _settle(waiting: _Waiting, outcome: Answer | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
