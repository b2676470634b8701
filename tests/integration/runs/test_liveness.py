"""Health checks of relay and worker: processes that are stopped, loops that hang, a server that is away."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.client import Client
from temporalio.worker import Worker

from local.temporal_server import TemporalDevServer
from profiles.db.sql import new_id
from profiles.runs.outbox import OutboxRow
from tests.support.deadlines import scaled
from tests.support.environments.command import command_environment
from tests.support.environments.gate import GateHarness
from workers import heartbeat as heartbeats
from workers import relay as relays
from workers.delivery import Delivery
from workers.heartbeat import Heartbeat, Vitals, read_heartbeat
from workers.outbox_listener import OutboxListener
from workers.polling import PollWatch
from workers.relay import Relay
from workers.schedules import SweepWorkflow


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


@asynccontextmanager
async def process(
    command: str, file: Path, database_url: str, temporal_address: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A relay or worker as in production, until the end of the block."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", command),
        env=command_environment(
            DATABASE_URL=database_url,
            TEMPORAL_ADDRESS=temporal_address,
            WAYPOST_HEARTBEAT_FILE=str(file),
            WAYPOST_LOCAL="1",
            WAYPOST_SECRETS="a-secret-of-tests-which-is-long-enough",
            WORKER_GRACE_S="0",
        ),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def until(file: Path, wanted: Callable[[Vitals], bool]) -> Vitals:
    """Read the heartbeat until it says so."""
    async with asyncio.timeout(scaled(20)):
        while not wanted(vitals := read_heartbeat(file)):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
    return vitals


def waits_for_temporal(file: Path) -> bool:
    """Whether a loop says that it cannot connect."""
    try:
        loops = json.loads(file.read_text())["loops"]
    except OSError:
        return False
    return any("connect" in pulse["error"] for pulse in loops.values())


def exists(vitals: Vitals) -> bool:
    """Whether there is a heartbeat at all."""
    return "no heartbeat in" not in "".join(vitals.faults)


@pytest.mark.parametrize("command", ["relay", "worker"])
async def test_a_process_that_is_stopped_is_not_alive_and_one_that_goes_on_is(
    command: str,
    file: Path,
    database_url: str,
    temporal: TemporalDevServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeats, "MAX_FILE_AGE_S", 5.0)
    async with process(command, file, database_url, temporal.address) as child:
        running = await until(file, lambda vitals: not vitals.faults)
        child.send_signal(signal.SIGSTOP)
        stopped = await until(file, lambda vitals: exists(vitals) and bool(vitals.faults))
        child.send_signal(signal.SIGCONT)
        again = await until(file, lambda vitals: not vitals.faults)
        child.terminate()
        await asyncio.wait_for(child.wait(), scaled(20))
    ended = await until(file, lambda vitals: bool(vitals.faults))

    assert (running.process, running.troubles) == (command, ())
    assert "stopped or blocked" in stopped.faults[0]
    assert again.faults == ()
    assert ended.faults


@pytest.mark.parametrize("command", ["relay", "worker"])
async def test_a_process_that_waits_for_temporal_is_alive_and_says_that_it_does_not_work(
    command: str, file: Path, gate_env: GateHarness
) -> None:
    await gate_env.one_cart()
    async with process(command, file, gate_env.url, "127.0.0.1:1"):
        async with asyncio.timeout(scaled(20)):
            while not waits_for_temporal(file):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        vitals = read_heartbeat(file)

    assert vitals.faults == ()


class Hanging(Delivery):
    """A Temporal that never answers, with a client that never gives up."""

    async def start(self, row: OutboxRow) -> str | None:
        await asyncio.Event().wait()
        return None


async def test_a_loop_of_the_relay_that_hangs_is_a_fault_while_the_others_go_on(
    file: Path, gate_env: GateHarness, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "MAX_LOOP_AGE_S", 3.0)
    monkeypatch.setattr(heartbeats, "WRITE_INTERVAL_S", 0.1)
    await gate_env.one_cart()
    relay = Relay(gate_env.database, Hanging(temporal.client), gate_env.journeys.routes, local=True)
    beats = Heartbeat("relay", file)
    async with OutboxListener(gate_env.url) as listener, beats.beating():
        working = asyncio.create_task(relay.run(listener, beats))
        hanging = await until(file, lambda vitals: exists(vitals) and bool(vitals.faults))
        working.cancel()
        await asyncio.wait([working])

    assert len(hanging.faults) == 1
    assert hanging.faults[0].startswith("deliveries ")
    assert "hangs" in hanging.faults[0]


async def test_a_worker_works_while_it_polls_and_only_then(
    temporal: TemporalDevServer,
) -> None:
    queue = f"watched-{new_id()}"
    client = await Client.connect(temporal.address)
    worker = Worker(client, task_queue=queue, workflows=[SweepWorkflow])
    pulse = Heartbeat("worker").pulse("polling", 2.0)
    watch = PollWatch(client, worker, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, pulse)
    started = pulse.succeeded_at
    await watch.check()
    before = pulse.succeeded_at
    async with worker, asyncio.timeout(scaled(20)):
        while pulse.succeeded_at == before:
            await watch.check()
            await asyncio.sleep(0.1)
        polling, error_while_polling = pulse.succeeded_at, pulse.error
    for _ in range(3):
        await watch.check()

    assert before == started, "nothing has polled yet"
    assert polling > before
    assert error_while_polling == ""
    assert pulse.succeeded_at == polling
    assert pulse.turned_at > polling, "the watch itself goes on"
    assert "the worker has stopped" in pulse.error
