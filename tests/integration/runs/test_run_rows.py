"""A run's row: what is looked up in it, and the sweep that ends it once its workflow is over."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from authoring.testing.environment import Waypost
from local.time_travel import TravelError
from local.time_travel import load_workflow_id as workflow_to_travel
from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.runs.lifecycle import count_started, delivered_events, is_live, workflow_id_of
from tests.support.deadlines import scaled
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness
from workers.reconciler import Reconciler

HOUR = timedelta(hours=1)


@pytest.fixture
async def facts(database: Database) -> IngestHarness:
    """Somebody with one cart, and so one run with a start and a signal in the outbox."""
    facts = IngestHarness(database, CARTS)
    for product in (LAMP, CHAIR):
        await facts.happens("Product Added", product | {"cart_id": "c"}, email="ada@example.com")
    return facts


async def run_id_of(facts: IngestHarness) -> UUID:
    [run] = await facts.runs()
    run_id: UUID = run["run_id"]
    return run_id


async def test_a_run_is_live_until_it_has_ended(facts: IngestHarness) -> None:
    run_id = await run_id_of(facts)
    async with facts.database.transaction() as connection:
        before, other = await is_live(connection, run_id), await is_live(connection, new_id())
    await facts.close(run_id)
    after = await facts.database.run(lambda connection: is_live(connection, run_id))

    assert (before, other, after) == (True, False, False)


async def test_temporals_id_of_a_run_is_found(facts: IngestHarness) -> None:
    run_id = await run_id_of(facts)
    async with facts.database.transaction() as connection:
        found, other = await workflow_id_of(connection, run_id), await workflow_id_of(connection, new_id())

    assert (found, other) == (f"carts/c/{run_id}", None)
    assert await workflow_to_travel(facts.database, str(run_id)) == found
    with pytest.raises(TravelError, match="no run"):
        await workflow_to_travel(facts.database, str(new_id()))


async def test_runs_are_counted_by_when_and_by_whose_event_they_began(facts: IngestHarness) -> None:
    now = datetime.now(UTC)
    async with facts.database.transaction() as connection:
        counts = [
            await count_started(connection, now - HOUR, "test"),
            await count_started(connection, now - HOUR, "te%"),
            await count_started(connection, now - HOUR, "rees46"),
            await count_started(connection, now + HOUR, "test"),
        ]

    assert counts == [1, 1, 0, 0]


async def test_what_lies_before_a_row_counts_as_delivered_or_else_what_was(facts: IngestHarness) -> None:
    run_id = await run_id_of(facts)
    start, signal = await facts.rows("SELECT seq, event_id FROM outbox ORDER BY seq")
    async with facts.database.transaction() as connection:
        none, _ = await delivered_events(connection, run_id)
        first, _ = await delivered_events(connection, run_id, before_seq=signal["seq"])
    await facts.rows("UPDATE outbox SET delivered_at = now() RETURNING 1")
    async with facts.database.transaction() as connection:
        both, now = await delivered_events(connection, run_id)
        still, _ = await delivered_events(connection, run_id, before_seq=signal["seq"])

    assert (none, first, still) == ([], [start["event_id"]], [start["event_id"]])
    assert both == [start["event_id"], signal["event_id"]]
    assert abs(datetime.now(UTC) - now) < HOUR


async def test_a_run_whose_workflow_was_terminated_is_ended_by_the_sweep(waypost: Waypost) -> None:
    await waypost.ingest_event("Product Added", LAMP | {"cart_id": "c"}, email="ada@example.com")
    await waypost.ingest_event("Product Added", LAMP | {"cart_id": "d"}, email="bob@example.com")
    run = await waypost.run("cart-abandonment", "c")
    sweeper = Reconciler(waypost.database, waypost.client, waypost.journeys.routes, local=True)
    await waypost.handle(run).terminate("by hand")
    deadline = asyncio.get_running_loop().time() + scaled(20)
    while await sweeper.end_runs() == 0:
        # Temporal lists a workflow as terminated a moment later.
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)

    assert await sweeper.end_runs() == 0
    [ended] = await waypost.fetch_rows("SELECT key, outcome, detail FROM run WHERE state = 'ended'")
    assert ended == {"key": "c", "outcome": "terminated", "detail": "the workflow terminated in Temporal"}
