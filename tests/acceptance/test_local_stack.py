"""`waypost dev` as a person runs it: a process in a terminal, an empty folder, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx2
import pytest

from local.data_directory import find_running_stack
from local.ports import HOST
from local.stack import LocalStack
from tests.support.deadlines import scaled
from tests.support.environments.command import command_environment
from tests.support.faults.processes import descendants, ended, wait_until

READY = "Waypost is ready"
CLOSING = "the data stay"
ANY_PORTS = {"API_PORT": "0", "TEMPORAL_PORT": "0", "TEMPORAL_UI_PORT": "0", "POSTGRES_PORT": "0"}


class Terminal:
    """A running ``waypost dev`` and what it has printed so far."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.data = folder / ".waypost"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "dev"],
            cwd=folder,
            env=command_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.lines.extend(iter(said.readline, ""))

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def until_ready(self) -> dict[str, str]:
        """The environment of the stack, once its panel is printed."""
        closing = "the data stay"
        assert wait_until(lambda: closing in self.said or self.process.poll() is not None, within=60), (
            self.said
        )
        assert READY in self.said, self.said
        found = find_running_stack(self.data)
        assert found is not None
        return found

    def interrupt(self) -> tuple[int, float]:
        """Ctrl-C; the exit code, and the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(scaled(30))
        return code, time.monotonic() - begun

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terminal, dict[str, str]]]:
    """A ``waypost dev`` that is ready, for the tests that do it no harm and for the last one, which does."""
    dev = Terminal(tmp_path_factory.mktemp("dev"), **ANY_PORTS)
    try:
        yield dev, dev.until_ready()
    finally:
        dev.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts ``waypost dev`` in this test's folder, as often as called."""
    opened: list[Terminal] = []

    def start(**environment: str) -> Terminal:
        opened.append(Terminal(tmp_path, **{**ANY_PORTS, **environment}))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def track(stack: dict[str, str]) -> httpx2.Response:
    """Send one purchase as a Segment client would."""
    body = {
        "type": "track",
        "event": "Order Completed",
        "messageId": "order-1",
        "userId": "ada",
        "properties": {"order_id": "o-1", "products": [{"product_id": "lamp", "price": 39, "quantity": 1}]},
    }
    with httpx2.Client(base_url=stack["PUBLIC_URL"], auth=("dev-write", "")) as client:
        return client.post("/v1/track", json=body)


def purchases(stack: dict[str, str]) -> list[object]:
    with httpx2.Client(base_url=stack["PUBLIC_URL"], auth=("dev-admin", "")) as client:
        answer = client.get("/v1/profiles/user_id/ada")
    assert answer.status_code == 200, answer.text
    bought: list[object] = answer.json()["purchases"]
    return bought


def test_it_gets_ready_tells_where_and_ends_on_ctrl_c(terminal: Callable[..., Terminal]) -> None:
    dev = terminal()
    stack = dev.until_ready()

    below = descendants(dev.process.pid)
    with httpx2.Client() as client:
        answers = {
            path: client.get(stack["PUBLIC_URL"] + path).status_code
            for path in ("/readyz", "/docs", "/sandbox")
        }
        answers["Temporal UI"] = client.get(stack["TEMPORAL_UI_URL"], follow_redirects=True).status_code
    code, seconds = dev.interrupt()

    assert answers == {"/readyz": 200, "/docs": 200, "/sandbox": 200, "Temporal UI": 200}
    for told in (stack["PUBLIC_URL"], stack["TEMPORAL_UI_URL"], "dev-write", "dev-admin", ".waypost"):
        assert told in dev.said
    assert (code, seconds < 10) == (0, True)
    assert len(below) >= 5
    assert [pid for pid in below if not ended(pid)] == []
    assert find_running_stack(dev.data) is None


def test_kill_9_leaves_no_orphan_and_loses_no_data(terminal: Callable[..., Terminal]) -> None:
    dev = terminal()
    stack = dev.until_ready()
    assert track(stack).status_code == 200
    below = descendants(dev.process.pid)

    dev.process.kill()

    assert len(below) >= 5
    assert wait_until(lambda: all(ended(pid) for pid in below), within=10)
    # At once, while the old Postgres may still be writing its last page.
    again = terminal()
    assert len(purchases(again.until_ready())) == 1
    assert again.interrupt()[0] == 0


def test_a_second_stack_on_the_same_folder_is_refused_and_harms_nothing(
    running: tuple[Terminal, dict[str, str]],
) -> None:
    first, stack = running
    second = Terminal(first.data.parent, **ANY_PORTS)
    try:
        assert second.process.wait(scaled(30)) == 1
        assert wait_until(lambda: "already runs on" in second.said, within=5), second.said
        assert "Traceback" not in second.said
        assert track(stack).status_code == 200
    finally:
        second.close()


def test_a_process_that_dies_ends_the_stack_with_its_last_words(
    running: tuple[Terminal, dict[str, str]],
) -> None:
    dev, _ = running
    worker = next(
        pid
        for pid in descendants(dev.process.pid)
        if Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").endswith(b"\0worker")
    )

    os.kill(worker, signal.SIGKILL)

    assert dev.process.wait(scaled(20)) == 1
    assert wait_until(lambda: "worker ended by itself" in dev.said, within=5), dev.said
    assert re.search(r"its last lines:\n.*ready", dev.said, re.DOTALL)


def test_a_port_set_on_purpose_and_taken_is_refused_and_an_unset_one_moves(
    terminal: Callable[..., Terminal],
) -> None:
    with socket.create_server((HOST, 0)) as listener:
        taken = str(listener.getsockname()[1])
        refused = terminal(API_PORT=taken)

        assert refused.process.wait(scaled(30)) == 1
        assert wait_until(lambda: f"API_PORT={taken} is taken" in refused.said, within=5), refused.said


async def test_single_processes_can_be_killed_and_started_again(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, processes=("relay",)) as stack:
        before = stack.pids()
        await stack.kill("relay")
        await stack.kill("postgres")
        without = stack.pids()
        await stack.start("postgres")
        await stack.start("relay")
        connection = await asyncpg.connect(stack.database_url)
        await connection.close()
        after = stack.pids()

    assert set(before) == set(after) == {"postgres", "temporal", "relay"}
    assert set(without) == {"temporal"}
    assert before["temporal"] == after["temporal"]
    assert before["relay"] != after["relay"]


async def test_a_database_of_your_own_is_used_instead_of_the_embedded_one(tmp_path: Path) -> None:
    async with LocalStack(tmp_path / "first", processes=()) as first:
        url = first.database_url
        async with LocalStack(tmp_path / "second", processes=(), database_url=url) as second:
            assert second.database_url == url
            assert set(second.pids()) == {"temporal"}

    assert not (tmp_path / "second" / "postgres").exists()
