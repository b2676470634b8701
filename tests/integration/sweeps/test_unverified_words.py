"""What Waypost itself writes counts as verified, so it repeats no words of unverified events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from profiles.commerce.suggestions import suggest_items
from profiles.events import Item
from profiles.ingest.event_store import IngestResult
from profiles.runs.routing import KEY_PERSON
from profiles.sweeps.lapsed import sweep_lapsed
from profiles.sweeps.product_alerts import sweep_products
from profiles.views.journey_profile import load_profile_facts
from tests.support.environments.ingest import CARTS, IngestHarness, RoutedJourney, order

ADA, GRACE = "ada@example.com", "grace@example.com"

ALERTS = RoutedJourney(name="alerts", starts=(), listens=("Price Dropped", "Back In Stock", "Out Of Stock"))

READER = RoutedJourney(name="reader", starts=("Cart Viewed",), listens=(), key_property=KEY_PERSON)

JOURNEYS = (CARTS, ALERTS, READER)

WORDS = "Bitcoin x10, see evil.example"

LINE = {"product_id": "lamp", "sku": "lamp-red", "name": WORDS, "price": 666.0, "content_verified": True}

FEED = {"product_id": "lamp", "sku": "lamp-red", "name": "Aria lamp", "price": 39.0}


async def states(
    facts: IngestHarness, name: str, properties: dict[str, Any], *, verified: bool, **more: Any
) -> IngestResult:
    """One event, of a page or of the shop's server."""
    [answer] = await facts.ingest([replace(facts.event(name, properties, **more), verified=verified)])
    return answer


async def properties_of(facts: IngestHarness, name: str) -> list[dict[str, Any]]:
    """Properties of the stored events of this name."""
    rows = await facts.values("SELECT properties::text FROM event WHERE type = $1", name)
    return [orjson.loads(row) for row in rows]


@pytest.mark.parametrize("verified", [True, False])
async def test_the_event_of_a_lapsed_customer_has_no_words_of_an_unverified_order(
    facts: IngestHarness, *, verified: bool
) -> None:
    ago = timedelta(days=100)
    await states(facts, "Order Completed", order(LINE, order_id="o"), verified=verified, ago=ago, email=ADA)
    await facts.happens("Signed In", email=ADA)
    await sweep_lapsed(facts.database, facts.ingest)

    [lapsed] = await properties_of(facts, "Customer Lapsed")
    [product] = lapsed["products"]
    assert (product["product_id"], product.get("name")) == ("lamp", WORDS if verified else None)
    assert product.get("price") == (666.0 if verified else None)


@pytest.mark.parametrize("verified", [True, False])
async def test_only_a_verified_feed_tells_people_of_a_lower_price(
    facts: IngestHarness, *, verified: bool
) -> None:
    await states(facts, "Product Added", LINE | {"cart_id": "c"}, verified=False, email=ADA)
    for price in (39.0, 9.0):
        await states(facts, "Product Updated", FEED | {"price": price}, verified=verified)
    assert (await sweep_products(facts.database, facts.ingest))[1] == (1 if verified else 0)

    told = await properties_of(facts, "Price Dropped")
    assert [(event["name"], event["price"]) for event in told] == ([("Aria lamp", 9.0)] if verified else [])


async def test_the_first_verified_word_of_a_product_is_no_change_of_an_unverified_one(
    facts: IngestHarness,
) -> None:
    await states(facts, "Product Updated", FEED | {"price": 999.0, "name": WORDS}, verified=False)
    await states(facts, "Product Updated", {**FEED, "name": None, "price": 39.0}, verified=True)

    assert await facts.values("SELECT 1 FROM product_change") == []
    assert await facts.rows("SELECT name, price FROM product") == [{"name": None, "price": 39.0}]


@pytest.mark.parametrize("name", ["Price Dropped", "Back In Stock", "Out Of Stock"])
@pytest.mark.parametrize("verified", [True, False])
async def test_a_page_does_not_speak_for_the_feed(facts: IngestHarness, name: str, *, verified: bool) -> None:
    await states(facts, "Product Added", FEED | {"cart_id": "c"}, verified=True, email=ADA)
    said = LINE | {"cart_id": "c", "price": 1.0, "was": 39.0}
    answer = await states(facts, name, said, verified=verified, email=ADA)

    problems = await facts.values("SELECT problems::text FROM event WHERE event_id = $1", answer.event_id)
    assert ("server key" in problems[0]) is not verified
    [lines] = await facts.values("SELECT lines::text FROM cart")
    changed = verified and name == "Price Dropped"
    assert orjson.loads(lines)[0]["price"] == (1.0 if changed else 39.0)


@pytest.mark.parametrize(
    ("viewed", "fed", "expected"),
    [
        pytest.param(False, None, [], id="a page's word alone"),
        pytest.param(False, False, [], id="an unverified feed's"),
        pytest.param(False, True, [("lamp", None)], id="known to the feed"),
        pytest.param(True, None, [("lamp", True)], id="a verified view"),
    ],
)
async def test_items_are_suggested_that_a_message_can_name(
    facts: IngestHarness, viewed: bool, fed: bool | None, expected: list[tuple[str, bool | None]]
) -> None:
    if fed is not None:
        await states(facts, "Product Updated", FEED, verified=fed)
    await states(facts, "Product Viewed", LINE, verified=viewed, email=ADA)
    await states(facts, "Cart Viewed", {}, verified=True, email=ADA)

    assert [(item.key, item.content_verified) for item in await suggested(facts)] == expected


async def suggested(facts: IngestHarness) -> tuple[Item, ...]:
    """What is suggested to the run that reads."""
    [run] = [run for run in await facts.runs() if run["journey"] == "reader"]
    async with facts.database.transaction() as connection:
        return await suggest_items(connection, run["run_id"], limit=3, at=datetime.now(UTC))


@pytest.mark.parametrize("fed", [True, False])
async def test_what_was_bought_together_has_its_name_from_the_feed(
    facts: IngestHarness, *, fed: bool
) -> None:
    await states(facts, "Product Updated", FEED, verified=fed)
    chair = {"product_id": "chair", "name": "Oslo chair"}
    await states(facts, "Order Completed", order(chair, order_id="o-1"), verified=True, email=ADA)
    both = order(chair, LINE, order_id="o-2")
    await states(facts, "Order Completed", both, verified=True, email=GRACE)
    await states(facts, "Cart Viewed", {}, verified=True, email=ADA)

    assert [(item.key, item.name) for item in await suggested(facts)] == ([("lamp", None)] if fed else [])


@pytest.mark.parametrize("verified", [True, False])
async def test_a_story_reads_no_words_of_unverified_orders_and_knows_unverified_traits(
    facts: IngestHarness, *, verified: bool
) -> None:
    bought = order(LINE, order_id="o-1")
    await states(facts, "Order Completed", bought, verified=verified, email=ADA, traits={"plan": WORDS})
    await states(facts, "Cart Viewed", {}, verified=True, email=ADA)
    [run] = [run for run in await facts.runs() if run["journey"] == "reader"]
    async with facts.database.transaction() as connection:
        read = await load_profile_facts(connection, run["run_id"], traits=("plan",), at=datetime.now(UTC))

    assert read is not None
    assert [line.name for line in read.purchases] == [WORDS if verified else None]
    assert (read.traits, read.unverified_traits) == ({"plan": WORDS}, () if verified else ("plan",))


@pytest.mark.parametrize("verified", [True, False])
async def test_an_event_that_is_routed_again_is_as_verified_as_it_was(
    facts: IngestHarness, *, verified: bool
) -> None:
    first = await states(facts, "Product Added", FEED | {"cart_id": "c"}, verified=True, email=ADA)
    [run] = [run for run in await facts.runs() if run["journey"] == CARTS.name]
    await states(
        facts, "Product Added", LINE | {"cart_id": "c", "product_id": "chair"}, verified=verified, email=ADA
    )
    closed = await facts.close(run["run_id"], seen=[first.event_id])
    [start] = await facts.values(
        "SELECT payload::text FROM outbox WHERE kind = 'start' ORDER BY seq DESC LIMIT 1"
    )

    assert closed.rerouted == 1
    assert orjson.loads(start)["event"].get("content_verified") is (True if verified else None)
