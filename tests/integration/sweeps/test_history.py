"""What a shop loads of its past enters nobody, by any sweep, until something new happens."""

from datetime import timedelta
from typing import Any

import pytest

from journeys.vocabulary import Segment
from profiles.ingest.manual_start import start_run_manually
from profiles.sweeps.lapsed import sweep_lapsed
from profiles.sweeps.product_alerts import sweep_products
from profiles.sweeps.segments import SegmentSweep, sweep_segment
from tests.support.environments.ingest import LAMP, IngestHarness, RoutedJourney, order

ADA, GRACE = "ada@example.com", "grace@example.com"

NEWS = RoutedJourney(
    name="news",
    starts=("Customer Lapsed", "Segment Entered", "Price Dropped", "Back In Stock", "Out Of Stock"),
    key_property="person",
)

JOURNEYS = (NEWS,)

FEED = {"product_id": "lamp", "sku": "lamp-red", "name": "Aria lamp", "price": 39.0, "in_stock": True}

BUYERS = Segment("buyers", "SELECT profile_id FROM person WHERE orders > 0")

LONG_AGO = timedelta(days=100)

Sent = tuple[str, dict[str, Any], dict[str, Any]]
"""Name, properties and other fields of an event."""

PAST: tuple[Sent, ...] = (
    ("Product Added", LAMP | {"cart_id": "c"}, {"ago": timedelta(days=50)}),
    ("Order Completed", order({"product_id": "rug"}), {"ago": LONG_AGO}),
)


async def swept(facts: IngestHarness) -> list[str]:
    """Names of the events that all sweeps have written, after one more sweep of each kind."""
    await sweep_lapsed(facts.database, facts.ingest)
    await sweep_segment(facts.database, facts.ingest, BUYERS)
    await sweep_products(facts.database, facts.ingest)
    return await facts.values("SELECT DISTINCT type FROM event WHERE source LIKE 'waypost/%' ORDER BY 1")


async def load_past(facts: IngestHarness, *more: Sent) -> None:
    """Load Ada's past into a shop with a segment and a feed, then lower the price of what is in her cart."""
    await facts.happens("Product Updated", FEED)
    await sweep_segment(facts.database, facts.ingest, BUYERS)
    for name, properties, fields in (*PAST, *more):
        await facts.happens(name, properties, email=ADA, **fields)
    await facts.happens("Product Updated", FEED | {"price": 19.0})


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), id="orders and carts alone"),
        pytest.param((("Identified", {}, {"traits": {"first_name": "Ada"}}),), id="an account, loaded now"),
        pytest.param(
            (("Identified", {}, {"traits": {"consents": {"email": True}}, "ago": LONG_AGO}),),
            id="an account of then",
        ),
        pytest.param(
            (("Consent Changed", {"channel": "email", "state": "granted"}, {}),), id="a consent, loaded now"
        ),
        pytest.param(
            (("Order Refunded", order({"product_id": "rug"}), {"ago": LONG_AGO - timedelta(days=9)}),),
            id="a refund of then",
        ),
        pytest.param((("Page Viewed", {}, {"ago": timedelta(hours=73)}),), id="a visit of four days ago"),
        pytest.param((("Message Bounced", {}, {}),), id="a report of another mail tool"),
    ],
)
async def test_history_enters_nobody(facts: IngestHarness, more: tuple[Sent, ...]) -> None:
    await load_past(facts, *more)

    assert await swept(facts) == await swept(facts) == []
    assert await facts.runs() == []
    assert await facts.values("SELECT orders FROM profile") == [1]


@pytest.mark.parametrize(
    ("new", "enters"),
    [
        pytest.param(
            ("Page Viewed", {}, {}), ["Customer Lapsed", "Price Dropped", "Segment Entered"], id="a visit"
        ),
        pytest.param(
            ("Page Viewed", {}, {"ago": timedelta(hours=71)}),
            ["Customer Lapsed", "Price Dropped", "Segment Entered"],
            id="a visit of two days ago",
        ),
        pytest.param(
            ("Order Completed", order({"product_id": "rug"}, order_id="o-2"), {}),
            ["Price Dropped", "Segment Entered"],
            id="an order, by which nobody has lapsed",
        ),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_something_new_enters_whom_it_is_of(
    facts: IngestHarness, new: Sent, enters: list[str], together: bool
) -> None:
    name, properties, fields = new
    if together:
        await facts.happens("Product Updated", FEED)
        await sweep_segment(facts.database, facts.ingest, BUYERS)
        batch = [facts.event(name, properties, email=ADA, **fields)]
        batch += [facts.event(old, said, email=ADA, **more) for old, said, more in PAST]
        await facts.ingest(batch)
        await facts.happens("Product Updated", FEED | {"price": 19.0})
    else:
        await load_past(facts, new)

    assert await swept(facts) == enters
    assert len(await facts.runs()) == 1


async def test_the_price_of_a_cart_that_was_loaded_falls_for_nobody_else(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "new"}, email=GRACE)
    await load_past(facts)
    await swept(facts)

    assert await facts.values("SELECT cart_id FROM event WHERE type = 'Price Dropped'") == ["new"]


async def test_who_waits_is_counted_and_enters_a_segment_once(facts: IngestHarness) -> None:
    await load_past(facts)
    await facts.happens("Order Completed", order(LAMP), email=GRACE)
    first = await sweep_segment(facts.database, facts.ingest, BUYERS)
    await facts.happens("Page Viewed", email=ADA)
    second = await sweep_segment(facts.database, facts.ingest, BUYERS)

    assert first == SegmentSweep(found=2, newcomers=1, history=1)
    assert second == SegmentSweep(found=2, newcomers=1)
    assert await sweep_segment(facts.database, facts.ingest, BUYERS) == SegmentSweep(found=2)


async def test_an_author_may_say_that_existing_members_enter(facts: IngestHarness) -> None:
    for name, properties, fields in PAST:
        await facts.happens(name, properties, email=ADA, **fields)
    everybody = Segment("buyers", BUYERS.query, existing=True)

    assert await sweep_segment(facts.database, facts.ingest, everybody) == SegmentSweep(found=1, newcomers=1)


async def test_an_operator_may_start_a_run_for_somebody_of_history(facts: IngestHarness) -> None:
    await load_past(facts)
    event = facts.event("Customer Lapsed", {"days_since_order": 100}, email=ADA)
    started = await start_run_manually(facts.database, NEWS, event)

    assert [run["run_id"] for run in await facts.runs()] == [started.run_id]


async def test_somebody_who_only_signed_up_is_new(facts: IngestHarness) -> None:
    people = Segment("people", "SELECT profile_id FROM person")
    await sweep_segment(facts.database, facts.ingest, people)
    await facts.happens("Identified", traits={"first_name": "Ada"}, email=ADA)

    swept_now = await sweep_segment(facts.database, facts.ingest, people)
    assert swept_now == SegmentSweep(found=1, newcomers=1)
