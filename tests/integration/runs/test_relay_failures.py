"""What the relay cannot tell: runs that are stuck, runs Temporal has lost, a namespace that is missing."""

import asyncio
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from authoring.testing.environment import Waypost
from local.temporal_server import TemporalDevServer
from profiles.runs.outbox import OutboxRow
from tests.support.deadlines import scaled
from tests.support.environments.gate import GateHarness, shopper
from tests.support.journeys.small import KeepCompany
from workers.delivery import Delivery, PermanentDeliveryError
from workers.relay import Relay


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("UPDATE run SET workflow_id = repeat('x', 1200) WHERE run_id = $1", "WorkflowId exceeds"),
        ("UPDATE outbox SET payload = '{\"start\": {}}' WHERE lane = $1", "holds no start and event"),
        ('UPDATE outbox SET payload = \'{"event": {}, "start": {}}\' WHERE lane = $1', "run_id"),
        ("UPDATE outbox SET kind = 'telegram' WHERE lane = $1", "is of the kind 'telegram'"),
    ],
    ids=["Temporal refuses the id", "no event", "a start without its fields", "an unknown kind"],
)
async def test_a_run_that_can_never_be_told_is_stuck_with_the_reason_and_blocks_no_other(
    gate_env: GateHarness, spoil: str, reason: str
) -> None:
    bad = await gate_env.one_cart()
    good = await gate_env.leaves_cart(["lamp"], cart_id="c-2", **shopper(2))
    await gate_env.fetch_rows(spoil, bad)
    async with asyncio.timeout(scaled(20)):
        await gate_env.deliver_outbox()
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    await gate_env.deliver_outbox()
    states = {
        row["run_id"]: (row["state"], row["detail"]) for row in await gate_env.fetch_rows("SELECT * FROM run")
    }
    undelivered = await gate_env.fetch_rows(
        "SELECT lane, error FROM outbox WHERE delivered_at IS NULL ORDER BY seq"
    )

    assert states[bad][0] == "stuck"
    assert reason in states[bad][1]
    assert states[good] == ("running", None)
    assert [row["lane"] for row in undelivered] == [bad, bad]
    assert reason in undelivered[0]["error"]


async def test_an_ended_run_that_can_never_be_told_does_not_spin(gate_env: GateHarness) -> None:
    run_id = await gate_env.one_cart()
    await gate_env.fetch_rows(
        "UPDATE run SET workflow_id = repeat('x', 1200), state = 'ended' WHERE run_id = $1", run_id
    )
    async with asyncio.timeout(scaled(20)):
        await gate_env.deliver_outbox()
    [row] = await gate_env.fetch_rows("SELECT * FROM outbox WHERE lane = $1", run_id)

    assert row["delivered_at"] is not None
    assert "WorkflowId exceeds" in row["error"]


async def test_a_run_that_temporal_has_lost_is_closed_and_what_it_missed_is_routed_afresh(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        added = {"product_id": "lamp", "cart_id": "c-1"}
        await waypost.ingest_event("Product Added", added, email="ada@example.com")
        lost = await waypost.run("keep-company")
        await waypost.handle(lost).terminate()
        await waypost.ingest_event("Product Added", added | {"product_id": "chair"}, email="ada@example.com")
        runs = await waypost.fetch_rows("SELECT * FROM run ORDER BY run_id")
        details = await waypost.run_details(runs[1])

        assert [(run["state"], run["outcome"]) for run in runs] == [("ended", "gone"), ("running", None)]
        assert details.count("Product Added") == 1
        assert runs[1]["temporal_run_id"] is not None


async def test_a_namespace_that_is_missing_ends_no_run(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    await gate_env.one_cart()
    await gate_env.deliver_outbox()
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    await gate_env.fetch_rows("DELETE FROM outbox WHERE kind = 'start' AND delivered_at IS NULL")
    astray = await Client.connect(
        temporal.address, namespace="nowhere", lazy=True, data_converter=pydantic_data_converter
    )
    [outcome] = await asyncio.gather(
        Relay(gate_env.database, Delivery(astray), gate_env.journeys.routes).deliver_batch(),
        return_exceptions=True,
    )
    [run] = await gate_env.fetch_rows("SELECT state FROM run WHERE key = 'c-1'")

    assert "nowhere" in str(outcome)
    assert run["state"] == "running"


async def test_a_refusal_for_good_names_what_temporal_said(temporal: TemporalDevServer) -> None:
    row = OutboxRow(1, UUID(int=1), "signal", "Order Completed", {}, None, None, None)
    with pytest.raises(PermanentDeliveryError, match="INVALID_ARGUMENT"):
        await Delivery(temporal.client).signal(row)
