"""Invariant 5: from the commit of a withdrawal, by whichever door, no gate of any process lets one out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, SendClaim, SendGate
from policy.limits import Limits
from policy.verdict import Channel, MessageClass
from profiles.consent import effective
from profiles.db.database import Database
from profiles.state.unit_of_work import UnitOfWork
from tests.support.deadlines import scaled
from tests.support.environments.api import ADMIN, OpenApi, event, opened
from tests.support.environments.ingest import CARTS, IngestHarness
from tests.support.faults.unlocked_gate import Pause, unlock_gate
from tests.support.generators.hostile_sender import HostileSender
from tests.support.queries.consent import may_mail, run_of

JOURNEYS = (CARTS,)

MAIL, PHONE = "ada@example.com", "+4915112345678"

UNLIMITED = Limits(caps=(), quiet_hours={})

NO = {"channel": "email", "state": "withdrawn"}

ALLOWED_AFTER = """
SELECT d.step FROM decision d JOIN consent c ON c.profile_id = d.profile_id AND c.state = 'withdrawn'
WHERE d.verdict = 'allow' AND pg_xact_commit_timestamp(d.xmin) > pg_xact_commit_timestamp(c.xmin)
"""
"""By Postgres's own order of commits."""


@dataclass
class WithdrawalRace:
    """Somebody with a yes to all, and two processes that ask for one message after the other."""

    facts: IngestHarness
    api: OpenApi
    gates: tuple[SendGate, SendGate]
    run_id: UUID
    message_id: UUID
    channel: Channel = Channel.EMAIL
    allowed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answered: asyncio.Condition = field(default_factory=asyncio.Condition)
    over: bool = False

    async def claim(self, step: str, gate: SendGate) -> None:
        now = datetime.now(UTC)
        request = SendMessage(
            run_id=str(self.run_id),
            step=step,
            journey="carts",
            template="reminder",
            channel=self.channel,
            promoting=None,
            expires_at=now + timedelta(days=2),
        )
        answer = await gate.decide(GateRequest(request, MessageClass.MARKETING, "marketing", now))
        async with self.answered:
            (self.allowed if isinstance(answer, SendClaim) else self.refused).append(step)
            self.answered.notify_all()

    async def ask(self, number: int) -> None:
        count = 0
        while not self.over:
            count += 1
            await self.claim(f"{number}-{count}", self.gates[number])

    async def until(self, answers: list[str], more: int) -> None:
        wanted = len(answers) + more
        async with asyncio.timeout(scaled(20)), self.answered:
            await self.answered.wait_for(lambda: len(answers) >= wanted)

    async def run(self, withdraw: Callable[["WithdrawalRace"], Awaitable[Any]]) -> None:
        askers = [asyncio.create_task(self.ask(number)) for number in range(2)]
        try:
            await self.until(self.allowed, 6)
            await withdraw(self)
            await self.until(self.refused, 6)
        finally:
            self.over = True
            await asyncio.gather(*askers)

    def link(self, profile_id: UUID) -> str:
        return self.api.doors.preference_tokens.issue(
            str(profile_id), str(self.message_id), "email", "marketing"
        )


async def by_the_api(race: WithdrawalRace) -> None:
    path = f"/v1/profiles/email/{MAIL}/consents"
    answer = await race.api.client.put(path, json=NO, headers=ADMIN)
    assert answer.status_code == 200, answer.text


async def by_one_click(race: WithdrawalRace) -> None:
    answer = await race.api.client.post(f"/unsubscribe/{race.link(await race.facts.who('email', MAIL))}")
    assert answer.status_code == 200


async def by_the_page(race: WithdrawalRace) -> None:
    link = race.link(await race.facts.who("email", MAIL))
    answer = await race.api.client.post(f"/preferences/{link}", data={"form": "preferences", "nothing": "on"})
    assert answer.status_code == 200


async def by_a_reply(race: WithdrawalRace) -> None:
    said = {"channel": "sms", "identifiers": {}, "properties": {"from": PHONE, "text": "STOP"}}
    await race.api.results("/v1/events", event("Message Replied", **said))


async def by_traits(race: WithdrawalRace) -> None:
    said = {"identifiers": {"email": MAIL}, "traits": {"consents": {"email": {"granted": False}}}}
    await race.api.results("/v1/events", event("Account Updated", **said))


async def by_the_message(race: WithdrawalRace) -> None:
    said = {"identifiers": {}, "properties": {"message_id": str(race.message_id)}}
    await race.api.results("/v1/events", event("Message Unsubscribed", **said))


DOORS = (by_the_api, by_one_click, by_the_page, by_a_reply, by_traits, by_the_message)


@pytest_asyncio.fixture(loop_scope="session")
async def race(ordered_database_url: str) -> AsyncIterator[WithdrawalRace]:
    """On a database of its own that keeps the order of commits, with a pool a process."""
    pools = [Database(ordered_database_url) for _ in range(3)]
    facts = IngestHarness(pools[0], CARTS)
    run_id = await run_of(facts, email=MAIL, phone=PHONE)
    await facts.happens(
        "Signed Up", traits={"consents": {"email": True, "sms": True}}, email=MAIL, phone=PHONE
    )
    message_id = await facts.sent(run_id, MAIL)
    async with opened(ordered_database_url) as api:
        yield WithdrawalRace(
            facts, api, (SendGate(pools[1], UNLIMITED), SendGate(pools[2], UNLIMITED)), run_id, message_id
        )
    for pool in pools:
        await pool.close()


@pytest.mark.proof
@pytest.mark.parametrize("withdraw", DOORS)
@pytest.mark.parametrize("hostile", [False, True], ids=["among honest senders", "with a hostile sender"])
async def test_invariant_5_no_gate_allows_after_a_withdrawal_has_committed(
    race: WithdrawalRace, withdraw: Callable[[WithdrawalRace], Awaitable[None]], hostile: bool
) -> None:
    race.channel = Channel.SMS if withdraw is by_a_reply else Channel.EMAIL
    stranger = HostileSender(race.facts.ingest, [{"email": MAIL, "phone": PHONE}], ["lamp"])
    async with stranger if hostile else nullcontext():
        await race.run(withdraw)

    assert await race.facts.values(ALLOWED_AFTER) == []
    assert len(race.allowed) >= 6
    assert len(race.refused) >= 6
    reasons = await race.facts.values("SELECT DISTINCT reason FROM decision WHERE verdict <> 'allow'")
    assert reasons == ["opted_out"]


async def test_invariant_5_fails_where_the_gate_reads_without_the_lock(
    race: WithdrawalRace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: a withdrawal commits between the reading and the claim."""
    pause = Pause()
    unlock_gate(monkeypatch, then=pause)
    claim = asyncio.create_task(race.claim("late", race.gates[0]))
    await pause.reached.wait()
    await by_the_api(race)
    pause.go_on.set()
    await claim

    assert await race.facts.values(ALLOWED_AFTER) == ["late"]


ADA = "ada@example.com"


YES = {"consents": {"email": True, "sms": True}}


async def test_invariant_5_an_address_that_joins_the_person_later_is_covered_by_their_word(
    facts: IngestHarness,
) -> None:
    run_id = await run_of(facts, email=ADA, user_id="42")
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, user_id="42")
    await facts.happens("Account Updated", email="second@example.com", user_id="42")

    assert "opted_out" in await may_mail(facts, run_id)


async def a_stranger_with_the_address(facts: IngestHarness) -> UUID:
    """The first owner withdrew and was forgotten; then somebody else comes by the same address, and says yes
    on another channel. Their run."""
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, email=ADA)
    await facts.rows("DELETE FROM identifier")
    run_id = await run_of(facts, user_id="stranger")
    await facts.happens("Checkout Started", {"cart_id": "c-9"}, email=ADA, user_id="stranger")
    return run_id


async def test_invariant_5_the_opt_out_stays_with_the_address_when_another_profile_gets_it(
    facts: IngestHarness,
) -> None:

    assert await may_mail(facts, await a_stranger_with_the_address(facts)) == ["opted_out"]


async def test_invariant_5_without_the_mark_on_the_address_the_stranger_would_be_mailed(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: the word kept with the profile alone."""
    monkeypatch.setattr(UnitOfWork, "opt_out", lambda *_: None)
    monkeypatch.setattr(effective, "recompute_opt_outs", lambda *_: ([], []))

    assert await may_mail(facts, await a_stranger_with_the_address(facts)) == []


async def test_invariant_5_without_the_persons_state_a_second_address_would_be_mailed(
    facts: IngestHarness,
) -> None:
    """Teeth: the word kept with the addresses alone that there were when it was said."""
    await facts.happens("Identified", email=ADA, user_id="42")
    run_id = await run_of(facts, user_id="42")
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, user_id="42")
    await facts.happens("Checkout Started", {"cart_id": "c-9"}, email="second@example.com", user_id="42")
    assert "opted_out" in await may_mail(facts, run_id)
    await facts.rows("DELETE FROM consent_state")
    await facts.rows("DELETE FROM opt_out WHERE address = 'second@example.com'")

    assert await may_mail(facts, run_id) == []


async def test_invariant_5_an_opt_out_is_in_force_from_its_commit(facts: IngestHarness) -> None:
    run_id = await run_of(facts, email=ADA)
    await facts.happens("Signed Up", traits=YES, email=ADA)
    assert await may_mail(facts, run_id) == []
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, email=ADA)

    assert await may_mail(facts, run_id) == ["opted_out", "no_consent"]
