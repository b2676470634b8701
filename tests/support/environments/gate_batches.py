"""A gate that counts its gate batches, and requests to it that come at the same moment."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.batching import GateBatcher
from activities.gate.send_gate import GateOutcome, GateRequest, SendClaim, SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.limits import Limits
from policy.verdict import MessageClass
from tests.support.environments.gate import UNLIMITED, GateHarness, shopper

PEOPLE = 5


class CountingGate(SendGate):
    """The gate; records the sizes of its batches, and how many requests it decided on alone."""

    def __init__(self, gate_env: GateHarness, limits: Limits = UNLIMITED) -> None:
        super().__init__(gate_env.database, limits)
        self.together: list[int] = []
        self.alone = 0

    async def decide(self, request: GateRequest) -> GateOutcome:
        """As ever."""
        self.alone += 1
        return await super().decide(request)

    async def decide_batch(self, requests: Sequence[GateRequest]) -> list[GateOutcome | None]:
        """As ever."""
        self.together.append(len(requests))
        return await super().decide_batch(requests)


async def runs_of(gate_env: GateHarness, people: int = PEOPLE) -> list[UUID]:
    """A cart with a lamp of each."""
    return [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(people)]


def case(request: SendMessage) -> GateRequest:
    """Marketing at noon."""
    return GateRequest(request, MessageClass.MARKETING, "marketing", DEFAULT_START)


async def opened(gate_env: GateHarness, gate: SendGate) -> tuple[GateBatcher, "asyncio.Task[GateOutcome]"]:
    """A batcher in which one request is being decided on already, so that the next ones form a gate batch."""
    run_id = await gate_env.leaves_cart(["lamp"], cart_id="c-first", **shopper(99))
    batcher = GateBatcher(gate)
    first = asyncio.create_task(batcher.decide(case(gate_env.ask(run_id, "first", "lamp"))))
    await asyncio.sleep(0)
    return batcher, first


async def heard(gate_env: GateHarness, gate: SendGate, *requests: SendMessage) -> list[Any]:
    """What each is told, or what it raises, where all of them come at the same moment after a first one."""
    batcher, first = await opened(gate_env, gate)
    told = await asyncio.gather(*(batcher.decide(case(one)) for one in requests), return_exceptions=True)
    assert isinstance(await first, SendClaim)
    return told
