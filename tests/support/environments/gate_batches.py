"""Sittings: cases that come at the same moment are decided on in one transaction, each as if alone."""

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
    """The gate; remembers how many cases came together."""

    def __init__(self, shop: GateHarness, limits: Limits = UNLIMITED) -> None:
        super().__init__(shop.database, limits)
        self.together: list[int] = []
        self.alone = 0

    async def hear(self, case: GateRequest) -> GateOutcome:
        """As ever."""
        self.alone += 1
        return await super().decide(case)

    async def hear_together(self, cases: Sequence[GateRequest]) -> list[GateOutcome | None]:
        """As ever."""
        self.together.append(len(cases))
        return await super().decide_batch(cases)


async def runs_of(shop: GateHarness, people: int = PEOPLE) -> list[UUID]:
    """A cart with a lamp of each."""
    return [await shop.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(people)]


def case(request: SendMessage) -> GateRequest:
    """Marketing at noon."""
    return GateRequest(request, MessageClass.MARKETING, "marketing", DEFAULT_START)


async def opened(shop: GateHarness, gate: SendGate) -> tuple[GateBatcher, "asyncio.Task[GateOutcome]"]:
    """Sittings in which somebody else is heard already, so that whoever comes next has to wait."""
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-first", **shopper(99))
    sittings = GateBatcher(gate)
    first = asyncio.create_task(sittings.decide(case(shop.ask(run_id, "first", "lamp"))))
    await asyncio.sleep(0)
    return sittings, first


async def heard(shop: GateHarness, gate: SendGate, *requests: SendMessage) -> list[Any]:
    """What each is told, or what it raises, where all of them come at the same moment after a first one."""
    sittings, first = await opened(shop, gate)
    told = await asyncio.gather(*(sittings.decide(case(one)) for one in requests), return_exceptions=True)
    assert isinstance(await first, SendClaim)
    return told
