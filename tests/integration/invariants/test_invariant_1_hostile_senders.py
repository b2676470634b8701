"""Invariant 1 among liars: what an unverified sender says never stands in the way of a verified purchase."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.db.database import Database
from profiles.ingest import event_batch, event_store
from profiles.ingest.event_store import IngestStatus
from profiles.projection.apply import apply_event
from profiles.runs.routing import ApplyResult
from profiles.state import bounds
from profiles.state.event_records import IncomingEvent, StoredEvent
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import UnitOfWork
from tests.support.environments.gate import GateHarness, PausedCommitDatabase, shopper
from tests.support.environments.ingest import CARTS, PEOPLE, IngestHarness
from tests.support.generators.hostile_events import hostile_events
from tests.support.proof_size import FULL, size

TILL = {"source": "pos/berlin-3", "event_id": "till-3-000872"}


def forged(gate_env: GateHarness) -> IncomingEvent:
    """What a stranger posts with the page's public key: an event with the till's source and next id."""
    event = gate_env.build_event("Product Viewed", {"product_id": "x"}, **TILL, anonymous_id="stranger-1")
    return replace(event, verified=False)


def purchase(gate_env: GateHarness) -> IncomingEvent:
    return gate_env.build_event(
        "Order Completed", gate_env.order("lamp", order_id="r-872"), channel="store", **TILL, **shopper(1)
    )


@pytest.mark.parametrize("by_customer", [False, True], ids=["unverified", "with a customer's own token"])
async def test_invariant_1_a_stranger_who_took_the_tills_next_id_hides_no_purchase(
    gate_env: GateHarness, by_customer: bool
) -> None:
    run_id = await gate_env.one_cart()
    order = purchase(gate_env)
    await gate_env.ingest([replace(forged(gate_env), verified=by_customer, by_customer=by_customer)])
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
    select = event_store._SELECT_EXISTING_EVENTS.replace(
        "e.verified, e.by_customer FROM", "true AS verified, false AS by_customer FROM"
    )
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


KINDS = ("email", "phone", "loyalty_id", "anonymous_id", "push_token")

EXAMPLES = itertools.count()


def customer(number: int) -> dict[str, str]:
    """All identifiers of one customer."""
    token = "".join(sha256(f"{number} {part}".encode()).hexdigest() for part in range(15))
    return {
        **shopper(number),
        "loyalty_id": f"L-{number}",
        "anonymous_id": f"a-{number}",
        "push_token": token,
    }


def as_of(event: IncomingEvent, named: dict[str, str], till: str) -> IncomingEvent:
    """The event, about one customer and with a source that only one example has."""
    pairs = tuple((kind, named[kind]) for kind, _ in event.identifiers)
    return replace(event, identifiers=pairs, source=till)


@pytest.mark.proof
@pytest.mark.timeout(7200 if FULL else 300)
@settings(
    max_examples=size(100, 2000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(came_before=st.lists(st.lists(hostile_events(KINDS), min_size=1, max_size=5), max_size=4))
async def test_invariant_1_whatever_a_stranger_sent_before_a_purchase_and_an_opt_out_are_stored(
    database: Database, came_before: list[list[IncomingEvent]]
) -> None:
    """The verified events name all of the customer, so that whatever the stranger began is joined by them."""
    facts, number = IngestHarness(database, CARTS, PEOPLE), next(EXAMPLES)
    named, till = customer(number), f"pos/{number}"
    for batch in came_before:
        answers = await facts.ingest([as_of(event, named, till) for event in batch])
        assert all(answer.status is not IngestStatus.REJECTED for answer in answers)
    order = facts.event(
        "Order Completed",
        {"order_id": "r-872", "products": [{"product_id": "lamp", "sku": "lamp-red", "price": 39.0}]},
        event_id="till-1",
        channel="store",
        **named,
    )
    word = {"channel": "email", "topic": "marketing", "state": "withdrawn", "source": "desk"}
    opt_out = facts.event("Consent Changed", word, event_id="till-2", channel="store", **named)
    verified = [replace(event, source=till) for event in (order, opt_out)]
    results = [(await facts.ingest([event]))[0] for event in verified]

    assert [result.status for result in results] == [IngestStatus.ACCEPTED] * 2
    owner = await facts.who("email", named["email"])
    suppressed = "SELECT item FROM suppression WHERE profile_id = $1 AND event_id = $2 AND lifted_at IS NULL"
    assert await facts.values(suppressed, owner, results[0].event_id) == ["lamp"]
    assert await facts.values("SELECT item FROM purchase WHERE event_id = $1", results[0].event_id) == [
        "lamp"
    ]
    state = (
        "SELECT state FROM consent_state WHERE profile_id = $1 AND channel = 'email' AND topic = 'marketing'"
    )
    assert await facts.values(state, owner) == ["withdrawn"]
    left_out = "SELECT problems::text FROM event WHERE problems::text ~ 'could not be (stored|applied)'"
    assert await facts.values(left_out) == []


def long_history(gate_env: GateHarness, count: int) -> list[IncomingEvent]:
    """Additions to the customer's cart that a stranger sends with the public key."""
    return [
        replace(
            gate_env.build_event("Product Added", {"product_id": f"x-{number}"}, **shopper(1)), verified=False
        )
        for number in range(count)
    ]


async def test_invariant_1_a_purchase_older_than_the_window_of_carts_suppresses(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger makes a history so long that the till's late purchase is not sorted among it any more."""
    monkeypatch.setattr(bounds, "MAX_REPLAYED_EVENTS", 10)
    run_id = await gate_env.one_cart()
    await gate_env.ingest(long_history(gate_env, 30))
    order = purchase(gate_env)
    [answer] = await gate_env.ingest([replace(order, time=order.time - timedelta(hours=2))])

    assert answer.replayed_events == 0, "its place is before the window"
    assert await gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")) == ()
    [decision] = await gate_env.decisions()
    assert (decision["verdict"], decision["reason"]) == ("withhold", "purchased")


async def test_invariant_1_fails_where_a_purchase_before_the_window_is_only_stored(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: where such a purchase changes as little as others before the window, the reminder goes out."""
    monkeypatch.setattr(bounds, "MAX_REPLAYED_EVENTS", 10)

    def applied(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> ApplyResult:
        return ApplyResult(None, ()) if stored.is_before_window else apply_event(person, stored, changes)

    monkeypatch.setattr(event_batch, "apply_event", applied)
    run_id = await gate_env.one_cart()
    await gate_env.ingest(long_history(gate_env, 30))
    order = purchase(gate_env)
    await gate_env.ingest([replace(order, time=order.time - timedelta(hours=2))])

    assert await gate_env.allowed(gate_env.ask(run_id, "reminder", "lamp")) == ("lamp",)
