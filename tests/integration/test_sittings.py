"""Sittings: cases that come at the same moment are decided on in one transaction, each as if alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from activities.contracts import SendMessage
from activities.gate.batching import MAX_BATCH_SIZE, MAX_CONCURRENT_BATCHES, GateBatcher
from activities.gate.send_gate import GateOutcome, GateRequest, NotAllowed, SendClaim, SendGate
from activities.run_context import NoSuchRun
from local.temporal_server import TemporalDevServer
from policy.limits import Cap, Limits
from policy.verdict import MessageClass, Reason
from profiles.db.sql import new_id
from profiles.messaging.claims import read_locked_snapshots
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.shop import NOON, UNLIMITED, Held, Shop, shopper

ONE_A_DAY = Limits(caps=(Cap(1, timedelta(days=1)),), quiet_hours={}, duplicates_within=timedelta(0))
PEOPLE = 5


class Kept(SendGate):
    """The gate; remembers how many cases came together."""

    def __init__(self, shop: Shop, limits: Limits = UNLIMITED) -> None:
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


@pytest_asyncio.fixture(loop_scope="session")
async def shop(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Shop]:
    """Waypost without workers."""
    async with Shop(database_url, temporal.client) as running:
        yield running


async def runs_of(shop: Shop, people: int = PEOPLE) -> list[UUID]:
    """A cart with a lamp of each."""
    return [await shop.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(people)]


def case(request: SendMessage) -> GateRequest:
    """Marketing at noon."""
    return GateRequest(request, MessageClass.MARKETING, "marketing", NOON)


async def opened(shop: Shop, gate: SendGate) -> tuple[GateBatcher, "asyncio.Task[GateOutcome]"]:
    """Sittings in which somebody else is heard already, so that whoever comes next has to wait."""
    run_id = await shop.leaves_cart(["lamp"], cart_id="c-first", **shopper(99))
    sittings = GateBatcher(gate)
    first = asyncio.create_task(sittings.decide(case(shop.ask(run_id, "first", "lamp"))))
    await asyncio.sleep(0)
    return sittings, first


async def heard(shop: Shop, gate: SendGate, *requests: SendMessage) -> list[Any]:
    """What each is told, or what it raises, where all of them come at the same moment after a first one."""
    sittings, first = await opened(shop, gate)
    told = await asyncio.gather(*(sittings.decide(case(one)) for one in requests), return_exceptions=True)
    assert isinstance(await first, SendClaim)
    return told


async def test_those_who_come_while_one_is_heard_share_one_transaction(shop: Shop) -> None:
    gate, runs = Kept(shop), await runs_of(shop)
    answers = await heard(shop, gate, *(shop.ask(run, "mail", "lamp") for run in runs))

    assert (gate.together, gate.alone) == ([PEOPLE], 1)
    assert all(isinstance(answer, SendClaim) for answer in answers)
    assert {answer.address for answer in answers} == {shopper(n)["email"] for n in range(PEOPLE)}
    written = await shop.fetch_rows(
        "SELECT xmin::text, count(*) FROM decision WHERE verdict = 'allow' GROUP BY 1"
    )
    assert sorted(row["count"] for row in written) == [1, PEOPLE]
    assert len(await shop.fetch_rows("SELECT 1 FROM message WHERE status = 'claimed'")) == PEOPLE + 1


async def test_a_lone_one_is_heard_alone(shop: Shop) -> None:
    gate = Kept(shop)
    [run] = await runs_of(shop, 1)
    answer = await GateBatcher(gate).decide(case(shop.ask(run, "mail", "lamp")))

    assert isinstance(answer, SendClaim)
    assert (gate.together, gate.alone) == ([], 1)


async def test_each_is_answered_by_their_own_facts(shop: Shop) -> None:
    runs = await runs_of(shop)
    await shop.takes("Order Completed", shop.order("lamp", order_id="o-1"), channel="store", **shopper(2))
    answers = await heard(shop, Kept(shop), *(shop.ask(run, "mail", "lamp") for run in runs))

    assert [type(answer) for answer in answers] == [SendClaim, SendClaim, NotAllowed, SendClaim, SendClaim]
    assert answers[2].verdict.reason is Reason.PURCHASED


async def test_more_than_a_sitting_holds_come_in_the_next_one(shop: Shop) -> None:
    gate, runs = Kept(shop), await runs_of(shop, MAX_BATCH_SIZE + 3)
    answers = await heard(shop, gate, *(shop.ask(run, "mail", "lamp") for run in runs))

    assert all(isinstance(answer, SendClaim) for answer in answers)
    assert gate.together == [MAX_BATCH_SIZE, 3]


async def cap_of_one(shop: Shop) -> tuple[Kept, list[Any]]:
    """Six messages to one person and one to another, all at the same moment, where one a day may be sent."""
    gate, [run, other] = Kept(shop, ONE_A_DAY), await runs_of(shop, 2)
    asks = [shop.ask(run, f"mail {n}", "lamp") for n in range(6)]
    return gate, await heard(shop, gate, *asks, shop.ask(other, "mail", "lamp"))


async def test_invariant_6_one_person_has_one_case_in_a_sitting(shop: Shop) -> None:
    gate, answers = await cap_of_one(shop)

    assert gate.together == [7]
    assert [isinstance(answer, SendClaim) for answer in answers].count(True) == 2
    assert {answer.verdict.reason for answer in answers if isinstance(answer, NotAllowed)} == {Reason.CAPPED}


async def test_invariant_6_fails_where_one_person_has_several_cases_in_a_sitting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_of_them(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        return [(await read_locked_snapshots(connection, [ask]))[0] for ask in asks]

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", all_of_them)
    _, answers = await cap_of_one(shop)

    assert [isinstance(answer, SendClaim) for answer in answers].count(True) > 2


async def test_nobody_waits_for_a_person_who_is_locked_but_who_asked_about_them(shop: Shop) -> None:
    gate, runs, held = Kept(shop), await runs_of(shop), Held(shop.url)
    order = shop.build_event("Order Completed", shop.order("lamp", order_id="o-1"), **shopper(0))
    purchase = asyncio.create_task(shop.ingest_on(held)([order]))
    await held.worked.wait()
    sittings, _ = await opened(shop, gate)
    late, *others = [
        asyncio.create_task(sittings.decide(case(shop.ask(run, "mail", "lamp")))) for run in runs
    ]
    done, _ = await asyncio.wait(others, timeout=10)
    assert len(done) == PEOPLE - 1
    assert not late.done()
    held.may_commit.set()
    await purchase
    await held.close()

    answer = await late
    assert isinstance(answer, NotAllowed)
    assert answer.verdict.reason is Reason.PURCHASED
    assert (gate.together, gate.alone) == ([PEOPLE], 2)


async def test_people_who_are_waited_for_take_no_seat(shop: Shop) -> None:
    gate, runs, held = Kept(shop), await runs_of(shop, MAX_CONCURRENT_BATCHES + 1), Held(shop.url)
    orders = [
        shop.build_event("Order Completed", shop.order("lamp", order_id=f"o-{n}"), **shopper(n))
        for n in range(MAX_CONCURRENT_BATCHES)
    ]
    purchases = asyncio.create_task(shop.ingest_on(held)(orders))
    await held.worked.wait()
    sittings, waiting = GateBatcher(gate), []
    for run in runs[:MAX_CONCURRENT_BATCHES]:
        waiting.append(asyncio.create_task(sittings.decide(case(shop.ask(run, "mail", "lamp")))))
        await asyncio.sleep(0.005)
    free = await asyncio.wait_for(
        sittings.decide(case(shop.ask(runs[MAX_CONCURRENT_BATCHES], "mail", "lamp"))), 4
    )

    assert isinstance(free, SendClaim)
    assert not any(one.done() for one in waiting)
    held.may_commit.set()
    await purchases
    await held.close()
    assert [type(one) for one in await asyncio.gather(*waiting)] == [NotAllowed] * MAX_CONCURRENT_BATCHES


async def purchase_between_reading_and_commit(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Two people are heard together; one of them buys between their reading and its COMMIT, if the lock lets
    them."""
    runs = await runs_of(shop, 2)
    read, go_on = asyncio.Event(), asyncio.Event()

    async def then_wait(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        snapshots = await read_locked_snapshots(connection, asks)
        read.set()
        await go_on.wait()
        return snapshots

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", then_wait)
    answers = asyncio.create_task(heard(shop, Kept(shop), *(shop.ask(run, "mail", "lamp") for run in runs)))
    await read.wait()
    order = shop.build_event("Order Completed", shop.order("lamp", order_id="o-1"), **shopper(0))
    purchase = asyncio.create_task(shop.ingest([order]))
    waited = await shop.someone_waits_for_a_lock(or_done=purchase)
    go_on.set()
    await purchase
    return [waited, *await answers]


async def test_invariant_1_a_purchase_waits_for_a_sitting_that_has_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, *answers = await purchase_between_reading_and_commit(shop, monkeypatch)

    assert waited
    assert [type(answer) for answer in answers] == [SendClaim, SendClaim]


async def test_invariant_1_fails_where_a_sitting_reads_without_the_locks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(asks: Sequence[SnapshotQuery]) -> str:
        runs = ",".join(str(ask.run_id) for ask in asks)
        return (
            "SELECT set_config('waypost.locked', (SELECT string_agg(profile_id::text, ',') FROM run "
            f"WHERE run_id = ANY('{{{runs}}}')), true)"
        )

    monkeypatch.setattr("activities.gate.send_gate.lock_profiles_skip_locked_sql", without)
    waited, *answers = await purchase_between_reading_and_commit(shop, monkeypatch)

    assert not waited
    # Claimed after the purchase's COMMIT.
    assert [type(answer) for answer in answers] == [SendClaim, SendClaim]


async def test_a_run_that_changed_hands_is_heard_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = await runs_of(shop, 3)
    await shop.takes("Identify", {}, loyalty_id="card-1", email="other@example.com")
    gate = Kept(shop)

    async def after_a_merge(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        # As if a merge had come between the look at the run and the lock: its person is not the one locked.
        await connection.execute("SELECT set_config('waypost.locked', $1, true)", str(new_id()))
        return await read_locked_snapshots(connection, asks)

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", after_a_merge)
    answers = await heard(shop, gate, *(shop.ask(run, "mail", "lamp") for run in runs))

    assert [type(answer) for answer in answers] == [SendClaim] * 3
    assert (gate.together, gate.alone) == ([3], 4)


async def test_what_is_wrong_with_one_harms_no_other(shop: Shop) -> None:
    runs = await runs_of(shop)
    asks = [shop.ask(run, "mail", "lamp") for run in runs]
    asks[1] = shop.ask(new_id(), "mail", "lamp")
    asks[3] = shop.ask(runs[3], "a step that Postgres cannot store: \0", "lamp")
    answers = await heard(shop, Kept(shop), *asks)

    assert [isinstance(answer, SendClaim) for answer in answers] == [True, False, True, False, True]
    assert isinstance(answers[1], NoSuchRun)
    assert "0x00" in str(answers[3])


async def test_where_postgres_is_away_everybody_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, runs = Kept(shop), await runs_of(shop)

    async def lost(connection: Any, asks: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
        raise ConnectionResetError("gone")

    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshots", lost)
    answers = await heard(shop, gate, *(shop.ask(run, "mail", "lamp") for run in runs))

    assert [type(answer) for answer in answers] == [ConnectionResetError] * PEOPLE
    assert gate.alone == 1
    assert [decision["step"] for decision in await shop.decisions()] == ["first"]


async def test_who_is_cancelled_in_the_queue_is_not_heard(shop: Shop) -> None:
    gate, runs = Kept(shop), await runs_of(shop)
    sittings, _ = await opened(shop, gate)
    tasks = [asyncio.create_task(sittings.decide(case(shop.ask(run, "mail", "lamp")))) for run in runs]
    await asyncio.sleep(0)
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert [type(answer) for answer in answers[1:]] == [SendClaim] * (PEOPLE - 1)
    assert len(await shop.decisions()) == PEOPLE
