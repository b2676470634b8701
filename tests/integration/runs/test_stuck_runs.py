"""Stuck runs: an operator puts them back or gives them up, and no event is lost either way."""

from typing import Any
from uuid import UUID

import pytest
from temporalio.client import WorkflowHandle

from local.temporal_server import TemporalDevServer
from policy.reentry import AtMost, Once, Reentry
from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.ingest.manual_start import start_run_manually
from profiles.runs import outbox
from profiles.runs.lifecycle import request_run_end
from profiles.runs.outbox import lock_batch
from profiles.runs.stuck import list_stuck_ids, retry_stuck_run
from profiles.views.backlog import list_stuck_runs, load_backlog
from tests.support.environments.gate import GateHarness, shopper
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, RoutedJourney

JOURNEYS = (CARTS,)

ADA = "ada@example.com"


async def added(facts: IngestHarness, product: dict[str, object] = LAMP) -> UUID:
    """Something goes into Ada's cart; the event's id."""
    answer = await facts.happens("Product Added", product | {"cart_id": "c"}, email=ADA)
    assert answer.event_id
    return answer.event_id


async def stuck(facts: IngestHarness) -> UUID:
    """The only live run, parked as the relay parks it."""
    [run] = await facts.runs()
    async with facts.database.transaction() as connection:
        assert await outbox.mark_stuck(connection, run["run_id"], "refused")
    run_id: UUID = run["run_id"]
    return run_id


async def retried(database: Database, run_id: UUID, reason: str = "the cause is mended") -> str | None:
    """Put a run back, as an operator."""
    return await database.run(
        lambda connection: retry_stuck_run(connection, run_id, reason=reason, actor="api/ops")
    )


async def due(database: Database) -> list[tuple[UUID, str]]:
    """The rows that a relay delivers next."""
    async with database.transaction() as connection:
        return [(row.lane, row.name) for row in await lock_batch(connection, 100)]


async def cancelled(facts: IngestHarness, run_id: UUID, *, reroute: bool = True) -> bool:
    """Give a run up, as an operator."""
    return await request_run_end(
        facts.database, facts.routes, run_id, "cancelled", "by hand", actor="api/ops", reroute=reroute
    )


async def signals_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Names of the signals of a run, in order."""
    events = (await handle.fetch_history()).events
    names = (event.workflow_execution_signaled_event_attributes.signal_name for event in events)
    return [name for name in names if name]


async def log_of(facts: IngestHarness) -> list[str]:
    """What operators did to runs."""
    return await facts.values("SELECT done || ' by ' || actor || ': ' || reason FROM run_log ORDER BY seq")


async def test_a_retried_run_is_delivered_to_from_the_row_that_failed_in_order(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.fetch_rows("UPDATE run SET workflow_id = repeat('x', 1200) || '/' || workflow_id")
    await gate_env.deliver_outbox()
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    await gate_env.deliver_outbox()
    before = await gate_env.fetch_rows("SELECT state FROM run WHERE run_id = $1", run_id)
    await gate_env.fetch_rows("UPDATE run SET workflow_id = substr(workflow_id, 1202)")
    state = await retried(gate_env.database, run_id)
    await gate_env.deliver_outbox()
    [run] = await gate_env.fetch_rows("SELECT * FROM run WHERE run_id = $1", run_id)

    assert [row["state"] for row in before] == ["stuck"]
    assert state == "stuck"
    assert (run["state"], run["detail"], run["stuck_at"]) == ("running", None, None)
    assert await signals_of(gate_env.handle(run)) == ["Product Added", "Order Completed"]


async def test_a_run_whose_cause_remains_is_parked_again(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.fetch_rows("UPDATE run SET workflow_id = repeat('x', 1200)")
    for _ in range(3):
        await gate_env.deliver_outbox()
        [run] = await gate_env.fetch_rows("SELECT state, detail FROM run WHERE run_id = $1", run_id)
        assert run["state"] == "stuck"
        assert "WorkflowId exceeds" in run["detail"]
        await retried(gate_env.database, run_id)


async def test_a_retry_is_idempotent_and_kept_in_the_log_with_its_reason(facts: IngestHarness) -> None:
    await added(facts)
    run_id = await stuck(facts)
    nothing_due = await due(facts.database)
    states = [await retried(facts.database, run_id) for _ in range(2)]

    assert nothing_due == []
    assert states == ["stuck", "running"]
    assert await due(facts.database) == [(run_id, "Product Added")]
    assert await log_of(facts) == ["retried by api/ops: the cause is mended"]
    assert await retried(facts.database, new_id()) is None


async def test_an_ended_run_is_not_put_back(facts: IngestHarness) -> None:
    entry = await added(facts)
    run_id = await stuck(facts)
    await facts.close(run_id, seen=[entry])

    assert await retried(facts.database, run_id) == "ended"
    assert await log_of(facts) == []


async def test_stuck_runs_are_listed_with_since_when_and_why(facts: IngestHarness) -> None:
    await added(facts)
    run_id = await stuck(facts)
    async with facts.database.transaction() as connection:
        [shown] = await list_stuck_runs(connection)
        figures = await load_backlog(connection)
        ids = [await list_stuck_ids(connection, journey) for journey in (None, "carts", "others")]

    assert (shown.run_id, shown.journey, shown.reason) == (run_id, "carts", "refused")
    assert shown.since is not None
    assert figures.stuck_runs == 1
    assert figures.stuck_oldest_s > 0
    assert figures.oldest_s == 0, "rows of a stuck run do not say that the relay is down"
    assert ids == [[run_id], [run_id], []]


# Giving up


async def test_giving_a_stuck_run_up_routes_all_that_it_missed_afresh(facts: IngestHarness) -> None:
    events = [await added(facts), await added(facts, CHAIR)]
    run_id = await stuck(facts)
    assert await cancelled(facts, run_id)
    [second] = await facts.runs()

    assert [(run["run_id"], run["outcome"]) for run in await facts.runs("ended")] == [(run_id, "cancelled")]
    assert await facts.outbox(second["run_id"]) == ["start: Product Added", "Product Added"]
    assert (
        await facts.values("SELECT event_id FROM outbox WHERE lane = $1 ORDER BY seq", second["run_id"])
        == events
    )
    assert await log_of(facts) == ["cancelled by api/ops: by hand"]


async def test_what_was_delivered_is_left_to_the_workflow(facts: IngestHarness) -> None:
    """The workflow exists: it is told to end, and says itself what of it the story has not seen."""
    entry, delivered = await added(facts), await added(facts, CHAIR)
    await facts.values("UPDATE outbox SET delivered_at = now() RETURNING seq")
    missed = await added(facts, LAMP | {"product_id": "table"})
    run_id = await stuck(facts)
    await cancelled(facts, run_id)
    [second] = await facts.runs()
    told = await facts.values("SELECT event_id FROM outbox WHERE lane = $1 ORDER BY seq", second["run_id"])
    closed = await facts.close(run_id, seen=[entry])
    again = await facts.close(run_id, seen=[entry])

    assert told == [missed]
    assert (closed.rerouted, again.rerouted) == (1, 0)
    assert await facts.values(
        "SELECT event_id FROM outbox WHERE lane = $1 ORDER BY seq", second["run_id"]
    ) == [missed, delivered]


async def test_a_run_can_be_given_up_with_its_events(facts: IngestHarness) -> None:
    """For an event that no run can take: routed again, it would only get the next run stuck."""
    await added(facts)
    run_id = await stuck(facts)
    await cancelled(facts, run_id, reroute=False)

    assert await facts.runs() == []
    undelivered = "SELECT name FROM outbox WHERE lane = $1 AND delivered_at IS NULL AND kind <> 'audience'"
    assert await facts.values(undelivered, run_id) == ["End Run"]
    await added(facts)
    assert len(await facts.runs()) == 1, "its key is free again"


async def test_a_run_that_an_operator_started_against_the_filter_starts_again(database: Database) -> None:
    journey = RoutedJourney(where=lambda event: False)
    facts = IngestHarness(database, journey)
    incoming = facts.event("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    started = await start_run_manually(database, journey, incoming)
    assert await stuck(facts) == started.run_id
    await cancelled(facts, started.run_id)

    assert [run["key"] for run in await facts.runs()] == ["c"]


@pytest.mark.parametrize(
    ("reentry", "delivered", "sent", "live"),
    [
        pytest.param(Once(), False, False, 1, id="once, and the run did not begin"),
        pytest.param(Once(), True, False, 0, id="once, and it began"),
        pytest.param(AtMost(1), False, False, 1, id="at most one, and the run did not begin"),
        pytest.param(AtMost(1), True, False, 1, id="at most one, and it sent nothing"),
        pytest.param(AtMost(1), True, True, 0, id="at most one, and it sent something"),
    ],
)
async def test_a_stuck_run_uses_up_an_entry_as_far_as_it_came(
    database: Database, reentry: Reentry, delivered: bool, sent: bool, live: int
) -> None:
    facts = IngestHarness(database, RoutedJourney(reentry=reentry))
    await added(facts)
    if delivered:
        await facts.rows("UPDATE outbox SET delivered_at = now()")
    if sent:
        [run] = await facts.runs()
        await facts.sent(run["run_id"])
    await added(facts, CHAIR)
    await cancelled(facts, await stuck(facts))

    assert len(await facts.runs()) == live


@pytest.mark.parametrize("reroute", [True, False])
async def test_giving_up_again_changes_nothing(facts: IngestHarness, reroute: bool) -> None:
    await added(facts)
    run_id = await stuck(facts)
    answers = [await cancelled(facts, run_id, reroute=reroute) for _ in range(2)]

    assert answers == [True, False]
    assert len(await facts.runs()) == int(reroute)
    assert len(await log_of(facts)) == 1


async def test_a_reason_of_any_characters_can_be_kept(facts: IngestHarness) -> None:
    """A server quotes what it refuses; an error that cannot be written would hold up the whole batch."""
    await added(facts)
    [run] = await facts.runs()
    async with facts.database.transaction() as connection:
        [row] = await lock_batch(connection, 1)
        await outbox.record_failure(connection, row.seq, "\x00\udc80" * 400)
        await outbox.reschedule(connection, row.seq, "\x00\udc80" * 400)
        assert await outbox.mark_stuck(connection, run["run_id"], "refused \x00\udc80")

    assert await facts.values("SELECT detail FROM run") == ["refused ??"]
