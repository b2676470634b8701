"""Folders in memory: there where there is room, and gone afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from authoring.testing import shared_memory
from authoring.testing.shared_memory import shared_memory_folder


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the system's, with room enough for a file."""
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shared_memory, "MIN_FREE_BYTES", 1)
    return tmp_path


def test_a_folder_is_gone_with_all_that_is_in_it(memory: Path) -> None:
    with shared_memory_folder() as folder:
        assert folder is not None
        (folder / "a file").write_text("data")

    assert list(memory.iterdir()) == []


def test_two_at_once_are_two(memory: Path) -> None:
    with shared_memory_folder() as one, shared_memory_folder() as two:
        assert None not in (one, two)
        assert len({one, two}) == len(list(memory.iterdir())) == 2


def test_without_room_there_is_none(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "MIN_FREE_BYTES", 1 << 60)
    with shared_memory_folder() as folder:
        assert folder is None


def test_without_shared_memory_there_is_none(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", memory / "not there")
    with shared_memory_folder() as folder:
        assert folder is None


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(memory: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    left = memory / f"waypost-tests-{ended.stdout.strip()}-abc"
    used, of_others = memory / f"waypost-tests-{os.getppid()}-abc", memory / "something else"
    for folder in (left, used, of_others):
        folder.mkdir()
    with shared_memory_folder():
        assert [folder.exists() for folder in (left, used, of_others)] == [False, True, True]
