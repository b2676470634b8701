"""A send that stands still at one of its steps while something else is committed, and goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import pytest

from activities.channels.adapter import Accepted, NotSent, OutgoingMessage
from activities.contracts import SendMessage, SendResult
from activities.gate.send_gate import GateOutcome, GateRequest, SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.limits import Limits
from policy.verdict import Channel
from profiles.db.database import Database
from tests.support.environments.gate import GateHarness, PausedCommitDatabase
from tests.support.fakes.recording_provider import RecordingProvider

Result = TypeVar("Result")

CAPS_ONLY = Limits(quiet_hours={})

LATER = DEFAULT_START + timedelta(minutes=7)

Change = Callable[[Database], Awaitable[Any]]
"""One transaction on the pool that is given."""


class SendStep(StrEnum):
    """Where a send may be."""

    UNCLAIMED = "before the claim"
    WAITING = "waits for the lock"
    CLAIMED = "claimed"
    CALLING = "calling"
    REFUSED = "refused"
    """By the provider, after the change: given back, and tried again."""
    ACCEPTED = "accepted"
    KILLED = "killed"
    """Accepted; the worker is gone before it can record that."""
    RECORDED = "recorded"

    @property
    def decided_after(self) -> bool:
        """Whether the gate decides (again) when the change has been committed."""
        return self in (SendStep.UNCLAIMED, SendStep.WAITING, SendStep.REFUSED)


class Pausing(SendGate):
    """The gate, with a stop between its COMMIT and its answer."""

    def __init__(self, database: Database, limits: Limits) -> None:
        super().__init__(database, limits)
        self.decided, self.go_on = asyncio.Event(), asyncio.Event()

    async def decide(self, case: GateRequest) -> GateOutcome:
        """As ever, and then wait."""
        answer = await super().decide(case)
        self.decided.set()
        await self.go_on.wait()
        return answer


class Ringing(RecordingProvider):
    """A provider that may let a call hang before it takes the message."""

    def __init__(self, channel: Channel, database: Database) -> None:
        super().__init__(channel, database)
        self.rings, self.picks_up = asyncio.Event(), asyncio.Event()
        self.picks_up.set()

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Hang until it is picked up, then go on as ever."""
        self.rings.set()
        await self.picks_up.wait()
        return await super().deliver(outgoing)


async def sends_through(
    gate_env: GateHarness, request: SendMessage, step: SendStep, change: Change
) -> SendResult | None:
    """One attempt, with ``change`` committed while it stands at ``step``; None: no answer came."""
    if step is SendStep.UNCLAIMED:
        await change(gate_env.database)
        return await gate_env.sends(request)
    if step is SendStep.RECORDED:
        sent = await gate_env.sends(request)
        await change(gate_env.database)
        return sent
    if step is SendStep.WAITING:
        return await waits_for(gate_env, change, gate_env.sends(request))
    if step is SendStep.CLAIMED:
        return await _claimed(gate_env, request, change)
    return await _at_the_provider(gate_env, request, step, change)


async def waits_for(gate_env: GateHarness, change: Change, effect: Coroutine[Any, Any, Result]) -> Result:
    """What comes of ``effect`` where it waits for the lock that ``change`` holds until it commits."""
    held = PausedCommitDatabase(gate_env.url)
    changing = asyncio.ensure_future(change(held))
    await held.worked.wait()
    waiting = asyncio.create_task(effect)
    assert await gate_env.someone_waits_for_a_lock(or_done=waiting), "nothing waited for the change"
    held.may_commit.set()
    await changing
    await held.close()
    return await waiting


async def _claimed(gate_env: GateHarness, request: SendMessage, change: Change) -> SendResult:
    gate = Pausing(gate_env.database, CAPS_ONLY)
    sending = asyncio.create_task(gate_env.sends(request, sender=gate_env.sender(gate=gate)))
    await gate.decided.wait()
    await change(gate_env.database)
    gate.go_on.set()
    with pytest.MonkeyPatch.context() as patient:
        # The change may take its time; a claim that is too old would be given back instead.
        patient.setattr("activities.send_message.MAX_CLAIM_AGE_S", 3600.0)
        return await sending


async def _at_the_provider(
    gate_env: GateHarness, request: SendMessage, step: SendStep, change: Change
) -> SendResult | None:
    provider = gate_env.ledgers[request.channel]
    assert isinstance(provider, Ringing)
    stands = provider.called if step in (SendStep.ACCEPTED, SendStep.KILLED) else provider.rings
    stands.clear()
    if stands is provider.rings:
        provider.picks_up.clear()
    else:
        provider.holding = asyncio.Event()
    if step is SendStep.REFUSED:
        provider.answers = [NotSent("connection refused")]
    sending = asyncio.create_task(gate_env.sends(request))
    await stands.wait()
    await change(gate_env.database)
    if step is SendStep.KILLED:
        sending.cancel()
        await asyncio.wait([sending])
    provider.picks_up.set()
    if provider.holding is not None:
        provider.holding.set()
    await asyncio.wait([sending])
    if step is SendStep.REFUSED:
        assert "given back" in str(sending.exception())
    return sending.result() if step in (SendStep.CALLING, SendStep.ACCEPTED) else None
