"""docs/first-journey.md, done as it says, from top to bottom, in a copy of the clone."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from local.data_directory import find_running_stack
from tests.documents import ROOT, Block, Command, blocks_of, commands_of

PAGE = ROOT / "docs" / "first-journey.md"
ROOMS = (
    "journeys",
    "profiles",
    "policy",
    "activities",
    "workers",
    "api",
    "local",
    "authoring",
    "cli",
    "tests",
)
SET_BY_OTHERS = ("DATABASE_URL", "WAYPOST_", "TEMPORAL_", "API_", "POSTGRES_", "PUBLIC_URL")
ANY_PORTS = {"API_PORT": "0", "TEMPORAL_PORT": "0", "TEMPORAL_UI_PORT": "0", "POSTGRES_PORT": "0"}

_SECONDS = re.compile(r" in \d+(\.\d+)?s")


class Reader:
    """Somebody who follows the page: writes its files, types its commands."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        kept = {k: v for k, v in os.environ.items() if not k.startswith(SET_BY_OTHERS)}
        self.environment = {**kept, **ANY_PORTS, "PYTHONPATH": str(clone), "NO_COLOR": "1", "COLUMNS": "200"}

    def writes(self, block: Block) -> None:
        """A file as the page has it."""
        (self.clone / block.mark.partition("=")[2]).write_text(block.text, "utf-8")

    def types(self, command: Command, **instead: str) -> str:
        """One command; what it answers, without what differs every time. It has to succeed."""
        words = [instead.get(word, word) for word in command.words]
        done = subprocess.run(
            self.program(words),
            cwd=self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return _SECONDS.sub("", done.stdout).strip()

    def program(self, words: list[str]) -> list[str]:
        """The command of this copy's own code."""
        if words[0] == "waypost":
            return [sys.executable, "-m", "cli.main", *words[1:]]
        assert words[0] == "python", f"the page types {words[0]!r}, which is not tried here"
        return [sys.executable, *words[1:]]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """In a copy of what a clone holds."""
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", "histories", "integration", "acceptance", "unit")
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return Reader(tmp_path)


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
            elif block.mark == "excerpt" or "--record" in command.words:
                assert set(said) <= set(answer.splitlines()), answer
            else:
                assert said == answer.splitlines(), answer
    assert typed == 5


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
        until = time.monotonic() + 90
        while (found := find_running_stack(told.clone / ".waypost")) is None or "the data stay" not in (
            told.clone / "dev.log"
        ).read_text("utf-8"):
            assert process.poll() is None, (told.clone / "dev.log").read_text("utf-8")
            assert time.monotonic() < until, (told.clone / "dev.log").read_text("utf-8")
            time.sleep(0.2)
        yield found
    finally:
        process.terminate()
        process.wait(30)


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

    assert _asked(stack, runs).json()["runs"][0]["outcome"] == "told"
    assert _asked(stack, decisions).json()["decisions"][-1]["verdict"] == "allow"


def _asked(stack: dict[str, str], command: Command) -> httpx2.Response:
    words = list(command.words)
    url = next(word for word in words if word.startswith("http")).replace(
        "http://127.0.0.1:8000", stack["PUBLIC_URL"]
    )
    user = words[words.index("-u") + 1].rstrip(":")
    with httpx2.Client(auth=(user, "")) as client:
        answer = client.post(url, content=words[words.index("-d") + 1]) if "-d" in words else client.get(url)
    assert answer.status_code == 200, answer.text
    return answer


def _until(stack: dict[str, str], command: Command, holds: object) -> None:
    until = time.monotonic() + 30
    while not holds(_asked(stack, command).json()):  # type: ignore[operator]
        assert time.monotonic() < until, _asked(stack, command).text
        time.sleep(0.2)
