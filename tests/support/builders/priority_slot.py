"""A message that waits for the slot of a capped channel, and what the gate answers to a request."""

from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, NotAllowed, SendClaim, SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.limits import Cap, Limits
from policy.verdict import Channel, Defer, MessageClass, Reason, Verdict
from tests.support.environments.gate import GateHarness, shopper

DAY = timedelta(days=1)


async def asked(
    gate_env: GateHarness, gate: SendGate, request: SendMessage, topic: str, at: datetime = DEFAULT_START
) -> SendClaim | Verdict:
    """What the gate says of marketing about a topic."""
    answer = await gate.decide(GateRequest(request, MessageClass.MARKETING, topic, at))
    assert isinstance(answer, SendClaim | NotAllowed)
    return answer if isinstance(answer, SendClaim) else answer.verdict


SLOT = Limits(caps=(Cap(1, DAY, Channel.EMAIL),), quiet_hours={}, priorities={"win-back": 10})


async def one_waits(gate_env: GateHarness) -> tuple[SendMessage, datetime, UUID]:
    """Somebody got a mail; another, more important one waits until it no longer counts. And a second cart."""
    mine = await gate_env.one_cart()
    theirs = await gate_env.leaves_cart(["chair"], cart_id="c-2", **shopper(1))
    gate_env.gate = SendGate(gate_env.database, SLOT)
    assert await gate_env.allowed(gate_env.ask(theirs, "first", "chair")) == ("chair",)
    request = gate_env.ask(mine, "important", "lamp", at=DEFAULT_START + DAY).model_copy(
        update={"journey": "win-back", "when_capped": "wait"}
    )
    verdict = await asked(gate_env, gate_env.gate, request, "marketing", DEFAULT_START + DAY / 2)
    assert isinstance(verdict, Defer)
    assert (verdict.reason, verdict.until) == (Reason.CAPPED, DEFAULT_START + DAY)
    return request, verdict.until, theirs
