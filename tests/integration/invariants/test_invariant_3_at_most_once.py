"""Invariant 3: marketing is sent at most once per send key, whatever is repeated, lost or killed."""

import asyncio
from contextlib import nullcontext
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.channels.adapter import MaybeSent, NotSent
from activities.contracts import SendResult, SendStatus
from activities.gate.send_gate import NotAllowed, SendClaim
from authoring.testing.calendar import DEFAULT_START
from policy.verdict import Channel, Reason
from profiles.messaging import claims
from profiles.state.unit_of_work import MESSAGE_RANK
from tests.support.environments.gate import GateHarness, shopper
from tests.support.fakes.recording_provider import RecordingProvider
from tests.support.generators.hostile_sender import HostileSender
from tests.support.proof_size import size

LATER = DEFAULT_START + timedelta(minutes=7)


async def test_invariant_3_a_redelivered_activity_returns_the_same_outcome_and_sends_nothing(
    gate_env: GateHarness,
) -> None:
    _, request = await gate_env.reminder(cart_id="c-1")
    first = await gate_env.sends(request)
    again = await gate_env.sends(request, at=LATER)

    assert first.status is again.status is SendStatus.SENT
    assert first.message_id == again.message_id
    assert first.items == again.items == ("lamp",)
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_3_fails_where_a_settled_key_is_not_looked_at(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.gate.send_gate.ACCEPTED_STATUSES", frozenset())
    monkeypatch.setattr("activities.gate.send_gate._UNSENT_STATUSES", frozenset(MESSAGE_RANK))
    _, request = await gate_env.reminder(cart_id="c-1")
    await gate_env.sends(request)
    await gate_env.sends(request, at=LATER)

    assert list(gate_env.ledgers[Channel.EMAIL].times.values()) == [2]


async def test_invariant_3_of_two_attempts_at_once_one_calls_and_its_record_wins(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    ledger = gate_env.ledgers[Channel.EMAIL]
    ledger.holding = asyncio.Event()
    first = asyncio.create_task(gate_env.sends(request))
    await ledger.called.wait()
    second = await gate_env.sends(request)
    status_meanwhile = (await gate_env.message(run_id, "reminder"))["status"]
    ledger.holding.set()

    assert second.status is SendStatus.UNKNOWN
    assert status_meanwhile == "unknown"
    assert (await first).status is SendStatus.SENT
    assert (await gate_env.message(run_id, "reminder"))["status"] == "sent"
    assert len(ledger.accepted) == 1


async def test_invariant_3_a_worker_killed_between_call_and_record_leaves_an_unknown(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    ledger = gate_env.ledgers[Channel.EMAIL]
    ledger.holding = asyncio.Event()
    attempt = asyncio.create_task(gate_env.sends(request))
    await ledger.called.wait()
    attempt.cancel()
    await asyncio.wait([attempt])
    ledger.holding.set()
    second = await gate_env.sends(request, at=LATER)
    third = await gate_env.sends(request, at=LATER)

    assert second.status is third.status is SendStatus.UNKNOWN
    assert (await gate_env.message(run_id, "reminder"))["status"] == "unknown"
    assert len(ledger.accepted) == 1


async def test_invariant_3_a_record_that_is_lost_leaves_an_unknown(gate_env: GateHarness) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    await gate_env.fetch_rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''disk full''; END'"
    )
    await gate_env.fetch_rows(
        "CREATE TRIGGER lost BEFORE UPDATE ON message FOR EACH ROW WHEN (NEW.status = 'sent') "
        "EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(Exception, match="disk full"):
        await gate_env.sends(request)
    await gate_env.fetch_rows("DROP TRIGGER lost ON message")
    second = await gate_env.sends(request, at=LATER)

    assert second.status is SendStatus.UNKNOWN
    assert (await gate_env.message(run_id, "reminder"))["status"] == "unknown"
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_3_an_answer_that_was_lost_settles_the_key_as_unknown(gate_env: GateHarness) -> None:
    _, request = await gate_env.reminder(cart_id="c-1")
    gate_env.ledgers[Channel.EMAIL].answers = [MaybeSent("read timeout")]
    first, second = await gate_env.sends(request), await gate_env.sends(request, at=LATER)

    assert first.status is second.status is SendStatus.UNKNOWN
    assert first.message_id == second.message_id
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_3_a_webhook_settles_an_unknown_and_the_next_attempt_says_sent(
    gate_env: GateHarness,
) -> None:
    _, request = await gate_env.reminder(cart_id="c-1")
    gate_env.ledgers[Channel.EMAIL].answers = [MaybeSent("connection reset")]
    lost = await gate_env.sends(request)
    await gate_env.takes("Message Delivered", {"message_id": lost.message_id})
    settled = await gate_env.sends(request, at=LATER)

    assert settled.status is SendStatus.SENT
    assert settled.message_id == lost.message_id
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_3_a_message_definitely_not_sent_is_given_back_and_passes_the_whole_gate_again(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    gate_env.ledgers[Channel.EMAIL].answers = [NotSent("connection refused")]
    with pytest.raises(ApplicationError, match="not sent, and given back"):
        await gate_env.sends(request)
    released = await gate_env.message(run_id, "reminder")
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    second = await gate_env.sends(request, at=LATER)

    assert (released["status"], released["claimed_at"]) == ("released", None)
    assert (second.status, second.reason) == (SendStatus.WITHHELD, Reason.PURCHASED)
    assert gate_env.ledgers[Channel.EMAIL].accepted == []


async def test_invariant_3_a_message_given_back_is_sent_once_by_the_next_attempt(
    gate_env: GateHarness,
) -> None:
    _, request = await gate_env.reminder(cart_id="c-1")
    gate_env.ledgers[Channel.EMAIL].answers = [NotSent("429", retry_after=timedelta(seconds=3))]
    with pytest.raises(ApplicationError) as refused:
        await gate_env.sends(request)
    second = await gate_env.sends(request, at=LATER)

    assert refused.value.next_retry_delay == timedelta(seconds=3)
    assert second.status is SendStatus.SENT
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_3_a_claim_that_was_not_used_in_time_is_given_back(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    with monkeypatch.context() as frozen:
        frozen.setattr("activities.send_message.MAX_CLAIM_AGE_S", -1.0)
        with pytest.raises(ApplicationError, match="was not used within"):
            await gate_env.sends(request)
    released = (await gate_env.message(run_id, "reminder"))["status"]

    assert released == "released"
    assert (await gate_env.sends(request, at=LATER)).status is SendStatus.SENT
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


async def test_invariant_3_a_holder_whose_claim_was_taken_for_unknown_cannot_release_another_one(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    held = await gate_env.claims(request)
    assert isinstance(held, SendClaim)
    async with gate_env.database.transaction() as connection:
        await claims.release_claim(connection, held.message_id, held.token, "error")
    newer = await gate_env.claims(request, at=LATER)
    assert isinstance(newer, SendClaim)
    async with gate_env.database.transaction() as connection:
        await claims.release_claim(connection, held.message_id, held.token, "error")
        await claims.record_sent(
            connection, held.message_id, held.token, provider="ledger", provider_id="late", at=LATER
        )
    row = await gate_env.message(run_id, "reminder")

    assert newer.message_id == held.message_id
    assert (row["status"], row["token"], row["provider_id"]) == ("claimed", newer.token, None)


async def test_invariant_3_claims_left_behind_become_unknown_and_then_final(gate_env: GateHarness) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    assert isinstance(await gate_env.claims(request), SendClaim)

    async def settled(age: timedelta) -> tuple[int, str]:
        await gate_env.fetch_rows("UPDATE message SET claim_recorded_at = now() - $1::interval", age)
        count = await gate_env.database.run(lambda connection: claims.expire_stale_claims(connection))
        return count, (await gate_env.message(run_id, "reminder"))["status"]

    assert await settled(timedelta(minutes=4)) == (0, "claimed")
    assert await settled(timedelta(minutes=6)) == (1, "unknown")
    assert await settled(timedelta(minutes=16)) == (1, "unknown_final")
    assert (await gate_env.sends(request, at=LATER)).status is SendStatus.UNKNOWN
    assert gate_env.ledgers[Channel.EMAIL].accepted == []


async def test_invariant_3_another_channel_of_the_same_step_is_the_same_message(
    gate_env: GateHarness,
) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    await gate_env.sends(request)
    by_sms = await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp", channel=Channel.SMS), at=LATER)

    assert (by_sms.status, by_sms.channel) == (SendStatus.SENT, Channel.EMAIL)
    assert gate_env.ledgers[Channel.SMS].accepted == []


async def test_invariant_3_a_withheld_message_may_be_decided_on_again(gate_env: GateHarness) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    no_item = gate_env.ask(run_id, "reminder", "sofa", cart_id="c-1")
    refused = await gate_env.claims(no_item)
    assert isinstance(refused, NotAllowed)
    sent = await gate_env.sends(request, at=LATER)

    assert sent.message_id == str(refused.message_id)
    assert len(gate_env.ledgers[Channel.EMAIL].accepted) == 1


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("hostile", [False, True], ids=["among honest senders", "with a hostile sender"])
async def test_invariant_3_holds_for_many_keys_with_several_attempts_each_and_failing_calls(
    gate_env: GateHarness, hostile: bool
) -> None:
    keys, attempts = size(40, 500), 5
    runs = [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(10)]
    ledger = gate_env.ledgers[Channel.EMAIL]
    # One call in three fails before it is accepted, one in three after.
    ledger.answers = [NotSent("refused"), MaybeSent("reset")] * (keys // 3)
    sender, turns = gate_env.sender(), asyncio.Semaphore(12)

    async def attempt(key: int) -> SendResult | None:
        request = gate_env.ask(runs[key % len(runs)], f"step-{key}", "lamp")
        async with turns:
            try:
                return await gate_env.sends(request, sender=sender)
            except ApplicationError:
                return None

    stranger = HostileSender(
        gate_env.ingest, [shopper(n) for n in range(10)], ["lamp"], carts=[f"c-{n}" for n in range(10)]
    )
    async with stranger if hostile else nullcontext():
        await asyncio.gather(*(attempt(key) for _ in range(attempts) for key in range(keys)))
    last = [await attempt(key) for key in range(keys)]

    assert [message_id for message_id, times in ledger.times.items() if times > 1] == []
    assert len(ledger.accepted) == keys
    assert ledger.unlicensed == []
    assert all(result is not None for result in last)
    assert set(ledger.times) == {result.message_id for result in last if result}


async def test_a_ledger_knows_a_call_without_a_claim(gate_env: GateHarness) -> None:
    run_id, request = await gate_env.reminder(cart_id="c-1")
    gate_env.ledgers[Channel.EMAIL] = RecordingProvider(Channel.EMAIL, gate_env.database)
    sent = await gate_env.sends(request)
    await gate_env.fetch_rows("UPDATE message SET status = 'withheld' WHERE run_id = $1", run_id)
    adapter = gate_env.ledgers[Channel.EMAIL]
    await adapter.deliver(adapter.accepted[0])

    assert adapter.unlicensed == [sent.message_id]
