"""Invariant 8: recorded histories of every shipped journey replay against the code as it is.

The histories lie in ``tests/replay/histories``, one for each scenario of ``tests/replay/scenarios.py``.
For a new scenario, and for one that a patch changes, record the file that is missing. The file from before
the patch moves to ``histories/earlier``, and replays as long as such runs may be open::

    WAYPOST_RECORD=1 pytest tests/integration/invariants/test_invariant_8*.py -k told
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from activities.channels.registry import ChannelRegistry
from authoring.testing.environment import Waypost
from journeys.registry import SHIPPED
from journeys.vocabulary import Journey
from local.temporal_server import TemporalDevServer
from policy.verdict import Channel
from tests import replay
from tests.replay.changed_journeys import WithOneMoreActivity, WithOneMoreTimer
from tests.replay.scenarios import CANARIES, TALES, ReplayScenario
from tests.support.fakes.recording_provider import RecordingProvider
from workers.worker import create_workflow_runner

FOLDER = Path(replay.__file__).parent / "histories"

FILES = sorted(FOLDER.glob("*.json"))

EARLIER = sorted((FOLDER / "earlier").glob("*.json"))
"""Histories of runs that began before a patch of their journey."""


def replayer(*journeys: type[Journey]) -> Replayer:
    """Replays as the worker runs: same sandbox, same converter."""
    return Replayer(
        workflows=journeys, workflow_runner=create_workflow_runner(), data_converter=pydantic_data_converter
    )


def recorded(file: Path) -> WorkflowHistory:
    """A recorded history under the workflow id it had."""
    told = json.loads(file.read_text())
    return WorkflowHistory.from_json(told["workflow_id"], told["history"])


async def test_invariant_8_every_tale_of_a_shipped_journey_ends_as_told(
    database_url: str, temporal: TemporalDevServer
) -> None:
    # Under a name of its own: by default a history names the machine it was recorded on.
    client = await Client.connect(
        temporal.address, data_converter=pydantic_data_converter, identity="waypost"
    )
    ends: dict[str, str | None] = {}
    told: dict[str, str] = {}
    providers = {channel: RecordingProvider(channel) for channel in Channel}
    async with Waypost(database_url, client, channels=ChannelRegistry(providers, {})) as waypost:
        for number, each in enumerate(TALES):
            tale = ReplayScenario(waypost, number, providers)
            await each.tell(tale)
            run = await tale.run(each.journey)
            handle = waypost.handle(run)
            ends[each.name] = None if each.outcome is None else (await waypost.run_result(run)).outcome
            history = json.loads((await handle.fetch_history()).to_json())
            told[each.name] = json.dumps({"workflow_id": run["workflow_id"], "history": history})

    assert ends == {each.name: each.outcome for each in TALES}
    if os.environ.get("WAYPOST_RECORD"):
        for name, text in told.items():
            if not (file := FOLDER / f"{name}.json").exists():
                file.write_text(text + "\n")


def test_invariant_8_there_is_a_history_of_every_tale() -> None:
    assert [file.stem for file in FILES] == sorted(each.name for each in TALES)


@pytest.mark.parametrize("file", FILES + EARLIER, ids=lambda file: f"{file.parent.name}/{file.stem}")
async def test_invariant_8_a_recorded_history_replays(file: Path) -> None:
    replayed = await replayer(*SHIPPED).replay_workflow(recorded(file))

    assert replayed.replay_failure is None


@pytest.mark.parametrize("changed", [WithOneMoreTimer, WithOneMoreActivity])
async def test_invariant_8_fails_where_a_story_does_something_more(changed: type[Journey]) -> None:
    history = recorded(FOLDER / "cart-abandonment.nudged.json")
    replayed = await replayer(changed).replay_workflow(history, raise_on_replay_failure=False)

    assert "Nondeterminism" in repr(replayed.replay_failure)


def everything(value: Any) -> str:
    """All text of a history, payloads decoded."""
    match value:
        case dict():
            return " ".join(f"{name} {everything(one)}" for name, one in value.items())
        case list():
            return " ".join(map(everything, value))
        case str():
            return f"{value} {decoded(value)}"
        case _:
            return str(value)


def decoded(text: str) -> str:
    """What a payload says; nothing where the text is none."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


@pytest.mark.parametrize("file", FILES + EARLIER, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_invariant_8_a_recorded_history_names_no_person_and_no_machine(file: Path) -> None:
    text = everything(json.loads(file.read_text()))
    identities = {word for line in text.split("identity ")[1:] if (word := line.split()[0])}

    assert any(word in text for word in ("lamp", "win-back", "asks_by")), (
        "nothing was decoded, so nothing was looked at"
    )
    assert [canary for canary in CANARIES if canary in text.lower()] == []
    assert "@example.com" not in text
    assert identities <= {"waypost", "temporal-system"}
