"""Rows that Postgres refuses: what is left out, what stands, and what it costs."""

import time
from dataclasses import replace
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.ingest import pipeline
from profiles.ingest.event_store import NOT_STORED, TOO_MANY_REFUSED, IngestStatus
from profiles.ingest.pipeline import MAX_REFUSALS
from profiles.state.event_records import IncomingEvent
from tests.support.deadlines import SCALE
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness, Row

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

NUL = {"note": "a\x00b"}
"""The API repairs it; Postgres refuses it."""


def poison(facts: IngestHarness, count: int, **more: Any) -> list[IncomingEvent]:
    """Unverified events of which the event row cannot be stored."""
    return [
        replace(facts.event("Page Viewed", NUL, anonymous_id=f"a-{number}"), verified=False, **more)
        for number in range(count)
    ]


def bought(facts: IngestHarness) -> IncomingEvent:
    return facts.event("Order Completed", {"order_id": "o-1", "products": [LAMP]}, email=ADA)


async def test_poisonous_events_are_rejected_and_their_neighbours_are_not(facts: IngestHarness) -> None:
    page = replace(facts.event("Product Viewed", LAMP, email=ADA), verified=False)
    events = [*poison(facts, 2), bought(facts), *poison(facts, 1), page]
    results = await facts.ingest(events)

    statuses = [result.status for result in results]
    assert statuses == ["rejected", "rejected", "accepted", "rejected", "accepted"]
    assert {result.code for result in results if result.status is IngestStatus.REJECTED} == {NOT_STORED}
    assert "cannot store this event" in results[0].detail
    assert await facts.values("SELECT item FROM suppression") == ["lamp"]
    assert await facts.values("SELECT count(*) FROM event") == [2]


async def test_a_thousand_poisonous_events_cost_well_under_a_second(facts: IngestHarness) -> None:
    transactions: list[float] = []
    original = Database.run

    async def timed(database: Database, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return await original(database, *arguments)
        finally:
            transactions.append(time.perf_counter() - started)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "run", timed)
        results = await facts.ingest([*poison(facts, 1000), bought(facts)])

    assert [result.status for result in results].count(IngestStatus.REJECTED) == 1000
    assert results[-1].status is IngestStatus.ACCEPTED
    assert len(transactions) == 2, "one that failed, and one with savepoints"
    assert sum(transactions) < 0.5 * SCALE


@pytest.mark.parametrize(
    ("table", "check", "left"),
    [
        ("purchase", "quantity < 0", {"suppression", "cart", "run"}),
        ("cart", "jsonb_array_length(lines) > 9", {"purchase", "suppression", "run"}),
        ("run", "key = ''", {"purchase", "suppression", "cart"}),
        ("outbox", "name = ''", {"purchase", "suppression", "cart", "run"}),
        ("profile", "traits = '{}'", {"purchase", "suppression", "cart", "run"}),
        ("suppression", "item = ''", {"purchase", "cart", "run"}),
        ("identifier", "profile_id IS NULL", set()),
    ],
)
async def test_a_derived_row_that_cannot_be_stored_is_left_out_with_a_problem(
    facts: IngestHarness, table: str, check: str, left: set[str]
) -> None:
    """Each table in turn refuses every row, as a row that came before might make it refuse one."""
    chair = {"product_id": "chair", "cart_id": "c-1"}
    added = facts.event("Product Added", chair, traits={"first_name": "Ada"}, email=ADA)
    await facts.rows(f"ALTER TABLE {table} ADD CONSTRAINT nothing CHECK ({check}) NOT VALID")
    results = await facts.ingest([added, bought(facts)])
    found = {
        name
        for name in ("purchase", "suppression", "cart", "run")
        if await facts.values(f"SELECT count(*) FROM {name}") != [0]
    }
    problems = await facts.values("SELECT problems::text FROM event WHERE problems <> '[]'")

    assert found == left
    if left:
        assert [result.status for result in results] == ["accepted", "accepted"]
        assert any("could not be stored" in text or "nothing" in text for text in problems)
    else:
        assert [result.status for result in results] == ["rejected", "rejected"]


async def test_a_withdrawal_stands_where_a_consent_of_another_cannot_be_stored(facts: IngestHarness) -> None:
    await facts.rows("ALTER TABLE consent ADD CONSTRAINT nothing CHECK (topic <> 'poison') NOT VALID")
    words: list[Row] = [
        {"channel": "email", "topic": topic, "state": "withdrawn"} for topic in ("poison", "marketing")
    ]
    bad, good = (facts.event("Consent Changed", word, email=ADA) for word in words)
    results = await facts.ingest([replace(bad, verified=False), good])

    assert [result.status for result in results] == ["accepted", "accepted"]
    assert await facts.values("SELECT state FROM consent_state WHERE topic = 'marketing'") == ["withdrawn"]
    assert await facts.values("SELECT topic FROM opt_out ORDER BY 1") == ["marketing", "poison"]


async def test_after_many_refusals_the_rest_of_that_request_alone_is_not_tried(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event by event is the last way in; it is taken where nothing can be stored row by row either."""
    original = pipeline.Ingest._ingest_batch

    async def fails_for_many(ingest: Any, connection: Any, prepared: Any) -> Any:
        if len(prepared) > 1 or "poison" in prepared[0].incoming.properties:
            raise ValueError("a bug")
        return await original(ingest, connection, prepared)

    monkeypatch.setattr(pipeline.Ingest, "_ingest_batch", fails_for_many)
    hostile = [
        replace(facts.event("Page Viewed", {"poison": 1}, email=ADA), verified=False, request="hostile")
        for _ in range(MAX_REFUSALS + 5)
    ]
    late = replace(facts.event("Page Viewed", email=ADA), verified=False, request="hostile")
    page = replace(facts.event("Page Viewed", email=ADA), verified=False, request="neighbour")
    order = replace(bought(facts), request="hostile")
    results = await facts.ingest([*hostile, late, page, order])

    codes = [result.code for result in results[:-2]]
    assert codes == [NOT_STORED] * MAX_REFUSALS + [TOO_MANY_REFUSED] * 6
    assert "send this one again" in results[-3].detail
    assert [result.status for result in results[-2:]] == ["accepted", "accepted"]
    assert await facts.values("SELECT item FROM suppression") == ["lamp"]


async def test_event_by_event_no_row_is_inserted_while_profiles_are_locked(
    facts: IngestHarness, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events, identifiers, profiles: a transaction that takes them in another order can deadlock."""
    original = pipeline.Ingest._ingest_batch

    async def fails_for_many(ingest: Any, connection: Any, prepared: Any) -> Any:
        if len(prepared) > 1:
            raise ValueError("a bug")
        transactions.append(await connection.fetchval("SELECT pg_current_xact_id()::text"))
        return await original(ingest, connection, prepared)

    transactions: list[str] = []
    monkeypatch.setattr(pipeline.Ingest, "_ingest_batch", fails_for_many)
    results = await facts.ingest([bought(facts), facts.event("Page Viewed", email=ADA)])

    assert [result.status for result in results] == ["accepted", "accepted"]
    assert len(set(transactions)) == 2


async def test_an_error_that_is_not_of_the_data_is_raised_and_nothing_is_written(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise OSError("the network went away")

    monkeypatch.setattr(pipeline, "resolve_identities", away)
    with pytest.raises(OSError, match="network"):
        await facts.ingest([*poison(facts, 3), bought(facts)])

    assert await facts.values("SELECT count(*) FROM event") == [0]
