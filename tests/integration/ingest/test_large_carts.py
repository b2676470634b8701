"""Carts with very many lines, very long texts and very great numbers: what is kept, and what it costs."""

import time
from dataclasses import replace
from datetime import timedelta

from profiles.ingest.event_store import IngestStatus
from profiles.runs.payload_bounds import MAX_CART_BYTES, MAX_FIELDS_BYTES
from profiles.state.bounds import MAX_CART_LINES, MAX_OPEN_CARTS, MAX_QUANTITY
from profiles.state.event_records import IncomingEvent
from tests.support.deadlines import SCALE
from tests.support.environments.ingest import CARTS, LAMP, PEOPLE, IngestHarness

JOURNEYS = (CARTS, PEOPLE)

ADA = "ada@example.com"


def adds(facts: IngestHarness, count: int, prefix: str, **more: object) -> list[IncomingEvent]:
    """Distinct products for one cart, from a page."""
    return [
        replace(
            facts.event(
                "Product Added",
                {"product_id": f"{prefix}-{number}", "cart_id": "c-1", "price": 1.0, **more},
                email=ADA,
                ago=timedelta(microseconds=count - number),
            ),
            verified=False,
        )
        for number in range(count)
    ]


async def test_a_thousand_products_in_one_cart_cost_linear_time(facts: IngestHarness) -> None:
    """It took 36 s, most of it to encode the cart once for each event."""
    seconds = []
    for prefix in ("a", "b"):
        events = adds(facts, 1000, prefix, name=prefix * 60)
        started = time.perf_counter()
        results = await facts.ingest(events)
        seconds.append(time.perf_counter() - started)
        assert {result.status for result in results} == {IngestStatus.ACCEPTED}

    assert max(seconds) < 2 * SCALE
    assert await facts.values("SELECT jsonb_array_length(lines) FROM cart") == [MAX_CART_LINES]
    # The oldest lines go.
    assert await facts.values("SELECT lines -> -1 ->> 'product_id' FROM cart") == ["b-999"]
    problems = "SELECT count(*) FROM event WHERE problems::text LIKE '%its oldest were left out%'"
    assert (await facts.values(problems))[0] > 1000


async def test_what_is_signalled_is_small_whatever_came_in(facts: IngestHarness) -> None:
    """Names of 60,000 letters in 40 lines exceeded what Temporal takes, and 80 events made 184 MB."""
    wide = dict.fromkeys(("name", "brand", "category"), "w" * 60000)
    events = adds(facts, 40, "a", name="n" * 60_000)
    events += [replace(event, properties=event.properties | wide) for event in adds(facts, 40, "b")]
    lines = [{"product_id": f"p-{number}", "name": "n" * 500, "url": "u" * 900} for number in range(400)]
    order = {"order_id": "o-1", "products": lines}
    events.append(facts.event("Checkout Started", {**order, "cart_id": "c-1"}, email=ADA))
    events.append(facts.event("Order Completed", order, email=ADA))
    results = await facts.ingest(events)
    sizes = await facts.values("SELECT octet_length(payload::text) FROM outbox")

    assert {result.status for result in results} == {IngestStatus.ACCEPTED}
    assert len(sizes) >= len(events) - 1
    # Postgres writes a blank after each colon and comma.
    assert max(sizes) < 1.2 * (MAX_CART_BYTES + MAX_FIELDS_BYTES)
    assert sum(sizes) < 3_000_000
    assert await facts.values("SELECT max(octet_length(properties::text)) > 60000 FROM event") == [True]


async def test_quantities_of_two_carts_that_become_one_do_not_overflow(facts: IngestHarness) -> None:
    """2^62 pieces in each of two carts made the purchase that joins them impossible to store."""
    for name, value in (("anonymous_id", "a-1"), ("loyalty_id", "L7")):
        many = facts.event("Product Added", LAMP | {"quantity": 2**62}, **{name: value})
        [result] = await facts.ingest([replace(many, verified=False)])
        assert result.status is IngestStatus.ACCEPTED
    rug = {"order_id": "o-1", "products": [{"product_id": "rug", "quantity": 2**40}]}
    [result] = await facts.ingest([facts.event("Order Completed", rug, anonymous_id="a-1", loyalty_id="L7")])

    assert result.status is IngestStatus.ACCEPTED
    quantity = "SELECT (lines -> 0 ->> 'quantity')::bigint FROM cart"
    assert await facts.values(quantity) == [MAX_QUANTITY]
    assert await facts.values("SELECT quantity FROM purchase") == [MAX_QUANTITY]


async def test_a_profile_has_a_bounded_number_of_open_carts(facts: IngestHarness) -> None:
    events = [
        replace(event, properties=event.properties | {"cart_id": f"c-{number}"})
        for number, event in enumerate(adds(facts, MAX_OPEN_CARTS + 5, "p"))
    ]
    for start in range(0, len(events), 20):
        await facts.ingest(events[start : start + 20])

    still_open = await facts.values("SELECT cart_id FROM cart WHERE closed_at IS NULL")
    assert set(still_open) == {f"c-{number}" for number in range(5, MAX_OPEN_CARTS + 5)}
    assert await facts.values("SELECT count(*) FROM event WHERE problems::text LIKE '%open carts%'") == [5]


async def test_a_refund_of_very_many_pieces_is_stored(facts: IngestHarness) -> None:
    """The pieces of all lines of a refund may exceed 2^31 together."""
    ordered = [{"product_id": "lamp", "quantity": 2**31} for _ in range(3)]
    await facts.happens("Order Completed", {"order_id": "o-1", "products": ordered}, email=ADA)
    returned = [LAMP | {"quantity": 2**31, "sku": f"s-{number}"} for number in range(3000)]
    result = await facts.happens("Order Refunded", {"order_id": "o-1", "products": returned}, email=ADA)

    assert result.status is IngestStatus.ACCEPTED
    assert await facts.values("SELECT max(returned) FROM purchase") == [MAX_QUANTITY]
