"""A till's clock may be hours or years behind: nothing bought stays in a cart without a suppression."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.ingest.pipeline import IngestConfig
from profiles.state.event_records import IncomingEvent
from tests.support.environments.api import OpenApi, event
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, order

ADA = "ada@example.com"

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

CLOCKS = (timedelta(0), 3 * HOUR, 2 * DAY, 20 * DAY, 364 * DAY, 366 * DAY, 5_000 * DAY)
"""How far a till's clock is behind."""


async def left_open(facts: IngestHarness, who: str) -> list[str]:
    """Products in the person's carts that no purchase suppresses."""
    rows = await facts.values(
        "SELECT jsonb_path_query(lines, '$[*].product_id') #>> '{}' FROM cart WHERE profile_id = $1",
        await facts.who("email", who),
    )
    return sorted(set(rows) - set(await facts.suppressed("email", who)))


def cuts(count: int) -> list[list[int]]:
    """Ways to cut a list of events into batches: all together, one by one, and the last alone."""
    return [[count], [1] * count, [count - 1, 1]]


@pytest.mark.parametrize("behind", CLOCKS, ids=str)
@pytest.mark.parametrize("window", [timedelta(0), DAY, 365 * DAY, None], ids=str)
async def test_a_purchase_takes_out_what_lies_in_the_cart_when_it_arrives(
    database: Database, behind: timedelta, window: timedelta | None
) -> None:
    if window == timedelta(0) and behind < 3 * DAY:
        pytest.skip("the shop lets the item be promoted after a purchase, and takes the order at its word")
    number = 0
    for arrival in permutations(range(3)):
        for sizes in cuts(3):
            number += 1
            facts = IngestHarness(database, CARTS, rules=IngestConfig(suppression_window=window))
            facts.source, who = f"s{number}", f"p{number}@example.com"
            carts = [
                facts.event("Product Added", LAMP | {"cart_id": f"c{number}"}, email=who, ago=2 * HOUR),
                facts.event("Product Added", CHAIR | {"cart_id": f"c{number}"}, email=who, ago=HOUR),
                facts.event("Product Viewed", CHAIR, email=who),
            ]
            await send(facts, [carts[place] for place in arrival], sizes)
            await facts.happens("Order Completed", order(LAMP), channel="store", email=who, ago=behind)
            assert await left_open(facts, who) == ["chair"], (arrival, sizes)
            # A late event has the cart computed anew.
            late = {"product_id": "rug", "cart_id": f"c{number}"}
            await facts.happens("Product Added", late, email=who, ago=3 * HOUR)
            assert await left_open(facts, who) == ["chair", "rug"], (arrival, sizes)


async def send(facts: IngestHarness, events: Sequence[IncomingEvent], sizes: Sequence[int]) -> None:
    start = 0
    for size in sizes:
        await facts.ingest(events[start : start + size])
        start += size


async def test_a_run_hears_of_a_purchase_by_a_clock_that_is_years_behind(database: Database) -> None:
    facts = IngestHarness(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    await facts.happens("Order Completed", order(LAMP), channel="store", email=ADA, ago=5_000 * DAY)

    assert await facts.outbox() == ["start: Product Added", "Order Completed"]
    assert await facts.carts() == {"c": []}


async def test_a_cart_of_after_the_arrival_keeps_what_is_bought_again(database: Database) -> None:
    facts = IngestHarness(database, CARTS)
    await facts.happens("Order Completed", order(LAMP), channel="store", email=ADA, ago=400 * DAY)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA, ago=HOUR)

    assert await facts.carts() == {"c": ["chair", "lamp"]}


@pytest.mark.parametrize("stated", ["1970-01-01T00:00:00Z", "1980-01-06T00:00:00Z", "2000-01-01T00:00:00Z"])
async def test_a_clock_that_was_never_set_takes_no_part_in_any_order_of_arrival(
    api: OpenApi, stated: str
) -> None:
    added = {"product_id": "lamp"}
    told: list[tuple[str, dict[str, Any], str | None]] = [
        ("Product Added", added, None),
        ("Order Completed", {"order_id": "o-1", "products": [added]}, stated),
    ]
    for number, arrival in enumerate(permutations(told)):
        for position, (name, properties, time) in enumerate(arrival):
            body = event(name, event_id=f"{number}-{position}", properties=properties)
            body |= {"identifiers": {"email": f"p{number}@example.com"}} | ({"time": time} if time else {})
            await api.results("/v1/events", body)
    open_lines = await api.rows(
        "SELECT 1 FROM cart c, jsonb_array_elements(c.lines) l WHERE NOT EXISTS (SELECT 1 FROM "
        "suppression s WHERE s.profile_id = c.profile_id AND s.item = l ->> 'product_id' "
        "AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > now()))"
    )

    assert open_lines == []
