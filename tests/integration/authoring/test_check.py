"""``waypost check``: the open runs of a live server, replayed through the code of the working tree."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from authoring.replay.findings import Findings
from authoring.replay.history import OpenRuns
from authoring.replay.main import check
from authoring.testing.environment import Waypost
from journeys.registry import JourneyRegistry
from journeys.vocabulary import Journey
from local.temporal_server import TemporalDevServer
from tests.support.deadlines import scaled
from tests.support.journeys.patch_stages import Before, Clean, Guarded, Napping, Raising, WithoutTheWait
from tests.support.journeys.small import Watch

NAME = "call-back"


@pytest_asyncio.fixture(loop_scope="session")
async def live(database_url: str, temporal: TemporalDevServer) -> AsyncIterator[Waypost]:
    """Four open runs: one in its last sleep, two waiting for a click, one in its quiet."""
    async with Waypost(database_url, temporal.client, journeys=[Before]) as waypost:
        for number in range(4):
            line = {"product_id": "lamp", "cart_id": f"check-{number}"}
            await waypost.ingest_event("Product Added", line, email=f"shopper-{number}@example.com")
        for number in range(3):
            await waypost.advance_run(await waypost.run(NAME, f"check-{number}"), timedelta(hours=2))
        await waypost.advance_run(await waypost.run(NAME, "check-0"), timedelta(days=2))
        await until_listed(temporal.client, 4)
        yield waypost


async def until_listed(client: Client, count: int) -> None:
    """Visibility follows a moment later."""
    for _ in range(200):
        if await OpenRuns(client, [NAME]).count() == count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{count} open runs expected, {await OpenRuns(client, [NAME]).count()} listed")


async def checked(live: Waypost, *classes: type[Journey], limit: int | None = None) -> Findings:
    """The open runs against these journeys."""
    return await check(live.client, JourneyRegistry(classes), only=[NAME], limit=limit)


@pytest.mark.parametrize("tree", [Before, Guarded])
async def test_runs_go_on_with_the_same_story_and_with_a_patched_one(
    live: Waypost, tree: type[Journey]
) -> None:
    findings = await checked(live, tree)

    assert findings.replayed == {NAME: 4}
    assert findings.causes == []


@pytest.mark.parametrize(
    ("tree", "words", "runs"),
    [
        (
            WithoutTheWait,
            "history has the timer 'wait for Message Clicked' here, the code now asks for activity "
            "suggest_items (suggest 3 items)",
            3,
        ),
        (
            Clean,
            "history has the timer 'quiet for 1 h' here, the code now asks for activity "
            "suggest_items (suggest 1 items)",
            4,
        ),
        (
            Napping,
            "history has activity suggest_items (suggest 3 items) here, the code now asks for the timer "
            "'sleep 5 min'",
            1,
        ),
    ],
    ids=["a step taken out", "an activity more", "a timer more"],
)
async def test_a_careless_change_is_named_in_words(
    live: Waypost, tree: type[Journey], words: str, runs: int
) -> None:
    findings = await checked(live, tree)

    assert [(words, runs)] == [(cause.difference, cause.runs) for cause in findings.causes]


async def test_runs_that_break_by_the_same_cause_are_one_cause_with_examples(live: Waypost) -> None:
    [cause] = (await checked(live, Clean)).causes

    assert cause.runs == 4
    assert len(cause.examples) == 3
    assert all(example.workflow_id.startswith(f"{NAME}/check-") for example in cause.examples)
    assert "the timer 'wait for Message Clicked'" in {example.waiting_for for example in cause.examples}
    assert "workflow.patched" in cause.remedy
    assert all((example.event_id or 0) > 0 for example in cause.examples)


async def test_a_story_that_raises_is_named_with_its_error_and_place(live: Waypost) -> None:
    [cause] = (await checked(live, Raising)).causes

    assert cause.runs == 3
    assert "the code now raises KeyError: 'no such thing' (journeys/patch_stages.py:" in cause.difference
    assert "mend the story" in cause.remedy


async def test_runs_of_a_journey_that_is_gone_are_named(live: Waypost) -> None:
    findings = await check(live.client, JourneyRegistry([Watch]))
    [cause] = [cause for cause in findings.causes if cause.journey == NAME]

    assert cause.runs == 4
    assert "no journey 'call-back' is registered any more" in cause.difference


async def test_a_limit_looks_at_the_newest_and_says_how_many_there_are(live: Waypost) -> None:
    findings = await checked(live, WithoutTheWait, limit=1)

    assert findings.replayed == {NAME: 1}
    assert findings.open_runs == 4
    assert findings.causes == [], "the newest run is in its quiet, where nothing has changed"


async def test_a_run_that_ends_meanwhile_is_no_error(live: Waypost) -> None:
    runs = OpenRuns(live.client, [NAME])
    first, *_ = [run async for run in live.client.list_workflows(f'WorkflowType = "{NAME}"', limit=1)]
    await live.client.get_workflow_handle(first.id).terminate()

    assert await runs.history(first) is None


async def test_a_check_changes_nothing_on_the_server(live: Waypost) -> None:
    before = await settled(live)
    await checked(live, Clean)

    assert await settled(live) == before


async def settled(live: Waypost) -> object:
    """The history of a run that waits, once its worker has nothing left to do for it."""
    handle, last = live.handle(await live.run(NAME, "check-1")), None
    for _ in range(100):
        # As values: the same map may be written in another order.
        history = json.loads((await handle.fetch_history()).to_json())
        if history == last:
            return history
        last = history
        await asyncio.sleep(0.5)
    raise AssertionError("the run of check-1 never comes to rest")


STORY = """
from journeys.vocabulary import Journey, journey
from profiles.events import ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id", name="call-back")
class CallBack(Journey):
    async def run(self, entry: ProductAdded) -> str:
        await self.suggestions(limit=3)
        return "told"


JOURNEYS = (CallBack,)
"""


@pytest.mark.parametrize(("module", "code"), [("tests.support.journeys.patch_stages", 0), ("hasty_shop", 1)])
async def test_the_command_tells_by_its_exit_code_and_in_json(
    live: Waypost, temporal: TemporalDevServer, tmp_path: Path, module: str, code: int
) -> None:
    (tmp_path / "hasty_shop.py").write_text(STORY)
    paths = os.pathsep.join([os.getcwd(), str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cli.main", "check", "--json", "--journey", NAME],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": paths,
            "TEMPORAL_ADDRESS": temporal.address,
            "WAYPOST_JOURNEYS": module,
            "WAYPOST_DATA_DIR": str(tmp_path / "none"),
        },
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    told = json.loads(done.stdout)

    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    assert told["replayed"] == 4
    assert told["would_break"] == 4 * code
    assert [cause["runs"] for cause in told["causes"]] == [4] * code
