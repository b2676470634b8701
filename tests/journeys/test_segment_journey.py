"""From a segment's query to the end of a journey: its schedule, its sweeps, and whom they bring in."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contracts import SegmentSweepResult, SweepSegment
from activities.sweeps import SegmentActivities
from authoring.testing.environment import Waypost
from journeys.registry import JourneyRegistry
from journeys.vocabulary import Segment
from local.temporal_server import TemporalDevServer
from profiles.sweeps.segments import sweep_segment
from tests.support.deadlines import scaled
from tests.support.journeys.segments import REGULARS, GreetRegulars, ThankRegulars
from workers.errors import UserError
from workers.schedules import SEGMENT_SCHEDULE_PREFIX, ensure_segment_schedules
from workers.startup import declared_segments, validate_segments

LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0}


@pytest_asyncio.fixture(loop_scope="session")
async def waypost(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Waypost]:
    """Two journeys that share a segment; no schedule is left behind."""
    async with Waypost(database_url, temporal.client, journeys=(ThankRegulars, GreetRegulars)) as running:
        yield running
        await ensure_segment_schedules(temporal.client, {})


async def becomes_regular(waypost: Waypost, user: str) -> None:
    for number in range(2):
        order = {"order_id": f"{user}-{number}", "products": [LAMP]}
        await waypost.ingest_event("Order Completed", order, user_id=user)


async def swept(client: Client, name: str) -> str:
    """What an operator reads of the newest finished sweep of a schedule."""
    handle = client.get_schedule_handle(SEGMENT_SCHEDULE_PREFIX + name)
    async with asyncio.timeout(scaled(20)):
        while True:
            if recent := (await handle.describe()).info.recent_actions:
                break
            await asyncio.sleep(0.05)
        action = recent[-1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        sweep = client.get_workflow_handle(action.workflow_id, result_type=SegmentSweepResult)
        await sweep.result()
        told = await sweep.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(told.current_details)


async def test_newcomers_of_a_segment_enter_every_journey_that_starts_on_it(waypost: Waypost) -> None:
    await sweep_segment(waypost.database, waypost.ingest, REGULARS)
    await becomes_regular(waypost, "ada")
    found = await sweep_segment(waypost.database, waypost.ingest, REGULARS)
    await waypost.deliver_outbox()
    greeted, thanked = await waypost.run("greet-regulars"), await waypost.run("thank-regulars")
    await waypost.advance_run(thanked, timedelta(days=2))

    assert found.newcomers == 1
    assert (await waypost.run_result(greeted)).outcome == "greeted"
    assert (await waypost.run_result(thanked)).outcome == "thanked among the regulars"


async def test_an_event_of_another_segment_starts_nothing(waypost: Waypost) -> None:
    await waypost.ingest_event("Segment Entered", {"segment": "strangers"}, user_id="ada")

    assert await waypost.fetch_rows("SELECT 1 FROM run") == []


async def test_a_new_schedule_sweeps_at_once_and_says_what_it_found(waypost: Waypost) -> None:
    await becomes_regular(waypost, "ada")
    segments = declared_segments(waypost.journeys)
    await ensure_segment_schedules(waypost.client, {name: one.every for name, one in segments.items()})
    first = await swept(waypost.client, "regulars")
    await becomes_regular(waypost, "bob")
    activity = SegmentActivities(waypost.database, waypost.ingest, segments)
    second = await ActivityEnvironment().run(activity.sweep_segment, SweepSegment(segment="regulars"))

    assert first == "1 found, noted only, since this is the first sweep, 0 left"
    assert second.summary == "2 found, 1 newcomer, 0 left"


async def test_a_schedule_follows_the_code_but_for_the_operators_pause(waypost: Waypost) -> None:
    client = waypost.client
    await ensure_segment_schedules(client, {"regulars": timedelta(hours=2), "gone": timedelta(hours=1)})
    handle = client.get_schedule_handle(SEGMENT_SCHEDULE_PREFIX + "regulars")
    before = await handle.describe()
    await handle.pause(note="the shop is closed")
    for _ in range(2):
        await ensure_segment_schedules(client, {"regulars": timedelta(hours=3)})
    after = await handle.describe()
    left = [
        one.id async for one in await client.list_schedules() if one.id.startswith(SEGMENT_SCHEDULE_PREFIX)
    ]

    assert [one.every for one in before.schedule.spec.intervals] == [timedelta(hours=2)]
    assert [one.every for one in after.schedule.spec.intervals] == [timedelta(hours=3)]
    assert after.schedule.state.paused
    assert after.schedule.state.note == "the shop is closed"
    assert SEGMENT_SCHEDULE_PREFIX + "gone" not in left


async def test_a_failing_query_fails_its_own_sweep_in_words(waypost: Waypost) -> None:
    wrong = Segment("wrong", "SELECT profile_id FROM person WHERE 1 / orders > 0")
    await waypost.ingest_event("Product Viewed", {"product_id": "lamp"}, user_id="ada")
    activity = SegmentActivities(waypost.database, waypost.ingest, {"wrong": wrong, "regulars": REGULARS})
    run = ActivityEnvironment().run
    with pytest.raises(ApplicationError, match="segment 'wrong' cannot be asked: division by zero") as failed:
        await run(activity.sweep_segment, SweepSegment(segment="wrong"))
    with pytest.raises(ApplicationError, match="there are: regulars, wrong"):
        await run(activity.sweep_segment, SweepSegment(segment="other"))
    well = await run(activity.sweep_segment, SweepSegment(segment="regulars"))

    assert not failed.value.non_retryable
    assert well.found == 0


async def test_a_worker_refuses_to_start_on_wrong_segments_and_says_all_that_is_wrong(
    waypost: Waypost,
) -> None:
    thanks, greets = ThankRegulars.definition, GreetRegulars.definition
    wrong = Segment("regulars", "SELECT profile_id FROM person WHERE ordrs > 1")
    journeys = {"thank": replace(thanks, entries=(wrong,)), "greet": greets}
    await validate_segments(waypost.database, JourneyRegistry([ThankRegulars, GreetRegulars]))
    with pytest.raises(UserError) as refused:
        await validate_segments(waypost.database, journeys)

    assert "different query and every" in str(refused.value)
    assert 'column "ordrs" does not exist' in str(refused.value)
