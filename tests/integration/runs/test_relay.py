"""The relay: order per run with any number of relays, redelivery that harms nobody, runs that are stuck."""

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from authoring.testing.calendar import DEFAULT_START
from authoring.testing.environment import Waypost
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from profiles.runs import outbox
from profiles.runs.lifecycle import close_run
from profiles.runs.outbox import OutboxRow
from tests.support.deadlines import scaled
from tests.support.environments.gate import GateHarness, shopper
from tests.support.journeys.small import KeepCompany
from tests.support.proof_size import size
from workers.delivery import Delivery, DeliveryStatus
from workers.outbox_listener import OutboxListener
from workers.relay import Relay


class Notebook(Delivery):
    """A Temporal that only writes down what it was told, in the order it was told."""

    def __init__(self, seed: int = 0) -> None:
        self.told: dict[UUID, list[str]] = defaultdict(list)
        self.holding: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self._random = random.Random(seed)

    async def start(self, row: OutboxRow) -> str | None:
        self.reached.set()
        if self.holding is not None:
            await self.holding.wait()
        await self._note(row)
        return f"temporal-{row.lane}"

    async def signal(self, row: OutboxRow) -> DeliveryStatus:
        await self._note(row)
        return DeliveryStatus.DELIVERED

    async def _note(self, row: OutboxRow) -> None:
        # Calls to a real server take different times; whoever asks first need not be answered first.
        await asyncio.sleep(self._random.uniform(0, 0.003))
        self.told[row.lane].append(f"{row.kind} {row.name}")


class Crashing(Database):
    """A pool whose next transaction dies right before its COMMIT."""

    crash = True

    @asynccontextmanager
    async def transaction(
        self, first_statement: str = "", timeout_s: float | None = None
    ) -> AsyncIterator[Any]:
        async with super().transaction(first_statement, timeout_s) as connection:
            yield connection
            if self.crash:
                self.crash = False
                raise ConnectionError("killed before COMMIT")


def relay(gate_env: Waypost, delivery: Delivery, database: Database | None = None) -> Relay:
    return Relay(database or gate_env.database, delivery, gate_env.journeys.routes, local=True)


async def drained(relay: Relay) -> None:
    while await relay.deliver_batch():
        pass


async def signals_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Names of the signals that a run was told, in order."""
    told = [
        event.workflow_execution_signaled_event_attributes for event in (await handle.fetch_history()).events
    ]
    return [signal.signal_name for signal in told if signal.signal_name]


async def delivered_in_full(gate_env: GateHarness, relay: Relay) -> None:
    """Deliver until no row is left, including rows whose next attempt is still to come."""
    async with asyncio.timeout(scaled(60)):
        while await gate_env.fetch_rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL"):
            if not await relay.deliver_batch():
                await asyncio.sleep(0.05)


async def a_cart_and_its_purchase(gate_env: GateHarness, number: int = 1) -> UUID:
    run_id = await gate_env.leaves_cart(["lamp"], cart_id=f"c-{number}", **shopper(number))
    await gate_env.takes("Order Completed", gate_env.order("lamp", order_id=f"o-{number}"), **shopper(number))
    await gate_env.fetch_rows("DELETE FROM outbox WHERE lane <> $1", run_id)
    return run_id


UNVERIFIED = [
    pytest.param("false", id="of verified events"),
    pytest.param("true", id="of unverified events"),
    pytest.param("kind = 'start'", id="of an unverified cart and a verified order"),
]
"""Which rows of a run are of unverified events, in SQL."""


async def purchase_while_another_relay_tells_the_start(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch, unverified: str
) -> list[str]:
    """What Temporal hears where one relay hangs in a start, and another one comes for what is next."""
    monkeypatch.setattr("workers.relay.BATCH_SIZE", 1)
    run_id = await a_cart_and_its_purchase(gate_env)
    await gate_env.fetch_rows(f"UPDATE outbox SET verified = NOT ({unverified})")
    notebook = Notebook()
    notebook.holding = asyncio.Event()
    first = asyncio.create_task(relay(gate_env, notebook).deliver_batch())
    reached = asyncio.create_task(notebook.reached.wait())
    await asyncio.wait({first, reached}, return_when=asyncio.FIRST_COMPLETED)
    if first.done():
        # It has delivered another row before the start.
        notebook.holding.set()
    await drained(relay(gate_env, notebook))
    notebook.holding.set()
    await asyncio.gather(first, reached)
    await drained(relay(gate_env, notebook))
    return notebook.told[run_id]


@pytest.mark.parametrize("unverified", UNVERIFIED)
async def test_a_second_relay_leaves_a_run_alone_while_its_start_is_being_told(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch, unverified: str
) -> None:
    told = await purchase_while_another_relay_tells_the_start(gate_env, monkeypatch, unverified)

    assert told == ["start Product Added", "signal Order Completed"]


@pytest.mark.parametrize("unverified", UNVERIFIED)
async def test_order_breaks_where_rows_are_only_skipped_when_locked(
    gate_env: GateHarness, monkeypatch: pytest.MonkeyPatch, unverified: str
) -> None:
    statement = re.sub(r"AND NOT EXISTS \(.*?e\.seq < [ov]\.seq\)", "", outbox._LOCK_BATCH, flags=re.DOTALL)
    statement = re.sub(r"o\.seq = \(SELECT.*?LIMIT 1\)", "o.seq = v.seq", statement, flags=re.DOTALL)
    monkeypatch.setattr(outbox, "_LOCK_BATCH", statement)
    told = await purchase_while_another_relay_tells_the_start(gate_env, monkeypatch, unverified)

    assert told == ["signal Order Completed", "start Product Added"]


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("relays", [2, 4])
async def test_several_relays_keep_the_order_of_every_run(
    gate_env: GateHarness, relays: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.BATCH_SIZE", 7)
    runs = size(24, 300)
    for number in range(runs):
        await gate_env.leaves_cart(["lamp", "chair", "desk"], cart_id=f"c-{number}", **shopper(number))
        await gate_env.takes(
            "Order Completed", gate_env.order("desk", order_id=f"o-{number}"), **shopper(number)
        )
    await gate_env.fetch_rows("UPDATE outbox SET verified = seq % 3 = 0")
    notebook = Notebook(seed=relays)
    pools = [Database(gate_env.url, pool_size=2) for _ in range(relays)]
    backlog = await gate_env.fetch_rows("SELECT count(*) AS n FROM outbox")
    deadline = asyncio.get_running_loop().time() + scaled(600)

    async def work(pool: Database) -> None:
        mine = relay(gate_env, notebook, pool)
        while await gate_env.fetch_rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL LIMIT 1"):
            assert asyncio.get_running_loop().time() < deadline
            await mine.deliver_batch()

    await asyncio.gather(*(work(pool) for pool in pools))
    for pool in pools:
        await pool.close()

    carts = await gate_env.fetch_rows("SELECT run_id FROM run WHERE journey = 'cart-abandonment'")
    assert len(carts) == runs
    expected = [
        "start Product Added",
        "signal Product Added",
        "signal Product Added",
        "signal Order Completed",
    ]
    assert [told for run in carts if (told := notebook.told[run["run_id"]]) != expected] == []
    assert sum(map(len, notebook.told.values())) == backlog[0]["n"]


async def test_a_start_told_and_not_marked_is_told_again_and_changes_nothing(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        added = {"product_id": "lamp", "cart_id": "c-1"}
        await waypost.ingest([waypost.build_event("Product Added", added, email="ada@example.com")])
        crashing = Crashing(database_url)
        with pytest.raises(ConnectionError):
            await relay(waypost, Delivery(temporal.client), crashing).deliver_batch()
        await crashing.close()
        run = await waypost.run("keep-company")
        before = (run["temporal_run_id"], (await waypost.handle(run).describe()).run_id)
        await waypost.deliver_outbox()
        await waypost.ingest_event("Product Added", added | {"product_id": "chair"}, email="ada@example.com")
        run = await waypost.run("keep-company")

        assert before[0] is None
        assert run["temporal_run_id"] == before[1]
        details = await waypost.run_details(run)
        assert details.count("Product Added") == 2


async def test_a_start_told_again_after_the_run_has_ended_starts_no_second_one(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        added = {"product_id": "lamp", "cart_id": "c-1"}
        await waypost.ingest_event("Product Added", added, email="ada@example.com")
        run = await waypost.run("keep-company")
        await waypost.ingest_event("Order Completed", {"products": [added]}, email="ada@example.com")
        await waypost.run_result(run)
        await waypost.fetch_rows("UPDATE run SET temporal_run_id = NULL")
        await waypost.fetch_rows("UPDATE outbox SET delivered_at = NULL WHERE kind = 'start'")
        await waypost.deliver_outbox()
        again = await waypost.run("keep-company")
        described = await waypost.handle(run).describe()

        assert again["temporal_run_id"] == run["temporal_run_id"] == described.run_id
        assert (again["state"], again["outcome"]) == ("ended", "bought")


async def test_a_signal_told_twice_is_seen_once(database_url: str, temporal: TemporalDevServer) -> None:
    async with Waypost(database_url, temporal.client, journeys=(KeepCompany,)) as waypost:
        added = {"product_id": "lamp", "cart_id": "c-1"}
        await waypost.ingest_event("Product Added", added, email="ada@example.com")
        await waypost.ingest_event("Product Added", added, email="ada@example.com")
        run = await waypost.run("keep-company")
        for _ in range(3):
            await waypost.fetch_rows("UPDATE outbox SET delivered_at = NULL WHERE kind = 'signal'")
            await waypost.deliver_outbox()
        told = await signals_of(waypost.handle(run))

        assert len(told) == 5
        assert (await waypost.run_details(run)).count("Product Added") == 2


async def test_while_temporal_is_away_nothing_is_refused_and_all_is_told_when_it_is_back(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    nowhere = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    away = relay(gate_env, Delivery(nowhere))
    async with OutboxListener(gate_env.url) as doorbell:
        working = asyncio.create_task(away.run(doorbell))
        for number in range(20):
            await gate_env.leaves_cart(["lamp"], cart_id=f"c-{number}", **shopper(number))
            await gate_env.takes(
                "Order Completed", gate_env.order("lamp", order_id=f"o-{number}"), **shopper(number)
            )
        await gate_env.wait_for_rows("SELECT 1 FROM outbox WHERE error LIKE '%connect%'")
        working.cancel()
        await asyncio.wait([working])
    waiting = await gate_env.fetch_rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL")
    accepted = await gate_env.fetch_rows("SELECT 1 FROM event")
    await delivered_in_full(gate_env, relay(gate_env, Delivery(temporal.client)))

    assert working.cancelled()
    # A purchase is told to the cart's run, and starts one of its own.
    assert (len(accepted), len(waiting)) == (40, 60)
    assert await gate_env.fetch_rows("SELECT 1 FROM outbox WHERE delivered_at IS NULL") == []
    for run in await gate_env.fetch_rows("SELECT * FROM run WHERE journey = 'cart-abandonment'"):
        assert await signals_of(gate_env.handle(run)) == ["Product Added", "Order Completed"]


async def test_a_temporal_that_is_killed_and_comes_back_is_told_the_rest(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.delivery.RPC_TIMEOUT", timedelta(seconds=1))
    server = TemporalDevServer(tmp_path_factory.mktemp("temporal") / "runs.db")
    async with server, GateHarness(database_url, server.client) as gate_env:
        run_id = await gate_env.one_cart()
        await gate_env.deliver_outbox()
        await server.kill()
        await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
        lost = await asyncio.gather(gate_env.relay.deliver_batch(), return_exceptions=True)
        await server.start()
        gate_env.client = server.client
        monkeypatch.undo()
        await drained(relay(gate_env, Delivery(server.client)))
        [run] = await gate_env.fetch_rows("SELECT * FROM run WHERE run_id = $1", run_id)
        signals = await signals_of(server.client.get_workflow_handle(run["workflow_id"]))

        assert isinstance(lost[0], Exception)
        assert signals[0] == "Product Added"
        assert "Order Completed" in signals


async def test_a_run_that_closes_while_its_start_is_being_marked_makes_no_deadlock(
    gate_env: GateHarness,
) -> None:
    run_id = await gate_env.one_cart()
    notebook = Notebook()
    notebook.holding = asyncio.Event()
    telling = asyncio.create_task(relay(gate_env, notebook).deliver_batch())
    await notebook.reached.wait()
    closing = asyncio.create_task(
        close_run(
            gate_env.database,
            gate_env.journeys.routes,
            run_id,
            outcome="done",
            seen_event_ids=[],
            at=DEFAULT_START,
            local=True,
        )
    )
    await gate_env.someone_waits_for_a_lock(or_done=closing)
    notebook.holding.set()
    await asyncio.gather(telling, closing)
    # Counters of a session are written when it ends.
    await gate_env.database.close()
    [run] = await gate_env.fetch_rows("SELECT state, temporal_run_id FROM run WHERE run_id = $1", run_id)
    [conflicts] = await gate_env.fetch_rows(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )

    assert (run["state"], run["temporal_run_id"]) == ("ended", f"temporal-{run_id}")
    assert conflicts["deadlocks"] == 0
