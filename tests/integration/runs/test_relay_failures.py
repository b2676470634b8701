"""What the relay cannot tell: runs that are stuck, runs Temporal has lost, a namespace that is missing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from authoring.testing.environment import Waypost
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.runs import lifecycle
from profiles.runs.outbox import OutboxRow
from tests.support.deadlines import scaled
from tests.support.environments.gate import GateHarness, shopper
from tests.support.journeys.small import KeepCompany
from tests.support.journeys.wishes import ThankForWishes
from workers import reconciler
from workers.delivery import Delivery, DeliveryStatus
from workers.outbox_listener import OutboxListener
from workers.reconciler import Reconciler
from workers.relay import Relay
from workers.temporal_errors import PermanentDeliveryError

NOTHING_LEFT = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE delivered_at IS NULL)"


def _with_text(length: int) -> str:
    """A statement that makes the event of a start so large."""
    text = f"to_jsonb(repeat('x', {length}))"
    return f"UPDATE outbox SET payload = jsonb_set(payload, '{{event,note}}', {text}) WHERE lane = $1"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("UPDATE run SET workflow_id = repeat('x', 1200) WHERE run_id = $1", "WorkflowId exceeds"),
        ("UPDATE outbox SET payload = '{\"start\": {}}' WHERE lane = $1", "holds no start and event"),
        ('UPDATE outbox SET payload = \'{"event": {}, "start": {}}\' WHERE lane = $1', "run_id"),
        (_with_text(3_000_000), "Blob data size exceeds limit"),
        (_with_text(5_000_000), "larger than max"),
    ],
    ids=[
        "Temporal refuses the id",
        "no event",
        "a start without its fields",
        "too large for Temporal",
        "too large for gRPC",
    ],
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


# Errors of one row that nobody expects


async def test_an_authors_event_of_any_shape_starts_its_journey(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(ThankForWishes,)) as waypost:
        wishes = {"products": ["lamp", "chair"]}
        await waypost.ingest_event("Wish List Shared", wishes, email="ada@example.com")
        run = await waypost.run("thank-for-wishes")

        assert (await waypost.run_result(run)).outcome == "lamp, chair"


class Poisoned(Delivery):
    """Fails in its own code for one run, and delivers to all others."""

    def __init__(self, client: Client, run_id: UUID, error: Exception) -> None:
        super().__init__(client)
        self._run_id = run_id
        self._error = error

    async def start(self, row: OutboxRow) -> str | None:
        if row.lane == self._run_id:
            raise self._error
        return await super().start(row)


@pytest.mark.parametrize(
    "error",
    [AttributeError("'str' object has no attribute 'get'"), ZeroDivisionError(), ValueError("\x00\udc80")],
    ids=lambda error: type(error).__name__,
)
async def test_an_unexpected_error_of_a_row_parks_its_run_and_the_relay_goes_on(
    gate_env: GateHarness, temporal: TemporalDevServer, error: Exception
) -> None:
    bad = await gate_env.one_cart()
    relay = Relay(
        gate_env.database, Poisoned(temporal.client, bad, error), gate_env.journeys.routes, local=True
    )
    async with OutboxListener(gate_env.url) as listener:
        working = asyncio.create_task(relay.run(listener))
        await gate_env.wait_for_rows("SELECT 1 FROM run WHERE state = 'stuck'")
        good = await gate_env.leaves_cart(["lamp"], cart_id="c-2", **shopper(2))
        delivered = "SELECT 1 FROM outbox WHERE delivered_at IS NOT NULL AND lane = $1"
        await gate_env.wait_for_rows(delivered, good, timeout_s=scaled(20))
        still_working = not working.done()
        working.cancel()
        await asyncio.wait([working])
    [run] = await gate_env.fetch_rows("SELECT * FROM run WHERE run_id = $1", bad)

    assert still_working
    assert type(error).__name__ in run["detail"]
    assert "the relay's log has the error" in run["detail"]
    assert run["stuck_at"] is not None


class Broken(Database):
    """A pool that is of no use a few times, with an error that nobody expects."""

    left = 3

    @asynccontextmanager
    async def transaction(
        self, first_statement: str = "", timeout_s: float | None = None
    ) -> AsyncIterator[Any]:
        if self.left:
            self.left -= 1
            raise LookupError("nobody expects this")
        async with super().transaction(first_statement, timeout_s) as connection:
            yield connection


async def test_a_failure_of_the_loop_itself_is_backed_off_and_ends_nothing(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    await gate_env.one_cart()
    broken = Broken(gate_env.url)
    relay = Relay(broken, Delivery(temporal.client), gate_env.journeys.routes, local=True)
    async with OutboxListener(gate_env.url) as listener:
        working = asyncio.create_task(relay.run(listener))
        await gate_env.wait_for_rows(NOTHING_LEFT, timeout_s=scaled(20))
        working.cancel()
        await asyncio.wait([working])
    await broken.close()

    assert working.cancelled()
    assert broken.left == 0


@pytest.mark.parametrize("of_a_run", [True, False], ids=["of a run", "of no run"])
async def test_a_kind_of_row_of_a_newer_version_waits_and_delays_no_other(
    gate_env: GateHarness, of_a_run: bool
) -> None:
    """During a deploy the new api may write what the old relay does not know; the new relay delivers it."""
    run_id = await gate_env.one_cart()
    lane = run_id if of_a_run else new_id()
    await gate_env.fetch_rows("UPDATE outbox SET kind = 'telegram', lane = $1", lane)
    good = await gate_env.leaves_cart(["lamp"], cart_id="c-2", **shopper(2))
    await gate_env.deliver_outbox()
    [row] = await gate_env.fetch_rows("SELECT * FROM outbox WHERE kind = 'telegram'")
    delivered = await gate_env.fetch_rows("SELECT lane FROM outbox WHERE delivered_at IS NOT NULL")
    states = await gate_env.fetch_rows("SELECT DISTINCT state FROM run")
    await gate_env.fetch_rows("UPDATE outbox SET kind = 'start', lane = $1, retry_at = NULL "
                              "WHERE kind = 'telegram'", run_id)  # fmt: skip
    await gate_env.deliver_outbox()

    assert row["delivered_at"] is None
    assert row["retry_at"] is not None
    assert "is of the kind 'telegram'" in row["error"]
    assert [one["lane"] for one in delivered] == [good]
    assert [one["state"] for one in states] == ["running"]
    assert not await gate_env.fetch_rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL")


async def test_a_malformed_row_of_an_audience_waits_and_is_not_dropped(gate_env: GateHarness) -> None:
    query = "INSERT INTO outbox (lane, kind, name, payload) VALUES ($1, 'audience', 'remove', $2)"
    await gate_env.fetch_rows(query, new_id(), json.dumps({"nothing": 1}))
    await gate_env.one_cart()
    await gate_env.deliver_outbox()
    [row] = await gate_env.fetch_rows("SELECT * FROM outbox WHERE delivered_at IS NULL")

    assert row["kind"] == "audience"
    assert "KeyError in delivering audience 'remove'" in row["error"]


class Alone(Delivery):
    """Takes every row but those of one run, for which the server has no time now."""

    def __init__(self, client: Client, run_id: UUID) -> None:
        super().__init__(client)
        self._run_id = run_id

    async def signal(self, row: OutboxRow) -> DeliveryStatus:
        if row.lane == self._run_id:
            raise OSError("reset")
        return await super().signal(row)


async def test_a_row_that_alone_is_not_taken_waits_alone(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    bad = await gate_env.one_cart()
    await gate_env.deliver_outbox()
    relay = Relay(gate_env.database, Alone(temporal.client, bad), gate_env.journeys.routes, local=True)
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
    good = await gate_env.leaves_cart(["lamp"], cart_id="c-2", **shopper(2))
    await relay.deliver_batch()
    waiting = await gate_env.fetch_rows("SELECT lane, retry_at FROM outbox WHERE delivered_at IS NULL")

    assert [row["lane"] for row in waiting] == [bad]
    assert waiting[0]["retry_at"] is not None
    assert await gate_env.fetch_rows("SELECT 1 FROM run WHERE run_id = $1 AND state = 'running'", bad)
    assert await gate_env.fetch_rows(
        "SELECT 1 FROM outbox WHERE lane = $1 AND delivered_at IS NOT NULL", good
    )


async def test_a_lost_run_that_cannot_be_closed_at_once_is_closed_later_and_loses_no_event(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        added = {"product_id": "lamp", "cart_id": "c-1"}
        await waypost.ingest_event("Product Added", added, email="ada@example.com")
        lost = await waypost.run("keep-company")
        await waypost.handle(lost).terminate()
        with monkeypatch.context() as patched:
            patched.setattr(lifecycle, "_reroute", _raise)
            await waypost.ingest_event(
                "Product Added", added | {"product_id": "chair"}, email="ada@example.com"
            )
        [row] = await waypost.fetch_rows("SELECT error FROM outbox WHERE delivered_at IS NULL")
        await waypost.fetch_rows("UPDATE outbox SET retry_at = NULL")
        await waypost.deliver_outbox()
        runs = await waypost.fetch_rows("SELECT * FROM run ORDER BY run_id")

        assert "ArithmeticError in delivering signal 'Product Added'" in row["error"]
        assert [(run["state"], run["outcome"]) for run in runs] == [("ended", "gone"), ("running", None)]
        assert (await waypost.run_details(runs[1])).count("Product Added") == 1


async def _raise(*_: object, **__: object) -> None:
    raise ArithmeticError("nobody expects this")


async def test_the_reconciler_closes_the_other_runs_where_one_cannot_be_closed(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        runs = []
        for number in range(3):
            added = {"product_id": "lamp", "cart_id": f"r-{number}"}
            await waypost.ingest_event("Product Added", added, email=f"ada-{number}@example.com")
            runs.append(await waypost.run("keep-company", f"r-{number}"))
            await waypost.handle(runs[-1]).terminate()
        close = reconciler.close_orphaned_run

        async def close_all_but_one(*args: Any, **more: Any) -> None:
            if args[2] == runs[1]["run_id"]:
                raise ArithmeticError("nobody expects this")
            await close(*args, **more)

        monkeypatch.setattr(reconciler, "close_orphaned_run", close_all_but_one)
        sweeper = Reconciler(waypost.database, waypost.client, waypost.journeys.routes, local=True)
        async with asyncio.timeout(scaled(20)):
            while await sweeper.end_runs() < 2:  # noqa: ASYNC110 - Temporal lists ended runs later
                await asyncio.sleep(0.2)
        states = {row["key"]: row["state"] for row in await waypost.fetch_rows("SELECT key, state FROM run")}

        assert states == {"r-0": "ended", "r-1": "running", "r-2": "ended"}
