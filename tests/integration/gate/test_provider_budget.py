"""A channel's budget by the minute as Postgres counts it, and a provider that rests after failures."""

from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError

from activities.channels.adapter import MaybeSent, NotSent
from activities.channels.circuit_breaker import CircuitBreakers
from activities.contracts import SendStatus
from activities.gate.send_gate import NotAllowed, SendClaim, SendGate
from activities.send_message import MessageActivities
from authoring.testing.calendar import DEFAULT_START
from policy.limits import BreakerRule, Budget, Limits
from policy.verdict import Channel, Reason
from tests.support.environments.gate import GateHarness, shopper

TWO_A_MINUTE = Limits(caps=(), quiet_hours={}, budgets={Channel.EMAIL: Budget(2)})

SECOND = timedelta(seconds=1)


async def three_sends(gate_env: GateHarness, sender: MessageActivities) -> list[UUID]:
    """The runs of four people, of whom three were sent a reminder, as far as the provider took it."""
    runs = [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(4)]
    for run_id in runs[:3]:
        try:
            await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"), sender=sender)
        except ApplicationError:
            continue
    return runs


async def test_a_spent_budget_defers_and_the_next_minute_has_room_again(gate_env: GateHarness) -> None:
    gate = SendGate(gate_env.database, TWO_A_MINUTE)
    runs = [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(4)]
    answers = [
        await gate_env.claims(gate_env.ask(run_id, "reminder", "lamp"), gate=gate) for run_id in runs[:3]
    ]
    by_sms = gate_env.ask(runs[3], "reminder", "lamp", channel=Channel.SMS)
    elsewhere = await gate_env.claims(by_sms, gate=gate)
    refused = answers[2]
    later = DEFAULT_START + 61 * SECOND
    after = await gate_env.claims(gate_env.ask(runs[2], "reminder", "lamp"), gate=gate, at=later)

    assert [SendClaim, SendClaim, NotAllowed] == [type(answer) for answer in answers]
    assert isinstance(refused, NotAllowed)
    assert refused.verdict.reason is Reason.PROVIDER_BUDGET  # type: ignore[union-attr]
    assert isinstance(elsewhere, SendClaim)
    assert isinstance(after, SendClaim)


async def test_what_was_given_back_does_not_count_and_one_key_does_not_count_twice(
    gate_env: GateHarness,
) -> None:
    gate = SendGate(gate_env.database, Limits(caps=(), quiet_hours={}, budgets={Channel.EMAIL: Budget(1)}))
    sender = gate_env.sender(gate=gate)
    _, request = await gate_env.reminder()
    gate_env.ledgers[Channel.EMAIL].answers = [NotSent("refused")]
    with pytest.raises(ApplicationError, match="given back"):
        await gate_env.sends(request, sender=sender)

    assert (await gate_env.sends(request, sender=sender)).status is SendStatus.SENT


async def test_a_spent_budget_is_asked_again_by_temporals_own_retry(gate_env: GateHarness) -> None:
    runs = [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(3)]
    sender = gate_env.sender(gate=SendGate(gate_env.database, TWO_A_MINUTE))
    for run_id in runs[:2]:
        await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"), sender=sender)
    with pytest.raises(ApplicationError, match="2 of 2 on email in the last minute") as deferred:
        await gate_env.sends(gate_env.ask(runs[2], "reminder", "lamp"), sender=sender)
    row = await gate_env.message(runs[2], "reminder")

    assert deferred.value.next_retry_delay is not None
    assert 60 * SECOND <= deferred.value.next_retry_delay < 120 * SECOND
    assert (row["status"], row["reason"]) == ("deferred", "provider_budget")


async def test_a_provider_that_keeps_failing_is_not_called_and_no_message_is_lost_to_it(
    gate_env: GateHarness,
) -> None:
    ledger = gate_env.ledgers[Channel.EMAIL]
    ledger.answers = [NotSent("refused"), MaybeSent("500"), NotSent("429", retry_after=90 * SECOND)]
    sender = gate_env.sender(breakers=CircuitBreakers(BreakerRule(failures=3)))
    [*_, last_run] = await three_sends(gate_env, sender)
    calls = ledger.calls.total()
    with pytest.raises(ApplicationError, match="deferred, provider_budget") as deferred:
        await gate_env.sends(gate_env.ask(last_run, "reminder", "lamp"), sender=sender)
    text = gate_env.ask(last_run, "text", "lamp", channel=Channel.SMS)
    by_sms = await gate_env.sends(text.model_copy(update={"template": "cart_offer"}), sender=sender)
    row = await gate_env.message(last_run, "reminder")

    assert (calls, ledger.calls.total()) == (3, 3)
    assert deferred.value.next_retry_delay is not None
    assert 60 * SECOND < deferred.value.next_retry_delay <= 90 * SECOND
    assert (row["status"], row["reason"]) == ("deferred", "provider_budget")
    assert by_sms.status is SendStatus.SENT


async def test_a_refusal_of_one_message_says_nothing_about_the_provider(gate_env: GateHarness) -> None:
    ledger = gate_env.ledgers[Channel.EMAIL]
    sender = gate_env.sender(breakers=CircuitBreakers(BreakerRule(failures=2)))
    ledger.answers = [NotSent("reset"), NotSent("bad address", permanent=True), NotSent("reset")]
    [*_, last_run] = await three_sends(gate_env, sender)

    last = await gate_env.sends(gate_env.ask(last_run, "reminder", "lamp"), sender=sender)

    assert last.status is SendStatus.SENT


async def test_a_fifth_of_the_budget_is_kept_for_runs_of_verified_events(gate_env: GateHarness) -> None:
    gate = SendGate(gate_env.database, Limits(caps=(), quiet_hours={}, budgets={Channel.EMAIL: Budget(5)}))
    runs = [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(7)]
    forged, true = runs[:5], runs[5:]
    entries = "SELECT entry_event FROM run WHERE run_id = ANY($1)"
    await gate_env.fetch_rows(f"UPDATE event SET verified = false WHERE event_id IN ({entries})", forged)
    await gate_env.fetch_rows("UPDATE outbox SET verified = false WHERE lane = ANY($1)", forged)
    answers = [
        await gate_env.claims(gate_env.ask(run, "reminder", "lamp"), gate=gate) for run in (*forged, *true)
    ]

    assert [type(answer) for answer in answers] == [SendClaim] * 4 + [NotAllowed, SendClaim, NotAllowed]
