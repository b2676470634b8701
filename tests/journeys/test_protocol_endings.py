"""The end of a run: no trigger is lost on the way out, none acted on twice, and no signal can break it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.close_run import RunActivities
from activities.contracts import CloseResult, CloseRun
from authoring.testing.environment import Row, Waypost
from local.temporal_server import TemporalDevServer
from profiles.runs.lifecycle import close_run
from tests.support.deadlines import scaled
from tests.support.journeys.small import Brief, CountToEnd, Doze, KeepCompany
from tests.support.proof_size import size

ADA: Row = {"email": "ada@example.com"}


def added(product: str) -> Row:
    return {"product_id": product, "name": product, "cart_id": "c-1"}


class Door:
    """Stands before ``close_run``, or behind its COMMIT, until the test opens it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, behind: bool) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        close = RunActivities.close_run

        async def waiting(activities: RunActivities, request: CloseRun) -> CloseResult:
            if not behind:
                await self._wait()
            closed = await close(activities, request)
            if behind:
                await self._wait()
            return closed

        # The activity's own mark is kept, so that the worker registers it under its name.
        waiting.__dict__.update(close.__dict__)
        waiting.__annotations__.update(close.__annotations__)
        monkeypatch.setattr(RunActivities, "close_run", waiting)

    async def _wait(self) -> None:
        self.reached.set()
        await self.opened.wait()


async def products_acted_on(waypost: Waypost) -> list[tuple[str, str]]:
    """(state or outcome, product of the entry) of each run, in order of entry."""
    return [
        (row["outcome"] or row["state"], row["product"])
        for row in await waypost.fetch_rows(
            "SELECT r.outcome, r.state, e.properties ->> 'product_id' AS product FROM run r "
            "JOIN event e ON e.event_id = r.entry_event ORDER BY r.run_id"
        )
    ]


@pytest.mark.parametrize("behind", [False, True], ids=["before close_run", "after close_run's COMMIT"])
@pytest.mark.parametrize("delivered", [True, False], ids=["told at once", "told later"])
async def test_a_trigger_that_comes_while_its_run_is_ending_is_acted_on_exactly_once(
    database_url: str,
    temporal: TemporalDevServer,
    monkeypatch: pytest.MonkeyPatch,
    behind: bool,
    delivered: bool,
) -> None:
    door = Door(monkeypatch, behind=behind)
    async with Waypost(database_url, temporal.client, journeys=(Brief,)) as waypost:
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        first = await waypost.run("brief")
        async with asyncio.timeout(scaled(20)):
            await door.reached.wait()
        await waypost.ingest([waypost.build_event("Product Added", added("chair"), **ADA)])
        if delivered:
            await waypost.deliver_outbox()
        door.opened.set()
        await waypost.run_result(first)
        await waypost.deliver_outbox()
        second = await waypost.run("brief")
        await waypost.run_result(second)
        await waypost.deliver_outbox()

        assert await products_acted_on(waypost) == [("brief lamp", "lamp"), ("brief chair", "chair")]


async def test_a_product_added_in_the_same_breath_as_the_purchase_that_ends_the_run_starts_a_new_one(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,), with_workers=False) as waypost:
        # No worker yet, so that the run gets all three signals in its first task.
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        await waypost.ingest_event("Order Completed", {"order_id": "o-1", "products": [added("lamp")]}, **ADA)
        await waypost.ingest_event("Product Added", added("chair"), **ADA)
        async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)):
            first = await waypost.fetch_rows("SELECT * FROM run ORDER BY run_id LIMIT 1")
            assert (await waypost.run_result(first[0])).outcome == "bought"
            await waypost.deliver_outbox()

            assert await products_acted_on(waypost) == [("bought", "lamp"), ("running", "chair")]


async def test_a_product_added_while_the_story_looked_at_no_event_any_more_is_acted_on_by_the_next_run(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(Doze,)) as waypost:
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        first = await waypost.run("doze")
        await waypost.ingest_event("Product Added", added("chair"), **ADA)
        await waypost.advance_run(first, timedelta(hours=2))
        await waypost.run_result(first)
        await waypost.deliver_outbox()

        assert await products_acted_on(waypost) == [("dozed over lamp", "lamp"), ("running", "chair")]


def closing_input(history: Any) -> CloseRun:
    for event in history.events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "close_run":
            return CloseRun.model_validate_json(scheduled.input.payloads[0].data)
    raise AssertionError("the run never closed")


async def test_closing_twice_changes_nothing(database_url: str, temporal: TemporalDevServer) -> None:
    async with Waypost(database_url, temporal.client, journeys=(Brief,)) as waypost:
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        run = await waypost.run("brief")
        await waypost.run_result(run)
        before = await waypost.run("brief")
        again = await close_run(
            waypost.database,
            waypost.journeys.routes,
            run["run_id"],
            outcome="other",
            seen_event_ids=[],
            at=waypost.clock,
        )

        assert again.rerouted == 0
        assert await waypost.run("brief") == before


@pytest.mark.proof
async def test_no_signal_of_two_hundred_is_lost_where_they_race_with_completion(
    database_url: str, temporal: TemporalDevServer
) -> None:
    count = size(100, 900)
    async with Waypost(database_url, temporal.client, journeys=(CountToEnd,)) as waypost:
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        run = await waypost.run("count-to-end")
        handle = waypost.handle(run)
        turns = asyncio.Semaphore(25)

        async def signal(number: int) -> None:
            async with turns:
                await handle.signal("Product Added", {**added(f"p-{number}"), "id": f"e-{number}"})

        flood = asyncio.gather(*(signal(n) for n in range(count)), return_exceptions=True)
        click = asyncio.create_task(handle.signal("Message Clicked", {"id": "click"}))
        await asyncio.gather(flood, click)
        await waypost.run_result(run, timeout_s=60)
        history = await handle.fetch_history()
        convert = waypost.client.data_converter.payload_converter
        told = {
            event.event_id: convert.from_payload(signalled.input.payloads[0])["id"]
            for event in history.events
            if (signalled := event.workflow_execution_signaled_event_attributes).signal_name
        }
        seen = closing_input(history).seen
        decided = task_that_closed(history)

        # All that Temporal had taken when the last task began is in the story; what came later is given back.
        assert list(seen) == [event_id for number, event_id in told.items() if number < decided]
        assert "click" in seen
        assert len(told) > 1


def task_that_closed(history: Any) -> int:
    """Number of the event with which the task began that decided to close."""
    events = {event.event_id: event for event in history.events}
    [closing] = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "close_run"
    ]
    completed = events[closing.workflow_task_completed_event_id].workflow_task_completed_event_attributes
    return int(completed.started_event_id)


async def send_raw(client: Client, run: Row, name: str, *arguments: Any) -> None:
    await client.get_workflow_handle(run["workflow_id"]).signal(name, args=list(arguments))


async def test_signals_that_cannot_be_read_are_counted_and_a_purchase_after_them_is_honoured(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        run = await waypost.run("keep-company")
        await send_raw(temporal.client, run, "Nobody Knows", {"id": "x"})
        await send_raw(temporal.client, run, "Product Added", added("no id"))
        await send_raw(temporal.client, run, "Product Added")
        await send_raw(temporal.client, run, "Product Added", ["a", "list"])
        await send_raw(temporal.client, run, "Product Added", {"id": "x", "cart": "no list"})
        await send_raw(temporal.client, run, "End Run", {"why": "no outcome"})
        not_json = Payload(metadata={"encoding": b"json/plain"}, data=b"\xff{")
        unknown = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00")
        await send_raw(temporal.client, run, "Order Completed", RawValue(not_json))
        await send_raw(temporal.client, run, "Order Completed", RawValue(unknown))
        details = await waypost.run_details(run)
        await waypost.ingest_event("Order Completed", {"order_id": "o-1", "products": [added("lamp")]}, **ADA)

        assert "8 signals could not be read" in details
        assert (await waypost.run_result(run)).outcome == "bought"


async def test_a_run_whose_entry_cannot_be_read_still_ends_at_a_purchase(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        await waypost.ingest([waypost.build_event("Product Added", added("lamp"), **ADA)])
        await waypost.fetch_rows(
            "UPDATE outbox SET payload = jsonb_set(payload, '{event}', $1) WHERE kind = 'start'",
            '{"quantity": "many"}',
        )
        await waypost.deliver_outbox()
        run = await waypost.run("keep-company")
        await waypost.ingest_event("Order Completed", {"order_id": "o-1", "products": [added("lamp")]}, **ADA)

        assert (await waypost.run_result(run)).outcome == "bought"


async def test_a_run_whose_close_cannot_reach_postgres_closes_when_it_can(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[UUID] = []
    close = RunActivities.close_run

    async def failing(activities: RunActivities, request: CloseRun) -> CloseResult:
        attempts.append(UUID(request.run_id))
        if len(attempts) == 1:
            raise ApplicationError("Postgres is away")
        return await close(activities, request)

    failing.__dict__.update(close.__dict__)
    failing.__annotations__.update(close.__annotations__)
    monkeypatch.setattr(RunActivities, "close_run", failing)
    async with Waypost(database_url, temporal.client, journeys=(Brief,)) as waypost:
        await waypost.ingest_event("Product Added", added("lamp"), **ADA)
        run = await waypost.run("brief")

        assert (await waypost.run_result(run)).outcome == "brief lamp"
        assert attempts == [run["run_id"], run["run_id"]]
        assert (await waypost.run("brief"))["state"] == "ended"
