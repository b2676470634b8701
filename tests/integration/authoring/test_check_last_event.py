"""Changes that break an open run although Temporal replays its history: ``waypost check`` reports them."""

import asyncio
import importlib
import inspect
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from authoring.replay.main import check
from authoring.replay.replayer import difference, replay
from authoring.testing.environment import Waypost
from journeys.cart_abandonment import story
from journeys.cart_abandonment.story import CartAbandonment
from journeys.registry import JourneyRegistry
from journeys.vocabulary import Journey
from local.temporal_server import TemporalDevServer
from tests import replay as histories
from tests.support.deadlines import scaled

NAME = "cart-abandonment"
LAST_WAIT = "await self.wait_for(MessageClicked, within=days(2))"
WIDER_WAIT = "await self.wait_for(MessageClicked, PriceDropped, within=days(2))"
STARTS = "starts_on=(ProductAdded, CheckoutStarted)"
FEWER_STARTS = "starts_on=CheckoutStarted"
CONSENTS = {"consents": {"email": True, "sms": True}, "timezone": "Europe/Berlin"}


class Redeployed(Waypost):
    """Puts another version of a journey in place of the first while its runs are open."""

    async def deploy(self, journey: type[Journey]) -> None:
        """Stop the workers and start them with this class."""
        assert self._workers_task is not None
        self._workers_task.cancel()
        await asyncio.wait([self._workers_task])
        self.journeys = JourneyRegistry([journey])
        await self.__aenter__()


@pytest.fixture
def wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Journey]:
    """The shipped story with one event more in its last wait."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return changed_story(tmp_path / "wider_story.py", LAST_WAIT, WIDER_WAIT)


@pytest.fixture
def narrower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Journey]:
    """The shipped story with one of its two entry events."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return changed_story(tmp_path / "narrower_story.py", STARTS, FEWER_STARTS)


def changed_story(file: Path, old: str, new: str) -> type[Journey]:
    """The shipped story with one passage replaced, written to a file of a folder on the path and loaded."""
    text = inspect.getsource(story)
    assert old in text
    file.write_text(text.replace(old, new))
    found: type[Journey] = importlib.import_module(file.stem).CartAbandonment
    return found


async def recorded_histories() -> AsyncIterator[WorkflowHistory]:
    """The recorded histories of the shipped journey."""
    for file in sorted((Path(histories.__file__).parent / "histories").glob(f"{NAME}.*.json")):
        recorded = json.loads(file.read_text())
        yield WorkflowHistory.from_json(recorded["workflow_id"], recorded["history"])


async def no_task_is_pending(waypost: Waypost, workflow_id: str) -> None:
    """Return once the worker has answered all that the run received so far."""
    handle = waypost.client.get_workflow_handle(workflow_id)
    for _ in range(200):
        if not (await handle.describe()).raw_description.HasField("pending_workflow_task"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the worker does not answer for {workflow_id}")


async def failure_of_a_task(waypost: Waypost, workflow_id: str) -> str:
    """The message of the first workflow task of a run that fails."""
    async with asyncio.timeout(scaled(30)):
        while True:
            async for event in waypost.client.get_workflow_handle(workflow_id).fetch_history_events():
                if event.HasField("workflow_task_failed_event_attributes"):
                    return event.workflow_task_failed_event_attributes.failure.message
            await asyncio.sleep(0.1)


async def test_check_finds_an_event_added_to_a_wait_that_an_open_run_had_as_its_last_event(
    database_url: str, temporal: TemporalDevServer, wider: type[Journey]
) -> None:
    async with Redeployed(database_url, temporal.client, journeys=[CartAbandonment]) as waypost:
        lamp = {"product_id": "lamp", "name": "A lamp", "price": 39.0, "cart_id": "c-1"}
        await waypost.ingest_event("Product Added", lamp, email="c-1@example.com", traits=CONSENTS)
        run = await waypost.run(NAME)
        await waypost.advance_run(run, timedelta(hours=30))
        cheaper = {**lamp, "price": 29.0, "was": 39.0}
        await waypost.ingest_event(
            "Price Dropped", cheaper, email="c-1@example.com", source="waypost/products"
        )
        await no_task_is_pending(waypost, run["workflow_id"])

        replays = [each.breaks async for each in replay([wider], recorded_histories())]
        findings = await check(waypost.client, JourneyRegistry([wider]), only=[NAME])

        await waypost.deploy(wider)
        days = asyncio.create_task(waypost.skipper.fast_forward(waypost.handle(run), timedelta(days=3)))
        failure = await failure_of_a_task(waypost, run["workflow_id"])
        days.cancel()

    assert set(replays) == {False}
    [cause] = findings.causes
    assert (findings.replayed[NAME], findings.would_break()) == (1, 1)
    assert "history waits here, the code now asks for activity close_run" in cause.difference
    assert "TimerMachine in state CancelTimerCommandSent" in failure


async def before_the_first_task() -> AsyncIterator[WorkflowHistory]:
    """The recorded histories of the shipped journey, each up to its first task."""
    async for history in recorded_histories():
        first = next(
            event.event_id
            for event in history.events
            if event.HasField("workflow_task_scheduled_event_attributes")
        )
        yield WorkflowHistory(history.workflow_id, history.events[:first])


async def test_check_finds_a_run_that_never_starts_its_story_as_its_entry_event_is_no_longer_one(
    narrower: type[Journey],
) -> None:
    now = [each async for each in replay([CartAbandonment], before_the_first_task())]
    narrowed = [each async for each in replay([narrower], before_the_first_task())]

    assert {each.breaks for each in now} == {False}
    assert {(each.failure, each.breaks) for each in narrowed} == {("", True)}
    assert {difference(each).description for each in narrowed} == {
        "the run started on Product Added, the journey now starts on none of the events "
        "that the run has received"
    }
