"""Rows of verified events are delivered first, the others are not forgotten, and a batch is a short read."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

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
        pytest.param(30, 0, (0, 10), id="only unverified ones: the whole batch"),
        pytest.param(0, 30, (8, 0), id="only verified ones: all but the share"),
        pytest.param(30, 30, (8, 2), id="both: a fifth is for the unverified ones"),
        pytest.param(30, 3, (3, 7), id="few verified ones: the rest is for the others"),
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
    """A hundred verified rows that came later, and a hundred unverified ones, are both on their way at once."""
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
    lane = uuid4()
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
        [explained] = await connection.fetchval(statement, 80, 100, 100)
    steps = scans(explained["Plan"])

    assert [
        step for step in steps if step["Node Type"] in ("Seq Scan", "Sort") and "outbox" in str(step)
    ] == []
    assert sum(s["Actual Rows"] * s["Actual Loops"] for s in steps if "Index" in s["Node Type"]) < 1_000
