"""Late events: what they change, and that they cost the same whatever their profile has behind it."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.db.database import Database
from profiles.projection.apply import BEFORE_WINDOW_PROBLEM
from profiles.runs.routing import MAX_LIVE_RUNS
from profiles.state import bounds, profile_state
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, PEOPLE, IngestHarness
from tests.support.generators.event_histories import HistoryEvent, as_events, lives
from tests.support.queries.snapshot import Record, forget_all, record

JOURNEYS = (CARTS, PEOPLE)

ADA = {"anonymous_id": "ada"}

WINDOW = 10


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_REPLAYED_EVENTS", WINDOW)


def added(facts: IngestHarness, product: str, minutes: float, **more: object) -> IncomingEvent:
    """A product that was put into the cart some minutes ago."""
    row = {"product_id": product, "cart_id": "c-1", **more}
    return facts.event("Product Added", row, ago=timedelta(minutes=minutes), **ADA)


async def arrive_when_they_happen(facts: IngestHarness, events: list[IncomingEvent]) -> None:
    """Ingest events as if each had arrived at its own time."""
    await facts.ingest(events)
    await facts.rows("UPDATE event SET at = time")


async def lines(facts: IngestHarness) -> list[str]:
    rows = await facts.values(
        "SELECT line ->> 'product_id' FROM cart, "
        "jsonb_array_elements(lines) WITH ORDINALITY AS l(line, place) "
        "WHERE closed_at IS NULL ORDER BY cart_id, place"
    )
    return list(map(str, rows))


async def problems(facts: IngestHarness, result_id: object) -> list[str]:
    return await facts.values(
        "SELECT problem ->> 'detail' FROM event, jsonb_array_elements(problems) problem WHERE event_id = $1",
        result_id,
    )


@pytest.mark.parametrize("count", [600, 1800])
async def test_a_late_event_costs_the_same_whatever_the_history(facts: IngestHarness, count: int) -> None:
    """With 9,000 events of one profile, each late event took 0.9 s."""
    past = [added(facts, f"p-{number % 50}", count - number + 1) for number in range(count)]
    await arrive_when_they_happen(facts, past)
    [in_window] = await facts.ingest([added(facts, "lamp", 100.5)])
    [before] = await facts.ingest([added(facts, "rug", count + 60)])

    assert in_window.replayed_events == bounds.MAX_REPLAYED_EVENTS
    assert before.replayed_events == 0
    assert "lamp" in await lines(facts)
    assert "rug" not in await lines(facts)
    assert await problems(facts, before.event_id) == [BEFORE_WINDOW_PROBLEM]


async def test_views_of_pages_do_not_hide_a_long_history(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the newest events of any type are searched for those of carts."""
    monkeypatch.setattr(bounds, "MAX_SCANNED_EVENTS", 20)
    cart = [added(facts, f"p-{number}", 90 - number) for number in range(5)]
    views = [
        facts.event("Product Viewed", LAMP, ago=timedelta(minutes=50 - number), **ADA) for number in range(30)
    ]
    await arrive_when_they_happen(facts, [*cart, *views])
    [late] = await facts.ingest([added(facts, "rug", 120)])

    assert late.replayed_events == 0
    assert await lines(facts) == [f"p-{number}" for number in range(5)]


@pytest.mark.usefixtures("window")
async def test_a_late_event_within_the_window_takes_its_place(facts: IngestHarness) -> None:
    """Removed before it was added again: the cart has it, as if both had come in order."""
    past = [added(facts, f"p-{number}", 60 - number) for number in range(30)]
    past += [added(facts, "lamp", 10)]
    await arrive_when_they_happen(facts, past)
    removed = facts.event("Product Removed", {**LAMP, "cart_id": "c-1"}, ago=timedelta(minutes=10.5), **ADA)
    await facts.ingest([removed])

    assert "lamp" in await lines(facts)
    # What was added before the window is no longer known.
    assert len(await lines(facts)) == WINDOW


@pytest.mark.usefixtures("window")
async def test_a_cart_keeps_its_id_where_its_first_event_is_before_the_window(facts: IngestHarness) -> None:
    """The run of the cart knows it by this id."""
    past = [
        facts.event("Product Added", {"product_id": f"p-{number}"}, ago=timedelta(minutes=60 - number), **ADA)
        for number in range(30)
    ]
    await arrive_when_they_happen(facts, past)
    [cart_id] = await facts.values("SELECT cart_id FROM cart")
    late = facts.event("Product Added", CHAIR, ago=timedelta(minutes=32.5), **ADA)
    [result] = await facts.ingest([late])

    assert result.replayed_events == WINDOW
    assert await facts.values("SELECT cart_id FROM cart") == [cart_id]
    assert await facts.values("SELECT key FROM run WHERE state <> 'ended'") == [cart_id]


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("name", ["Order Completed", "Product Removed"])
async def test_before_the_window_an_order_and_a_removal_still_take_out_what_they_name(
    facts: IngestHarness, name: str
) -> None:
    past = [added(facts, "lamp", 65), *(added(facts, f"p-{number}", 60 - number) for number in range(30))]
    await arrive_when_they_happen(facts, past)
    properties = LAMP | {"cart_id": "c-1"} if name == "Product Removed" else {"products": [LAMP]}
    [result] = await facts.ingest([facts.event(name, properties, ago=timedelta(minutes=64), **ADA)])

    assert result.replayed_events == 0
    assert await lines(facts) == [f"p-{number}" for number in range(30)]
    signals = await facts.values("SELECT name FROM outbox WHERE event_id = $1", result.event_id)
    assert name in signals
    bought = ["lamp"] if name == "Order Completed" else []
    assert await facts.values("SELECT item FROM suppression") == bought


@pytest.mark.usefixtures("window")
async def test_before_the_window_a_cart_that_is_told_as_a_whole_replaces_no_newer_one(
    facts: IngestHarness,
) -> None:
    past = [added(facts, f"p-{number}", 60 - number) for number in range(30)]
    await arrive_when_they_happen(facts, past)
    whole = {"cart_id": "c-1", "products": [CHAIR]}
    for name in ("Cart Viewed", "Checkout Started"):
        await facts.happens(name, whole, ago=timedelta(minutes=100), **ADA)

    assert await lines(facts) == [f"p-{number}" for number in range(30)]
    assert await facts.values("SELECT last_checkout_at IS NOT NULL FROM profile") == [True]


async def test_an_event_reads_a_bounded_number_of_runs_and_refunds(
    facts: IngestHarness, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 9,000 of either, each event of the profile took 0.1 s."""
    monkeypatch.setattr(profile_state, "MAX_ENDED_RUNS", 3)
    carts = [added(facts, "lamp", 60, cart_id=f"c-{number}") for number in range(MAX_LIVE_RUNS + 20)]
    results = await facts.ingest([replace(event, verified=False) for event in carts])
    live = await facts.values("SELECT count(*) FROM run WHERE state <> 'ended'")
    [verified] = await facts.ingest([added(facts, "lamp", 1, cart_id="c-verified")])
    refunds = [
        facts.event("Order Refunded", {"order_id": f"o-{number}"}, **ADA)
        for number in range(profile_state.MAX_REFUNDS + 20)
    ]
    await facts.ingest([replace(event, verified=number == 0) for number, event in enumerate(refunds)])
    await facts.rows("UPDATE run SET state = 'ended' WHERE key <> 'c-verified'")
    async with database.transaction() as connection:
        [profile_id] = await facts.values("SELECT profile_id FROM profile")
        plain = (await profile_state.load_profile_states(connection, [profile_id]))[profile_id]
        [person] = (
            await profile_state.load_profile_states(connection, [profile_id], ["c-7"], refunds=True)
        ).values()

    assert live == [MAX_LIVE_RUNS]
    assert any("live runs" in detail for detail in await problems(facts, results[-1].event_id))
    assert await facts.values("SELECT key FROM run WHERE entry_event = $1", verified.event_id) == [
        "c-verified"
    ]
    assert len(plain.refunds) == 0
    assert len(person.refunds) == profile_state.MAX_REFUNDS
    assert (person.refunds[0].properties, person.refunds[0].verified) == ({"order_id": "o-0"}, True)
    assert ("carts", "c-7") in person.run_entries
    # Three ended ones, that of the verified event, and perhaps the one with the key.
    assert len(plain.run_entries) == 4
    assert len(person.run_entries) in (4, 5)
    assert [run.key for run in person.runs] == ["c-verified"]


def kept_whatever_the_order(found: Record) -> dict[object, object]:
    """Of each person, all but what is in the carts."""
    return {who: {name: row[name] for name in row if name != "carts"} for who, row in found.items()}


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(life=lives, seed=st.integers(0, 2**32))
@pytest.mark.usefixtures("window")
async def test_beyond_the_window_everything_but_the_carts_is_the_same_in_any_order(
    database: Database, life: list[HistoryEvent], seed: int
) -> None:
    """With a window of ten events, so that most late events are older than it."""
    dice, events = random.Random(seed), as_events(life)
    found = []
    for order in (sorted(events, key=lambda event: event.time), dice.sample(events, len(events))):
        await forget_all(database)
        facts = IngestHarness(database)
        for event in order:
            await facts.ingest([event])
        found.append(kept_whatever_the_order(await record(database)))

    assert found[0] == found[1]


async def test_a_late_event_costs_the_same_whatever_the_size_of_past_ones(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 200 orders of 500 lines, each late event took 5 s."""
    monkeypatch.setattr(bounds, "MAX_REPLAYED_SIZE", 10_000)
    products = [{"product_id": f"p-{line}"} for line in range(100)]
    orders = [
        facts.event(
            "Order Completed",
            {"order_id": f"o-{number}", "items": products},
            ago=timedelta(minutes=60 - number),
            **ADA,
        )
        for number in range(20)
    ]
    await arrive_when_they_happen(facts, [replace(order, verified=False) for order in orders])
    [late] = await facts.ingest([added(facts, "lamp", 42.5)])
    [before] = await facts.ingest([added(facts, "rug", 55)])

    assert 20 <= late.replayed_events <= 10_000 / 200, "as many as small ones of that size, not 4"
    assert before.replayed_events == 0
    assert await lines(facts) == ["lamp"]
    assert await problems(facts, before.event_id) == [BEFORE_WINDOW_PROBLEM]


async def test_an_order_reads_all_verified_refunds_and_unverified_ones_of_a_bounded_size(
    facts: IngestHarness, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 300 refunds of 300 lines, each order of the profile took seconds."""
    monkeypatch.setattr(bounds, "MAX_UNVERIFIED_REFUND_SIZE", 5_000)
    products = [{"product_id": f"p-{line}"} for line in range(100)]
    refunds = [
        facts.event("Order Refunded", {"order_id": f"o-{number}", "products": products}, **ADA)
        for number in range(20)
    ]
    await facts.ingest([replace(event, verified=number < 5) for number, event in enumerate(refunds)])
    [profile_id] = await facts.values("SELECT profile_id FROM profile")
    async with database.transaction() as connection:
        [person] = (await profile_state.load_profile_states(connection, [profile_id], refunds=True)).values()

    assert [refund.verified for refund in person.refunds[:6]] == [True] * 5 + [False]
    assert len(person.refunds) <= 7
