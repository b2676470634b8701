"""docs/tutorial/first-journey.md, done as it says, from top to bottom, in a copy of the clone."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from local.data_directory import find_running_stack
from tests.support.deadlines import scaled
from tests.support.docs import ROOT, DocumentCommand, blocks_of, commands_of
from tests.support.reader import Reader, reader_in

PAGE = ROOT / "docs" / "tutorial" / "first-journey.md"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """In a copy of what a clone holds."""
    return reader_in(tmp_path, leave_out=("integration", "acceptance", "unit"))


@pytest.mark.timeout(500)
def test_each_command_up_to_the_local_stack_answers_as_the_page_says(reader: Reader) -> None:
    typed = 0
    for block in blocks_of(PAGE):
        if block.mark.startswith("file="):
            reader.writes(block)
        if block.language != "console" or block.mark in ("once", "live"):
            continue
        for command in commands_of(block):
            answer = reader.types(command)
            typed += 1

            said = command.answer.splitlines()
            if command.words[:3] == ("python", "-m", "pytest"):
                assert said == answer.splitlines()[-1:], answer
            elif block.mark == "excerpt":
                assert set(said) <= set(answer.splitlines()), answer
            else:
                assert said == answer.splitlines(), answer
    assert typed == 4


@pytest.fixture
def told(reader: Reader) -> Reader:
    """The journey as the page leaves it before the local stack is started."""
    first = next(command for block in blocks_of(PAGE) for command in commands_of(block) if block.mark == "")
    reader.types(first)
    for block in blocks_of(PAGE):
        if block.mark.startswith("file="):
            reader.writes(block)
    return reader


@pytest.fixture
def stack(told: Reader) -> Iterator[dict[str, str]]:
    """``waypost dev`` in the copy; the page's first live command."""
    with (told.clone / "dev.log").open("w") as log:
        process = subprocess.Popen(
            told.program(["waypost", "dev"]), cwd=told.clone, env=told.environment, stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + scaled(90)
        while (found := find_running_stack(told.clone / ".waypost")) is None or "the data stay" not in (
            told.clone / "dev.log"
        ).read_text("utf-8"):
            assert process.poll() is None, (told.clone / "dev.log").read_text("utf-8")
            assert time.monotonic() < until, (told.clone / "dev.log").read_text("utf-8")
            time.sleep(0.2)
        yield found
    finally:
        process.terminate()
        process.wait(scaled(30))


@pytest.mark.timeout(300)
def test_the_run_on_a_local_stack_goes_as_the_page_says(told: Reader, stack: dict[str, str]) -> None:
    live = [command for block in blocks_of(PAGE) if block.mark == "live" for command in commands_of(block)]
    [dev, asks, back, runs, forward, decisions] = live
    assert dev.words == ("waypost", "dev")

    assert _asked(stack, asks).json() == {
        "success": True,
        "results": [{"index": 0, "id": "first-1", "status": "accepted"}],
    }
    _until(stack, runs, lambda said: said["runs"])
    assert "accepted" in _asked(stack, back).text
    _until(stack, decisions, lambda said: said["decisions"])
    [run] = _asked(stack, runs).json()["runs"]
    told.types(forward, RUN_ID=run["run_id"])
    _until(stack, runs, lambda said: said["runs"][0]["state"] == "ended")

    assert _asked(stack, runs).json()["runs"][0]["outcome"] == "notified"
    assert _asked(stack, decisions).json()["decisions"][-1]["verdict"] == "allow"


def _asked(stack: dict[str, str], command: DocumentCommand) -> httpx2.Response:
    words = list(command.words)
    url = next(word for word in words if word.startswith("http")).replace(
        "http://127.0.0.1:8000", stack["PUBLIC_URL"]
    )
    user = words[words.index("-u") + 1].rstrip(":")
    with httpx2.Client(auth=(user, "")) as client:
        answer = client.post(url, content=words[words.index("-d") + 1]) if "-d" in words else client.get(url)
    assert answer.status_code == 200, answer.text
    return answer


def _until(stack: dict[str, str], command: DocumentCommand, holds: object) -> None:
    until = time.monotonic() + scaled(30)
    while not holds(_asked(stack, command).json()):  # type: ignore[operator]
        assert time.monotonic() < until, _asked(stack, command).text
        time.sleep(0.2)
