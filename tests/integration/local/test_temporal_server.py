"""The Temporal dev server of a local stack: what it keeps, and how the clock of a single run moves."""

import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from local.ports import Port, choose_ports
from local.temporal_server import TemporalDevServer
from local.time_travel import TravelError, current_time, fast_forward
from profiles.db.sql import new_id
from workers.settings import WorkerSettings
from workers.temporal_client import connect_temporal, ensure_search_attributes, missing_search_attributes

QUEUE = "patience"


@workflow.defn
class Patience:
    """Waits the given number of days, twice."""

    @workflow.run
    async def run(self, days: int) -> str:
        await workflow.sleep(timedelta(days=days))
        await workflow.sleep(timedelta(days=days))
        return "waited"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with TemporalDevServer() as server:
        worker = Worker(
            server.client,
            task_queue=QUEUE,
            workflows=[Patience],
            workflow_runner=UnsandboxedWorkflowRunner(),  # this file is a test module, not a journey
        )
        async with worker:
            yield server.client


async def wait_patiently(client: Client, days: int) -> WorkflowHandle[Patience, str]:
    return await client.start_workflow(Patience.run, days, id=str(new_id()), task_queue=QUEUE)


async def test_a_run_moves_forward_and_its_neighbour_does_not(client: Client) -> None:
    moved, neighbour = await wait_patiently(client, 5), await wait_patiently(client, 5)
    before = await current_time(client, neighbour.id)

    assert await fast_forward(client, moved.id, timedelta(days=7))

    assert await current_time(client, moved.id) - before >= timedelta(days=7)
    assert await current_time(client, neighbour.id) - before < timedelta(minutes=5)
    await neighbour.terminate()
    await moved.terminate()


async def test_a_run_that_ends_on_the_way_or_ended_before_is_a_normal_answer(client: Client) -> None:
    run = await wait_patiently(client, 5)

    on_the_way = await fast_forward(client, run.id, timedelta(days=30))
    afterwards = await fast_forward(client, run.id, timedelta(days=1))

    assert (on_the_way, afterwards) == (False, False)
    assert await run.result() == "waited"


async def test_a_run_that_does_not_exist_is_an_error(client: Client) -> None:
    with pytest.raises(TravelError, match="no workflow 'nobody'"):
        await fast_forward(client, "nobody", timedelta(days=1))


async def test_search_attributes_are_registered_once_and_again_without_harm(client: Client) -> None:
    await ensure_search_attributes(client)
    await ensure_search_attributes(client)

    assert await missing_search_attributes(client) == []


async def test_ended_runs_are_kept_for_months(client: Client) -> None:
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )

    assert described.config.workflow_execution_retention_ttl.ToTimedelta() >= timedelta(days=30)


async def test_runs_survive_a_kill_of_the_server(tmp_path: Path) -> None:
    server = TemporalDevServer(tmp_path / "temporal.db")
    await server.start()
    run = await wait_patiently(server.client, 1)

    await server.kill()
    await server.start()

    described = await server.client.get_workflow_handle(run.id).describe()
    assert described.run_id == run.result_run_id
    await server.stop()


async def test_a_process_connects_where_its_settings_say(tmp_path: Path) -> None:
    async with TemporalDevServer() as server:
        settings = WorkerSettings(temporal_address=server.address, waypost_local=True)

        connected = await connect_temporal(settings)

        assert connected.namespace == "default"
        assert await missing_search_attributes(connected) == []


async def test_a_port_that_somebody_took_meanwhile_is_chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    number = taken.getsockname()[1]
    found = iter([{"Temporal": Port(number)}])
    monkeypatch.setattr(
        "local.temporal_server.choose_ports", lambda wishes: next(found, None) or choose_ports(wishes)
    )
    async with TemporalDevServer() as server:
        assert server.port != number
        assert await server.client.service_client.check_health()
    taken.close()
