"""A first deploy: the relay runs before the namespace, its search attributes and any worker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from local.temporal_server import TemporalDevServer
from profiles.db.sql import new_id
from tests.support.deadlines import scaled
from tests.support.environments.gate import GateHarness, shopper
from workers import temporal_client
from workers.delivery import Delivery
from workers.outbox_listener import OutboxListener
from workers.relay import Relay
from workers.temporal_client import (
    SEARCH_ATTRIBUTES,
    ensure_search_attributes,
    missing_search_attributes,
)

NOTHING_LEFT = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE delivered_at IS NULL)"


async def register(temporal: TemporalDevServer, namespace: str) -> None:
    """Create a namespace without search attributes, as an operator does."""
    kept = Duration()
    kept.FromTimedelta(timedelta(days=1))
    await temporal.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=kept)
    )


async def client_of(temporal: TemporalDevServer, namespace: str) -> Client:
    """A client as the relay has it."""
    return await Client.connect(
        temporal.address, namespace=namespace, lazy=True, data_converter=pydantic_data_converter
    )


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(temporal: TemporalDevServer) -> AsyncIterator[Client]:
    """A client of a namespace that serves, in which no search attribute is registered."""
    namespace = f"fresh-{new_id().hex[:12]}"
    await register(temporal, namespace)
    client = await client_of(temporal, namespace)
    async with asyncio.timeout(scaled(30)):
        while True:
            try:
                assert await missing_search_attributes(client) == list(SEARCH_ATTRIBUTES)
                break
            except RPCError:
                await asyncio.sleep(0.2)
    yield client


def refuse_registration(monkeypatch: pytest.MonkeyPatch, status: RPCStatusCode) -> None:
    """Let the server refuse to register search attributes, as Temporal Cloud does."""

    async def refused(client: Client) -> None:
        raise RPCError("Request unauthorized.", status, b"")

    monkeypatch.setattr(temporal_client, "ensure_search_attributes", refused)


async def test_a_relay_that_starts_before_the_namespace_parks_nothing_and_delivers_all(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    namespace = f"later-{new_id().hex[:12]}"
    client = await client_of(temporal, namespace)
    run_id = await gate_env.one_cart()
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    relay = Relay(gate_env.database, Delivery(client), gate_env.journeys.routes, local=True)
    async with OutboxListener(gate_env.url) as listener:
        working = asyncio.create_task(relay.run(listener))
        await gate_env.wait_for_rows("SELECT 1 FROM outbox WHERE error LIKE '%not found%'")
        before = await gate_env.fetch_rows("SELECT DISTINCT state FROM run")
        await register(temporal, namespace)
        await gate_env.wait_for_rows(NOTHING_LEFT, timeout_s=scaled(60))
        working.cancel()
        await asyncio.wait([working])
    [run] = await gate_env.fetch_rows("SELECT * FROM run WHERE run_id = $1", run_id)
    described = await client.get_workflow_handle(run["workflow_id"]).describe()

    assert [row["state"] for row in before] == ["running"]
    assert run["state"] == "running"
    assert {str(key.key.name) for key in described.typed_search_attributes} >= set(SEARCH_ATTRIBUTES)
    assert await missing_search_attributes(client) == []


@pytest.mark.parametrize(
    "status", [RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED], ids=lambda status: status.name
)
async def test_a_relay_that_may_not_register_waits_for_the_operator_and_parks_nothing(
    gate_env: GateHarness, fresh: Client, monkeypatch: pytest.MonkeyPatch, status: RPCStatusCode
) -> None:
    run_id = await gate_env.one_cart()
    relay = Relay(gate_env.database, Delivery(fresh), gate_env.journeys.routes, local=True)
    with monkeypatch.context() as patched:
        refuse_registration(patched, status)
        [outcome] = await asyncio.gather(relay.deliver_batch(), return_exceptions=True)
    waiting = await gate_env.fetch_rows("SELECT error FROM outbox WHERE lane = $1", run_id)
    before = await gate_env.fetch_rows("SELECT state, detail FROM run WHERE run_id = $1", run_id)
    assert before == [{"state": "running", "detail": None}]
    assert "no such search attribute yet" in str(outcome)
    assert "no such search attribute yet" in waiting[0]["error"]
    await fresh.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=fresh.namespace,
            search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
        )
    )
    async with asyncio.timeout(scaled(30)):
        while await gate_env.fetch_rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL"):
            await asyncio.gather(relay.deliver_batch(), return_exceptions=True)
            await asyncio.sleep(0.1)


async def test_relays_and_workers_that_register_at_once_do_not_disturb_each_other(fresh: Client) -> None:
    await asyncio.gather(*(ensure_search_attributes(fresh) for _ in range(6)))

    assert await missing_search_attributes(fresh) == []
