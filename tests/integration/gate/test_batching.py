"""Gate batches: requests that come at the same moment are decided on in one transaction, each as if alone."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.gate.batching import MAX_BATCH_SIZE, MAX_CONCURRENT_BATCHES, GateBatcher
from activities.gate.send_gate import NotAllowed, SendClaim
from policy.verdict import Reason
from profiles.db.sql import new_id
from profiles.messaging.claims import read_locked_snapshots
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.support.deadlines import scaled
from tests.support.environments.gate import GateHarness, PausedCommitDatabase, shopper
from tests.support.environments.gate_batches import PEOPLE, CountingGate, case, heard, opened, runs_of


async def test_those_who_come_while_one_is_heard_share_one_transaction(gate_env: GateHarness) -> None:
    gate, runs = CountingGate(gate_env), await runs_of(gate_env)
    answers = await heard(gate_env, gate, *(gate_env.ask(run, "mail", "lamp") for run in runs))

    assert (gate.together, gate.alone) == ([PEOPLE], 1)
    assert all(isinstance(answer, SendClaim) for answer in answers)
    assert {answer.address for answer in answers} == {shopper(n)["email"] for n in range(PEOPLE)}
    written = await gate_env.fetch_rows(
        "SELECT xmin::text, count(*) FROM decision WHERE verdict = 'allow' GROUP BY 1"
    )
    assert sorted(row["count"] for row in written) == [1, PEOPLE]
    assert len(await gate_env.fetch_rows("SELECT 1 FROM message WHERE status = 'claimed'")) == PEOPLE + 1


async def test_a_lone_one_is_heard_alone(gate_env: GateHarness) -> None:
    gate = CountingGate(gate_env)
    [run] = await runs_of(gate_env, 1)
    answer = await GateBatcher(gate).decide(case(gate_env.ask(run, "mail", "lamp")))

    assert isinstance(answer, SendClaim)
    assert (gate.together, gate.alone) == ([], 1)


async def test_each_is_answered_by_their_own_facts(gate_env: GateHarness) -> None:
    runs = await runs_of(gate_env)
    await gate_env.takes(
        "Order Completed", gate_env.order("lamp", order_id="o-1"), channel="store", **shopper(2)
    )
    answers = await heard(
        gate_env, CountingGate(gate_env), *(gate_env.ask(run, "mail", "lamp") for run in runs)
    )

    assert [type(answer) for answer in answers] == [SendClaim, SendClaim, NotAllowed, SendClaim, SendClaim]
    assert answers[2].verdict.reason is Reason.PURCHASED


async def test_more_than_a_gate_batch_holds_come_in_the_next_one(gate_env: GateHarness) -> None:
    gate, runs = CountingGate(gate_env), await runs_of(gate_env, MAX_BATCH_SIZE + 3)
    answers = await heard(gate_env, gate, *(gate_env.ask(run, "mail", "lamp") for run in runs))

    assert all(isinstance(answer, SendClaim) for answer in answers)
    assert gate.together == [MAX_BATCH_SIZE, 3]


async def test_nobody_waits_for_a_person_who_is_locked_but_who_asked_about_them(
    gate_env: GateHarness,
) -> None:
    gate, runs, held = CountingGate(gate_env), await runs_of(gate_env), PausedCommitDatabase(gate_env.url)
    order = gate_env.build_event("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(0))
    purchase = asyncio.create_task(gate_env.ingest_on(held)([order]))
    await held.worked.wait()
    batcher, _ = await opened(gate_env, gate)
    late, *others = [
        asyncio.create_task(batcher.decide(case(gate_env.ask(run, "mail", "lamp")))) for run in runs
    ]
    done, _ = await asyncio.wait(others, timeout=scaled(10))
    assert len(done) == PEOPLE - 1
    assert not late.done()
    held.may_commit.set()
    await purchase
    await held.close()

    answer = await late
    assert isinstance(answer, NotAllowed)
    assert answer.verdict.reason is Reason.PURCHASED
    assert (gate.together, gate.alone) == ([PEOPLE], 2)


async def test_people_who_are_waited_for_take_no_seat(gate_env: GateHarness) -> None:
    gate, runs, held = (
        CountingGate(gate_env),
        await runs_of(gate_env, MAX_CONCURRENT_BATCHES + 1),
        PausedCommitDatabase(gate_env.url),
    )
    orders = [
        gate_env.build_event("Order Completed", gate_env.order("lamp", order_id=f"o-{n}"), **shopper(n))
        for n in range(MAX_CONCURRENT_BATCHES)
    ]
    purchases = asyncio.create_task(gate_env.ingest_on(held)(orders))
    await held.worked.wait()
    batcher, waiting = GateBatcher(gate), []
    for run in runs[:MAX_CONCURRENT_BATCHES]:
        waiting.append(asyncio.create_task(batcher.decide(case(gate_env.ask(run, "mail", "lamp")))))
        await asyncio.sleep(0.005)
    free = await asyncio.wait_for(
        batcher.decide(case(gate_env.ask(runs[MAX_CONCURRENT_BATCHES], "mail", "lamp"))), 4
    )

    assert isinstance(free, SendClaim)
    assert not any(one.done() for one in waiting)
    held.may_commit.set()
    await purchases
    await held.close()
    assert [type(one) for one in await asyncio.gather(*waiting)] == [NotAllowed] * MAX_CONCURRENT_BATCHES


async def test_a_run_that_changed_hands_is_heard_alone(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = await runs_of(gate_env, 3)
    await gate_env.takes("Identify", {}, loyalty_id="card-1", email="other@example.com")
    gate = CountingGate(gate_env)

    async def after_a_merge(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        # As if a merge had come between the look at the run and the lock: its person is not the one locked.
        await connection.execute("SELECT set_config('waypost.locked', $1, true)", str(new_id()))
        return await read_locked_snapshots(connection, asks)

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", after_a_merge)
    answers = await heard(gate_env, gate, *(gate_env.ask(run, "mail", "lamp") for run in runs))

    assert [type(answer) for answer in answers] == [SendClaim] * 3
    assert (gate.together, gate.alone) == ([3], 4)


async def test_what_is_wrong_with_one_harms_no_other(gate_env: GateHarness) -> None:
    runs = await runs_of(gate_env)
    asks = [gate_env.ask(run, "mail", "lamp") for run in runs]
    asks[1] = gate_env.ask(new_id(), "mail", "lamp")
    asks[3] = gate_env.ask(runs[3], "a step that Postgres cannot store: \0", "lamp")
    answers = await heard(gate_env, CountingGate(gate_env), *asks)

    assert [isinstance(answer, SendClaim) for answer in answers] == [True, False, True, False, True]
    assert isinstance(answers[1], ApplicationError)
    assert answers[1].type == "NoSuchRun"
    assert "0x00" in str(answers[3])


async def test_where_postgres_is_away_everybody_is_told(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, runs = CountingGate(gate_env), await runs_of(gate_env)

    async def lost(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        raise ConnectionResetError("gone")

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", lost)
    answers = await heard(gate_env, gate, *(gate_env.ask(run, "mail", "lamp") for run in runs))

    assert [type(answer) for answer in answers] == [ConnectionResetError] * PEOPLE
    assert gate.alone == 1
    assert [decision["step"] for decision in await gate_env.decisions()] == ["first"]


async def test_who_is_cancelled_in_the_queue_is_not_heard(gate_env: GateHarness) -> None:
    gate, runs = CountingGate(gate_env), await runs_of(gate_env)
    batcher, _ = await opened(gate_env, gate)
    tasks = [asyncio.create_task(batcher.decide(case(gate_env.ask(run, "mail", "lamp")))) for run in runs]
    await asyncio.sleep(0)
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert [type(answer) for answer in answers[1:]] == [SendClaim] * (PEOPLE - 1)
    assert len(await gate_env.decisions()) == PEOPLE


@pytest.mark.parametrize("alone", [pytest.param(True, id="alone"), pytest.param(False, id="in a batch")])
async def test_the_claim_of_a_caller_who_is_cancelled_while_it_is_decided_is_released(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch, *, alone: bool
) -> None:
    gate, runs = CountingGate(gate_env), await runs_of(gate_env, 2)
    committed, may_return = asyncio.Event(), asyncio.Event()
    name = "decide" if alone else "decide_batch"
    decided = getattr(gate, name)

    async def slow(asked: Any) -> Any:
        outcome = await decided(asked)
        committed.set()
        await may_return.wait()
        return outcome

    batcher = GateBatcher(gate) if alone else (await opened(gate_env, gate))[0]
    monkeypatch.setattr(gate, name, slow)
    requests = [case(gate_env.ask(run, "mail", "lamp")) for run in (runs[:1] if alone else runs)]
    tasks = [asyncio.create_task(batcher.decide(request)) for request in requests]
    await committed.wait()
    tasks[0].cancel()
    may_return.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    released = await gate_env.message(runs[0], "mail")
    assert (released["status"], released["reason"], released["claimed_at"]) == ("released", "error", None)
    again = await gate_env.claims(gate_env.ask(runs[0], "mail", "lamp"))
    assert isinstance(again, SendClaim)
    if not alone:
        assert isinstance(answers[1], SendClaim)
        assert (await gate_env.message(runs[1], "mail"))["status"] == "claimed"
