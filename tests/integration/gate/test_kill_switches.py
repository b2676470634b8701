"""Kill switches against gates at work: after a switch's commit no claim commits, on any worker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from activities.gate.send_gate import NotAllowed, SendClaim, SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.verdict import Channel, Defer, Reason
from profiles.db.database import Database
from profiles.messaging import claims, kill_switches
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from tests.support.environments.gate import UNLIMITED, GateHarness, PausedCommitDatabase, shopper

PEOPLE = 4


async def switched(gate_env: GateHarness, kind: str = "all", name: str = "all", *, on: bool = True) -> bool:
    """Stop or resume; true where that changed something."""
    async with gate_env.database.transaction() as connection:
        change = kill_switches.activate_kill_switch if on else kill_switches.deactivate_kill_switch
        return await change(connection, kind, name, reason="test", actor="tests")


@pytest_asyncio.fixture(loop_scope="session")
async def gates(gate_env: GateHarness) -> AsyncIterator[list[SendGate]]:
    """Two workers: two gates on two pools."""
    pools = [Database(gate_env.url, pool_size=4) for _ in range(2)]
    yield [SendGate(pool, UNLIMITED) for pool in pools]
    for pool in pools:
        await pool.close()


async def claims_after_a_stop(gate_env: GateHarness, gates: list[SendGate]) -> int:
    """How many claims committed after a switch did, with gates that claim all the time."""
    runs = [await gate_env.leaves_cart(["lamp"], cart_id=f"c-{n}", **shopper(n)) for n in range(PEOPLE)]
    flowing, refused, enough = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def worker(gate: SendGate, run_id: UUID, number: int) -> None:
        step = 0
        while not enough.is_set():
            step += 1
            answer = await gate_env.claims(gate_env.ask(run_id, f"{number}-{step}", "lamp"), gate=gate)
            if isinstance(answer, SendClaim) and step > 3:
                flowing.set()
            if isinstance(answer, NotAllowed):
                refused.set()
            await asyncio.sleep(0)

    busy = [
        asyncio.create_task(worker(gate, run_id, number))
        for number, gate in enumerate(gates)
        for run_id in runs
    ]
    await asyncio.wait_for(flowing.wait(), 30)
    await switched(gate_env)
    [at_the_stop] = await gate_env.fetch_rows("SELECT count(*) AS n FROM message WHERE status = 'claimed'")
    await asyncio.wait({asyncio.create_task(refused.wait())}, timeout=1)
    await asyncio.sleep(0.2)
    enough.set()
    await asyncio.gather(*busy)
    [in_the_end] = await gate_env.fetch_rows("SELECT count(*) AS n FROM message WHERE status = 'claimed'")
    after: int = in_the_end["n"] - at_the_stop["n"]
    return after


async def test_after_the_commit_of_a_stop_no_claim_commits_on_any_worker(
    gate_env: GateHarness, gates: list[SendGate]
) -> None:
    assert await claims_after_a_stop(gate_env, gates) == 0

    [reasons] = await gate_env.fetch_rows(
        "SELECT array_agg(DISTINCT reason) AS r FROM decision WHERE reason IS NOT NULL"
    )
    assert reasons["r"] == ["kill_switch"]


async def test_it_fails_where_a_gate_remembers_the_switches(
    gate_env: GateHarness, gates: list[SendGate], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def with_old_switches(connection: Any, profile_id: UUID, ask: SnapshotQuery) -> Snapshot | None:
        snapshot = await read_snapshot(connection, profile_id, ask)
        return snapshot and replace(snapshot, kill_switches=())

    read_snapshot = claims.read_snapshot
    monkeypatch.setattr("profiles.messaging.claims.read_snapshot", with_old_switches)

    assert await claims_after_a_stop(gate_env, gates) > 0


async def test_a_stop_waits_for_the_claim_that_has_read_the_switches_and_that_one_comes_first(
    gate_env: GateHarness,
) -> None:
    run_id = await gate_env.one_cart()
    held = PausedCommitDatabase(gate_env.url)
    claiming = asyncio.create_task(
        gate_env.claims(gate_env.ask(run_id, "reminder", "lamp"), gate=SendGate(held, UNLIMITED))
    )
    await held.worked.wait()
    stopping = asyncio.create_task(switched(gate_env))
    waits = await gate_env.someone_waits_for_a_lock(or_done=stopping)
    held.may_commit.set()
    answer = await claiming
    await stopping
    await held.close()

    assert waits
    assert isinstance(answer, SendClaim)
    assert isinstance(await gate_env.claims(gate_env.ask(run_id, "next", "lamp")), NotAllowed)


async def test_it_fails_where_gates_do_not_take_part_in_the_switches_lock(
    gate_env: GateHarness,
) -> None:
    run_id = await gate_env.one_cart()
    [function] = await gate_env.fetch_rows("SELECT pg_get_functiondef('lock_person_of_run'::regproc) AS text")
    taking_part = "pg_advisory_xact_lock_shared(hashtext('waypost: stops'))"
    assert taking_part in function["text"]
    await gate_env.fetch_rows(function["text"].replace(taking_part, "NULL"))
    held = PausedCommitDatabase(gate_env.url)
    claiming = asyncio.create_task(
        gate_env.claims(gate_env.ask(run_id, "reminder", "lamp"), gate=SendGate(held, UNLIMITED))
    )
    await held.worked.wait()
    await switched(gate_env)
    [claimed_at_the_stop] = await gate_env.fetch_rows("SELECT count(*) AS n FROM message")
    held.may_commit.set()
    answer = await claiming
    await held.close()

    assert claimed_at_the_stop["n"] == 0
    assert isinstance(answer, SendClaim), "a claim that committed after the stop"


@pytest.mark.parametrize(
    ("kind", "name", "channel"),
    [
        ("channel", "sms", Channel.SMS),
        ("journey", "cart-abandonment", Channel.EMAIL),
        ("template", "cart_reminder", Channel.EMAIL),
        ("all", "all", Channel.SMS),
        ("channel", "ads", Channel.ADS),
        ("all", "all", Channel.ADS),
    ],
)
async def test_what_is_stopped_waits_and_goes_out_once_it_is_resumed(
    gate_env: GateHarness, kind: str, name: str, channel: Channel
) -> None:
    run_id, request = await gate_env.reminder(channel=channel)
    await switched(gate_env, kind, name)
    while_stopped = await gate_env.allowed(request)
    row = await gate_env.message(run_id, "reminder")
    await switched(gate_env, kind, name, on=False)

    assert while_stopped == ()
    assert (row["status"], row["reason"]) == ("deferred", "kill_switch")
    assert await gate_env.allowed(request) == ("lamp",)


async def test_a_deferral_is_told_with_its_time_and_no_provider_is_called(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.fetch_rows(
        "INSERT INTO kill_switch VALUES ('channel', 'email', $1, 'test', 'tests')", DEFAULT_START
    )
    answer = await gate_env.claims(gate_env.ask(run_id, "reminder", "lamp"))
    result = await gate_env.sends(gate_env.ask(run_id, "reminder", "lamp"))

    assert isinstance(answer, NotAllowed)
    assert isinstance(answer.verdict, Defer)
    assert answer.verdict.until == DEFAULT_START + timedelta(minutes=5)
    assert (result.reason, result.until) == (Reason.KILL_SWITCH, DEFAULT_START + timedelta(minutes=5))
    assert gate_env.ledgers[Channel.EMAIL].calls == {}


async def test_switching_twice_changes_nothing_and_every_switch_is_on_record(
    gate_env: GateHarness,
) -> None:
    changed = [await switched(gate_env, "channel", "sms", on=on) for on in (False, True, True, False, False)]
    log = await gate_env.fetch_rows("SELECT done, actor FROM kill_switch_log ORDER BY seq")

    assert changed == [False, True, False, True, False]
    assert [(row["done"], row["actor"]) for row in log] == [("stopped", "tests"), ("resumed", "tests")]
