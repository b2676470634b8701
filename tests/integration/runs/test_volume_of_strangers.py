"""A till's order is confirmed while a stranger's carts wait for Temporal, the workers and the gate."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from authoring.testing.environment import Waypost
from tests.support.deadlines import scaled
from tests.support.proof_size import size
from workers.outbox_listener import OutboxListener

CARTS = size(300, 1500)


@pytest_asyncio.fixture(loop_scope="session")
async def shop(database_url: str, temporal: Any) -> AsyncIterator[Waypost]:
    async with Waypost(database_url, temporal.client) as running:
        yield running


async def strangers_carts(shop: Waypost, count: int) -> None:
    for first in range(0, count, 100):
        events = [
            shop.build_event(
                "Product Added", {"product_id": "lamp", "cart_id": f"c-{n}"}, email=f"s{n}@example.com"
            )
            for n in range(first, min(first + 100, count))
        ]
        await shop.ingest([replace(event, verified=False, sender="page") for event in events])


async def started(shop: Waypost) -> int:
    [row] = await shop.fetch_rows("SELECT count(*) AS n FROM run WHERE temporal_run_id IS NOT NULL")
    return int(row["n"])


async def confirmed_order(shop: Waypost) -> tuple[float, int, float]:
    """Seconds until a verified order is told to Temporal, carts told before, seconds to its confirmation."""
    order = {"order_id": "o-1", "products": [{"product_id": "chair", "price": 39.0}]}
    began = time.monotonic()
    await shop.ingest([shop.build_event("Order Completed", order, email="ada@example.com")])
    told, carts = 0.0, 0
    async with asyncio.timeout(scaled(300)):
        while True:
            [state] = await shop.fetch_rows(
                "SELECT bool_or(r.temporal_run_id IS NOT NULL) AS told, bool_or(m.status = 'sent') AS sent "
                "FROM run r LEFT JOIN message m USING (run_id) WHERE r.journey = 'post-purchase'"
            )
            if state["told"] and not told:
                told, carts = time.monotonic() - began, await started(shop) - 1
            if state["sent"]:
                return told, carts, time.monotonic() - began
            await asyncio.sleep(0.02)


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_a_verified_order_is_confirmed_before_the_carts_of_strangers(
    shop: Waypost, database_url: str
) -> None:
    await strangers_carts(shop, CARTS)
    async with OutboxListener(database_url) as listener:
        delivering = asyncio.create_task(shop.relay.run(listener))
        try:
            told, carts, confirmed = await confirmed_order(shop)
        finally:
            delivering.cancel()
            await asyncio.wait([delivering])
    print(f"\n{CARTS} carts: told after {told:.2f} s and {carts} carts, confirmed after {confirmed:.2f} s")

    # What the relay had in hand when the order came, and a batch or two of its share.
    assert carts < 200
