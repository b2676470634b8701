"""Invariant 1 among liars: what an unverified sender says never stands in the way of a verified purchase."""

import asyncio
from dataclasses import replace

import pytest

from profiles.ingest import event_store
from profiles.ingest.event_store import IngestStatus
from profiles.state.event_records import IncomingEvent
from tests.support.environments.gate import GateHarness, PausedCommitDatabase, shopper

TILL = {"source": "pos/berlin-3", "event_id": "till-3-000872"}


def forged(gate_env: GateHarness) -> IncomingEvent:
    """What a stranger posts with the page's public key: an event with the till's source and next id."""
    event = gate_env.build_event("Product Viewed", {"product_id": "x"}, **TILL, anonymous_id="stranger-1")
    return replace(event, verified=False)


def purchase(gate_env: GateHarness) -> IncomingEvent:
    return gate_env.build_event(
        "Order Completed", gate_env.order("lamp", order_id="r-872"), channel="store", **TILL, **shopper(1)
    )


async def test_invariant_1_a_stranger_who_took_the_tills_next_id_hides_no_purchase(
    gate_env: GateHarness,
) -> None:
    run_id = await gate_env.one_cart()
    order = purchase(gate_env)
    await gate_env.ingest([forged(gate_env)])
    [answer] = await gate_env.ingest([order])
    [again] = await gate_env.ingest([order])

    assert answer.status is IngestStatus.ACCEPTED
    assert again.status is IngestStatus.DUPLICATE
    assert await gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")) == ()
    [decision] = await gate_env.decisions()
    assert (decision["verdict"], decision["reason"]) == ("withhold", "purchased")


async def test_invariant_1_fails_where_a_stranger_keeps_the_tills_id(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: where the first event of a (source, id) stands whoever sent it, the reminder goes out."""

    run_id = await gate_env.one_cart()
    await gate_env.ingest([forged(gate_env)])
    select = event_store._SELECT_EXISTING_EVENTS.replace("e.verified FROM", "true AS verified FROM")
    monkeypatch.setattr(event_store, "_SELECT_EXISTING_EVENTS", select)
    [answer] = await gate_env.ingest([purchase(gate_env)])

    assert answer.status is IngestStatus.CONFLICT
    assert await gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")) == ("lamp",)


@pytest.mark.parametrize("first", ["stranger", "till"])
async def test_invariant_1_holds_where_a_stranger_and_the_till_race_for_one_id(
    gate_env: GateHarness, first: str
) -> None:
    """The first transaction is held before its COMMIT until the second one waits for it."""
    run_id = await gate_env.one_cart()
    events = {"stranger": forged(gate_env), "till": purchase(gate_env)}
    [second] = events.keys() - {first}
    held = PausedCommitDatabase(gate_env.url)
    earlier = asyncio.create_task(gate_env.ingest_on(held)([events[first]]))
    await held.worked.wait()
    later = asyncio.create_task(gate_env.ingest([events[second]]))
    assert await gate_env.someone_waits_for_a_lock(or_done=later)
    held.may_commit.set()
    statuses = {first: (await earlier)[0].status, second: (await later)[0].status}
    await held.close()

    assert statuses["till"] is IngestStatus.ACCEPTED
    assert statuses["stranger"] is (IngestStatus.ACCEPTED if first == "stranger" else IngestStatus.CONFLICT)
    assert await gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")) == ()
    assert len(await gate_env.fetch_rows("SELECT 1 FROM purchase")) == 1


async def test_invariant_1_holds_where_two_copies_of_a_purchase_race_for_a_strangers_id(
    gate_env: GateHarness,
) -> None:
    await gate_env.ingest([forged(gate_env)])
    order = purchase(gate_env)
    held = PausedCommitDatabase(gate_env.url)
    earlier = asyncio.create_task(gate_env.ingest_on(held)([order]))
    await held.worked.wait()
    later = asyncio.create_task(gate_env.ingest([order]))
    assert await gate_env.someone_waits_for_a_lock(or_done=later)
    held.may_commit.set()
    [one], [other] = await earlier, await later
    await held.close()

    assert [one.status, other.status] == [IngestStatus.ACCEPTED, IngestStatus.DUPLICATE]
    assert len(await gate_env.fetch_rows("SELECT 1 FROM purchase")) == 1


@pytest.mark.parametrize("strangers_first", [True, False])
async def test_invariant_1_of_one_batch_the_verified_event_has_the_id(
    gate_env: GateHarness, strangers_first: bool
) -> None:
    run_id = await gate_env.one_cart()
    events = [forged(gate_env), purchase(gate_env)]
    answers = await gate_env.ingest(events if strangers_first else events[::-1])

    expected = [IngestStatus.CONFLICT, IngestStatus.ACCEPTED]
    assert [answer.status for answer in answers] == (expected if strangers_first else expected[::-1])
    assert await gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")) == ()
