"""Rows of verified events are delivered first, the others are not forgotten, and a batch is a short read."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from local.temporal_server import TemporalDevServer
from profiles.db.sql import new_id
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.runs import outbox
from profiles.runs.outbox import OutboxRow
from tests.support.environments.gate import GateHarness
from workers.delivery import Delivery, DeliveryStatus
from workers.relay import Relay

INSERT = """
INSERT INTO outbox (lane, kind, name, verified, trigger)
SELECT gen_random_uuid(), 'start', 'Product Added', $1, true FROM generate_series(1, $2)
"""


class Tally(Delivery):
    """A Temporal that accepts everything, in its own order."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []

    async def start(self, row: OutboxRow) -> str | None:
        self.rows.append(row)
        return str(row.lane)

    async def signal(self, row: OutboxRow) -> DeliveryStatus:
        self.rows.append(row)
        return DeliveryStatus.DELIVERED


async def add_rows(env: GateHarness, count: int, *, verified: bool) -> None:
    """Starts of as many runs, which are of no use to Temporal."""
    await env.fetch_rows(INSERT, verified, count)


async def add_row(env: GateHarness, lane: UUID, *, verified: bool) -> None:
    query = "INSERT INTO outbox (lane, kind, name, verified) VALUES ($1, 'signal', 'Order Completed', $2)"
    await env.fetch_rows(query, lane, verified)


async def lock(env: GateHarness, limit: int, *, urgent_only: bool = False) -> list[OutboxRow]:
    async with env.database.transaction() as connection:
        return await outbox.lock_batch(connection, limit, urgent_only=urgent_only)


async def deliver(env: GateHarness, tally: Tally) -> int:
    relay = Relay(env.database, tally, env.journeys.routes, local=True)
    return await relay.deliver_batch()


@pytest.mark.parametrize(
    ("unverified", "verified", "expected"),
    [
        pytest.param(0, 0, (0, 0), id="nothing"),
        pytest.param(30, 0, (0, 4), id="only unverified ones: two fifths"),
        pytest.param(0, 30, (8, 0), id="only verified ones: all but the share"),
        pytest.param(30, 30, (8, 2), id="both: a fifth is for the unverified ones"),
        pytest.param(30, 3, (3, 4), id="few verified ones"),
        pytest.param(1, 30, (8, 1), id="few unverified ones"),
    ],
)
async def test_a_batch_holds_verified_rows_first_and_a_share_of_the_others(
    gate_env: GateHarness, unverified: int, verified: int, expected: tuple[int, int]
) -> None:
    await add_rows(gate_env, unverified, verified=False)
    await add_rows(gate_env, verified, verified=True)
    rows = await lock(gate_env, 10)

    assert expected == (sum(row.verified for row in rows), sum(not row.verified for row in rows))
    for trust in (True, False):
        part = [row.seq for row in rows if row.verified is trust]
        assert part == sorted(part)[: len(part)]


async def test_neither_kind_waits_for_all_of_the_other(gate_env: GateHarness) -> None:
    """Verified rows that came later are delivered with a share of the unverified ones."""
    await add_rows(gate_env, 500, verified=False)
    await add_rows(gate_env, 500, verified=True)
    tally = Tally()
    for _ in range(5):
        await deliver(gate_env, tally)
    halves = [row.verified for row in tally.rows]

    assert (halves.count(True), halves.count(False)) == (400, 100)
    while await deliver(gate_env, tally):
        pass
    assert len({row.seq for row in tally.rows}) == len(tally.rows) == 1000


async def test_a_verified_row_takes_the_unverified_ones_of_its_run_with_it(gate_env: GateHarness) -> None:
    """A purchase behind a stranger's events in one run: they are told first, at once, and in order."""
    await add_rows(gate_env, 300, verified=False)
    lane = new_id()
    for verified in (False, False, True):
        await add_row(gate_env, lane, verified=verified)
    tally = Tally()
    for _ in range(3):
        await deliver(gate_env, tally)
    told = [row for row in tally.rows if row.lane == lane]

    assert [row.verified for row in told] == [False, False, True]
    assert [row.seq for row in told] == sorted(row.seq for row in told)


async def test_one_of_a_relays_batches_takes_only_urgent_rows(gate_env: GateHarness) -> None:
    await add_rows(gate_env, 20, verified=False)
    assert await lock(gate_env, 10, urgent_only=True) == []
    await add_rows(gate_env, 20, verified=True)
    rows = await lock(gate_env, 10, urgent_only=True)

    assert [row.verified for row in rows] == [True] * 10


async def test_batches_at_once_share_no_row_and_leave_none_idle(gate_env: GateHarness) -> None:
    await add_rows(gate_env, 30, verified=False)
    await add_rows(gate_env, 30, verified=True)
    found: list[list[OutboxRow]] = []
    locked, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with gate_env.database.transaction() as connection:
            found.append(await outbox.lock_batch(connection, 10))
            if len(found) == 3:
                locked.set()
            await done.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.wait_for(locked.wait(), 10)
    done.set()
    await asyncio.gather(*tasks)

    assert [len(rows) for rows in found] == [10, 10, 10]
    assert len({row.seq for rows in found for row in rows}) == 30


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(each for part in plan.get("Plans", []) for each in scans(part))]


async def test_a_batch_is_a_short_indexed_read_whatever_waits(gate_env: GateHarness) -> None:
    await add_rows(gate_env, 20_000, verified=False)
    await add_rows(gate_env, 5_000, verified=True)
    async with gate_env.database.transaction() as connection:
        await connection.execute("ANALYZE outbox")
        statement = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {outbox._LOCK_BATCH}"
        [explained] = await connection.fetchval(statement, 80, 40, 100)
    steps = scans(explained["Plan"])

    assert [
        step for step in steps if step["Node Type"] in ("Seq Scan", "Sort") and "outbox" in str(step)
    ] == []
    assert sum(s["Actual Rows"] * s["Actual Loops"] for s in steps if "Index" in s["Node Type"]) < 1_000


async def test_a_row_says_whether_the_shop_sent_its_event(gate_env: GateHarness) -> None:
    """Of an unverified event, of one that a customer's tokens verify, and of a server's."""
    event = gate_env.build_event(
        "Product Added", {"product_id": "lamp", "cart_id": "c-0"}, email="s@example.com"
    )
    trusts = [{"verified": False}, {"by_customer": True}, {}]
    for number, trust in enumerate(trusts):
        properties = event.properties | {"cart_id": f"c-{number}"}
        await gate_env.ingest([replace(event, id=f"e-{number}", properties=properties, **trust)])
    rows = await gate_env.fetch_rows("SELECT kind, verified FROM outbox ORDER BY seq")

    assert [(row["kind"], row["verified"]) for row in rows] == [
        ("start", False),
        ("start", False),
        ("start", True),
    ]


async def test_beyond_the_bound_an_unverified_event_starts_no_run(gate_env: GateHarness) -> None:
    """Its event stands, with a problem; a server's event starts its run; a second later there may be room."""
    left_out: list[tuple[str, str, int]] = []
    rules = IngestConfig(local=True, max_unstarted_runs=20, on_left_out=lambda *call: left_out.append(call))
    ingest = Ingest(gate_env.database, gate_env.journeys.routes, rules)
    await add_rows(gate_env, 20, verified=False)

    async def adds(number: int, *, verified: bool) -> list[str]:
        added = {"product_id": "lamp", "cart_id": f"c-{number}"}
        event = gate_env.build_event("Product Added", added, email=f"s{number}@example.com")
        [result] = await ingest([replace(event, verified=verified, sender="page")])
        assert result.status is IngestStatus.ACCEPTED
        [row] = await gate_env.fetch_rows(
            "SELECT problems::text FROM event WHERE event_id = $1", result.event_id
        )
        return [row["problems"]]

    [problems] = await adds(1, verified=False)
    await adds(2, verified=True)
    keys = [row["key"] for row in await gate_env.fetch_rows("SELECT key FROM run")]

    assert "20 runs of unverified events wait for their start" in problems
    assert keys == ["c-2"]
    assert left_out == [("page", "run", 1)]
    await gate_env.fetch_rows("UPDATE outbox SET delivered_at = now()")
    later = Ingest(gate_env.database, gate_env.journeys.routes, rules)
    event = gate_env.build_event(
        "Product Added", {"product_id": "desk", "cart_id": "c-1"}, email="s1@example.com"
    )
    await later([replace(event, verified=False)])
    assert len(await gate_env.fetch_rows("SELECT 1 FROM run WHERE key = 'c-1'")) == 1


async def test_a_run_of_an_unverified_event_has_the_lower_priority(
    gate_env: GateHarness, temporal: TemporalDevServer
) -> None:
    for number, verified in enumerate((False, True)):
        added = {"product_id": "lamp", "cart_id": f"c-{number}"}
        event = gate_env.build_event("Product Added", added, email=f"s{number}@example.com")
        await gate_env.ingest([replace(event, verified=verified)])
    await gate_env.deliver_outbox()
    priorities = []
    for run in await gate_env.fetch_rows("SELECT workflow_id FROM run ORDER BY key"):
        history = await temporal.client.get_workflow_handle(run["workflow_id"]).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        priorities.append(started.priority.priority_key)

    assert priorities == [4, 0]
