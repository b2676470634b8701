"""One stack per data directory, found by those who look for it."""

from pathlib import Path

import pytest

from local.data_directory import DataDirectory, find_running_stack
from local.processes import StackError


def test_a_second_stack_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)
    first.acquire()

    with pytest.raises(StackError, match=r"\(process \d+\) already runs on"):
        DataDirectory(tmp_path).acquire()

    first.release()
    second = DataDirectory(tmp_path)
    second.acquire()
    second.release()


def test_a_running_stack_is_found_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    assert find_running_stack(tmp_path) is None
    stack = DataDirectory(tmp_path)
    stack.acquire()
    stack.publish_environment({"API_PORT": "8000"})

    assert find_running_stack(tmp_path) == {"API_PORT": "8000"}

    stack.release()

    assert find_running_stack(tmp_path) is None


def test_what_a_killed_stack_left_behind_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    stack = DataDirectory(tmp_path)
    stack.acquire()
    stack.publish_environment({"API_PORT": "8000"})
    leftover = (tmp_path / "stack.json").read_text()
    stack.release()
    (tmp_path / "stack.json").write_text(leftover)

    assert find_running_stack(tmp_path) is None


def test_only_this_user_can_read_keys_and_secrets(tmp_path: Path) -> None:
    stack = DataDirectory(tmp_path)
    stack.acquire()
    stack.publish_environment({"DATABASE_URL": "postgresql://…"})
    stack.load_secret()

    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("stack.json", "secret")}

    stack.release()
    assert modes == {"stack.json": 0o600, "secret": 0o600}


def test_the_signing_secret_outlives_a_restart(tmp_path: Path) -> None:
    assert DataDirectory(tmp_path).load_secret() == DataDirectory(tmp_path).load_secret()
    assert len(DataDirectory(tmp_path).load_secret()) >= 32
