"""The heartbeat of a process: what it says, and when it stops saying so."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.support.environments.command import call_waypost
from workers import heartbeat
from workers.heartbeat import Heartbeat, read_heartbeat


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


def aged(file: Path, seconds: float, *names: str) -> None:
    """Let a file or its loops be older."""
    content = json.loads(file.read_text())
    if not names:
        content["written_at"] -= seconds
    for name in names:
        content["loops"]["deliveries"][name] -= seconds
    file.write_text(json.dumps(content))


def written(file: Path) -> Heartbeat:
    """The heartbeat of a process with one loop, which has just come round."""
    process = Heartbeat("relay", file)
    process.pulse("deliveries", 60).succeed()
    process.write(file)
    return process


def test_a_process_whose_loops_come_round_is_alive_and_works(file: Path) -> None:
    written(file)
    vitals = read_heartbeat(file)

    assert (vitals.process, vitals.faults, vitals.troubles) == ("relay", (), ())


def test_a_loop_that_hangs_is_a_fault(file: Path) -> None:
    written(file)
    aged(file, 61, "turned_at", "succeeded_at")

    assert read_heartbeat(file).faults == ("deliveries hangs: no progress for 61 s",)


def test_a_loop_that_comes_round_in_vain_is_alive_and_does_not_work(file: Path) -> None:
    process = Heartbeat("relay", file)
    pulse = process.pulse("deliveries", 60)
    pulse.fail(OSError("Temporal is\naway"))
    process.write(file)
    fresh = read_heartbeat(file)
    aged(file, 61, "succeeded_at")
    old = read_heartbeat(file)

    assert (fresh.faults, fresh.troubles) == ((), ())
    assert old.faults == ()
    assert old.troubles == ("deliveries has done no work for 61 s (OSError: Temporal is away)",)


@pytest.mark.parametrize("seconds", [heartbeat.MAX_FILE_AGE_S + 1, -3600])
def test_a_file_that_is_not_written_any_more_is_a_fault(file: Path, seconds: float) -> None:
    """Also one of before a restart of the machine, when its clock began again."""
    written(file)
    aged(file, seconds)

    assert "stopped or blocked" in read_heartbeat(file).faults[0]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"process": "relay", "written_at": "x", "loops": {}}', "\x00"]
)
def test_a_file_that_cannot_be_read_is_a_fault(file: Path, content: str) -> None:
    file.write_text(content)

    assert read_heartbeat(file).faults


def test_a_file_that_is_missing_is_a_fault(file: Path) -> None:
    assert "has not started, or has ended" in read_heartbeat(file).faults[0]


async def test_the_file_is_written_while_the_event_loop_runs_and_removed_at_the_end(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "WRITE_INTERVAL_S", 0.02)
    monkeypatch.setattr(heartbeat, "MAX_FILE_AGE_S", 0.3)
    process = Heartbeat("worker", file)
    async with process.beating():
        await asyncio.sleep(0.5)
        running = read_heartbeat(file)
        time.sleep(0.5)  # noqa: ASYNC251 - the event loop is blocked on purpose
        blocked = read_heartbeat(file)

    assert running.faults == ()
    assert "stopped or blocked" in blocked.faults[0]
    assert "has ended" in read_heartbeat(file).faults[0]


async def test_a_folder_that_cannot_be_written_to_ends_nothing(tmp_path: Path) -> None:
    async with Heartbeat("relay", tmp_path / "missing" / "heartbeat").beating():
        await asyncio.sleep(0.05)

    assert not (tmp_path / "missing").exists()


def test_the_command_says_how_the_process_is_and_exits_by_it(file: Path) -> None:
    process = written(file)
    alive = call_waypost("alive", WAYPOST_HEARTBEAT_FILE=str(file))
    process.write(file)
    aged(file, 61, "succeeded_at")
    idle = call_waypost("alive", WAYPOST_HEARTBEAT_FILE=str(file))
    working = call_waypost("alive", "--working", WAYPOST_HEARTBEAT_FILE=str(file))
    unset = call_waypost("alive")

    assert (alive.exit_code, alive.stdout) == (0, "relay: makes progress\n")
    assert idle.exit_code == 0
    assert (working.exit_code, working.stdout) == (1, "relay: deliveries has done no work for 61 s\n")
    assert unset.exit_code == 1
    assert "WAYPOST_HEARTBEAT_FILE is not set" in unset.stderr
