"""The product feed: the newest word stands, and people hear of what changed in their open carts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from temporalio.worker import Worker

from activities.contracts import SweepRequest, SweepResult
from activities.sweeps import SweepActivities
from local.temporal_server import TemporalDevServer
from profiles.db.sql import new_id
from profiles.messaging.claims import read_locked_snapshot
from profiles.messaging.snapshot import SnapshotQuery
from profiles.state.event_records import IncomingEvent
from profiles.sweeps.product_alerts import DEFAULT_ALERT_RULES, ProductAlertRules, sweep_products
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, RoutedJourney, order
from workers.schedules import PRODUCT_SWEEP, SweepWorkflow

ADA, GRACE = "ada@example.com", "grace@example.com"

FEED = {"product_id": "lamp", "sku": "lamp-red", "name": "Aria lamp", "price": 39.0, "in_stock": True}

THE_LAMP = {"product_id": "lamp"}

NEWS = RoutedJourney(
    name="carts", listens=("Price Dropped", "Out Of Stock", "Back In Stock", "Order Completed")
)

JOURNEYS = (NEWS,)


async def fed(facts: IngestHarness, said: dict[str, Any], hours_ago: float = 0) -> None:
    """One event of the feed, about the red lamp."""
    await facts.happens("Product Updated", {**FEED, **said}, ago=timedelta(hours=hours_ago))


async def changes(facts: IngestHarness) -> list[tuple[Any, ...]]:
    """(price before, after, stock before, after) of every change, in order."""
    rows = await facts.rows(
        "SELECT was_price, price, was_in_stock, in_stock FROM product_change ORDER BY seq"
    )
    return [tuple(row.values()) for row in rows]


async def swept(
    facts: IngestHarness, news: ProductAlertRules = DEFAULT_ALERT_RULES, limit: int = 500
) -> list[str]:
    """Sweep until nothing is left; what was told by it, as "event cart"."""
    before = await facts.values("SELECT event_id FROM event")
    while (await sweep_products(facts.database, facts.ingest, rules=news, limit=limit))[0]:
        pass
    return await facts.values(
        "SELECT type || ' ' || cart_id FROM event WHERE NOT event_id = ANY($1) ORDER BY cart_id, type", before
    )


async def test_a_product_is_kept_without_a_person_and_without_a_complaint(facts: IngestHarness) -> None:
    answer = await facts.happens("Product Updated", FEED | {"currency": "EUR", "url": "https://x.org/lamp"})

    assert await facts.problems(answer.event_id) == []
    [product] = await facts.rows("SELECT * FROM product")
    assert {name: product[name] for name in (*FEED, "currency", "url") if name != "product_id"} == {
        **{name: value for name, value in FEED.items() if name != "product_id"},
        "currency": "EUR",
        "url": "https://x.org/lamp",
    }
    assert product["item"] == "lamp"
    assert await changes(facts) == []
    assert await facts.values("SELECT count(*) FROM profile") == [0]


async def test_whoever_a_feed_names_is_not_taken_for_a_customer(facts: IngestHarness) -> None:
    await facts.happens("Product Updated", FEED, email="catalogue@example.com")

    assert await facts.values("SELECT count(*) FROM identifier") == [0]


async def test_a_product_that_cannot_be_told_apart_says_so(facts: IngestHarness) -> None:
    answer = await facts.happens("Product Updated", {"name": "Lamp", "price": 39.0})

    assert await facts.problems(answer.event_id) == ["a product without product_id and sku cannot be kept"]
    assert await facts.values("SELECT count(*) FROM product") == [0]


async def test_the_newest_word_on_each_field_stands_in_whatever_order_it_comes(facts: IngestHarness) -> None:
    await fed(facts, {}, hours_ago=9)
    await facts.happens("Product Updated", {"product_id": "lamp", "sku": "lamp-red", "price": 30.0})
    # Older than the price, and still news of the stock.
    await fed(facts, {"price": 35.0, "in_stock": False, "name": "Old name"}, hours_ago=5)
    await fed(facts, {"price": 36.0, "in_stock": True}, hours_ago=7)

    [product] = await facts.rows("SELECT name, price, in_stock FROM product")
    assert product == {"name": "Aria lamp", "price": 30.0, "in_stock": False}
    assert await changes(facts) == [(39.0, 30.0, None, None), (None, None, True, False)]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_every_step_of_a_price_is_a_change_however_the_events_come(
    facts: IngestHarness, together: bool
) -> None:
    events = [
        facts.event("Product Updated", FEED | {"price": price}, ago=timedelta(minutes=9 - n))
        for n, price in enumerate((39.0, 30.0, 30.0, 45.0))
    ]
    for batch in [events] if together else [[event] for event in events]:
        await facts.ingest(batch)

    assert await changes(facts) == [(39.0, 30.0, None, None), (30.0, 45.0, None, None)]


async def test_a_price_in_another_currency_and_news_of_last_week_are_no_change(facts: IngestHarness) -> None:
    await fed(facts, {"currency": "EUR"}, hours_ago=200)
    await fed(facts, {"currency": "EUR", "price": 20.0}, hours_ago=100)
    await fed(facts, {"currency": "USD", "price": 10.0})

    assert await facts.values("SELECT price FROM product") == [10.0]
    assert await changes(facts) == []


async def test_a_feed_whose_clock_runs_ahead_does_not_have_the_last_word_for_ever(
    facts: IngestHarness,
) -> None:
    await fed(facts, {"price": 1.0}, hours_ago=-24 * 365)
    await fed(facts, {"price": 2.0})

    assert await facts.values("SELECT price FROM product") == [2.0]


async def test_products_are_locked_in_the_order_of_their_keys_and_before_anybody_is(
    facts: IngestHarness,
) -> None:
    await facts.happens("Product Viewed", LAMP, email=ADA)
    names = ("b", "a")
    for name in names:
        await facts.happens("Product Updated", {"product_id": name})
    events = [facts.event("Product Updated", {"product_id": name, "price": 1.0}) for name in names]
    async with facts.database.transaction() as holder:
        await holder.execute("SELECT 1 FROM product WHERE item = 'b' FOR UPDATE")
        waiting = asyncio.create_task(facts.ingest([facts.event("Product Viewed", LAMP, email=ADA), *events]))
        await facts.someone_waits_for_a_lock()
        free = "SELECT {} FROM {} FOR UPDATE SKIP LOCKED"

        assert await facts.values(free.format("item", "product")) == []
        assert ADA in await facts.values(free.format("value", "identifier"))
    await waiting


async def test_feeds_and_customers_at_once_take_their_locks_in_one_order(facts: IngestHarness) -> None:
    names = [f"p-{n}" for n in range(6)]

    def batch(products: list[str], price: float) -> list[IncomingEvent]:
        told: list[IncomingEvent] = []
        for name in products:
            told.append(facts.event("Product Updated", {"product_id": name, "price": price}))
            told.append(facts.event("Product Added", {"product_id": name, "cart_id": name}, email=ADA))
        return told

    waves = [batch(names if n % 2 else names[::-1], float(n)) for n in range(8)]
    await asyncio.gather(*(facts.ingest(wave) for wave in waves))

    assert await facts.values("SELECT count(*) FROM product") == [6]
    assert len(await facts.carts()) == 6


async def test_who_holds_the_product_in_an_open_cart_hears_of_a_lower_price(facts: IngestHarness) -> None:
    await fed(facts, {"currency": "EUR"}, hours_ago=1)
    await facts.happens("Product Added", LAMP | {"cart_id": "ada's"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "grace's"}, email=GRACE)
    await fed(facts, {"price": 31.2})

    assert await swept(facts) == ["Price Dropped ada's"]
    [told] = await facts.rows(
        "SELECT profile_id, source, channel, properties::text AS said FROM event WHERE type = 'Price Dropped'"
    )
    assert told["profile_id"] == await facts.who("email", ADA)
    assert (told["source"], told["channel"]) == ("waypost/products", "server")
    assert orjson.loads(told["said"]) == {
        "cart_id": "ada's", "product_id": "lamp", "sku": "lamp-red", "name": "Aria lamp", "price": 31.2,
        "was": 39.0, "currency": "EUR",
    }  # fmt: skip


async def test_the_carts_own_run_is_told_with_its_lines_at_the_new_price(facts: IngestHarness) -> None:
    await fed(facts, {}, hours_ago=1)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-2"}, email=ADA)
    updated = await facts.values("SELECT updated_at FROM cart ORDER BY cart_id")
    await fed(facts, {"price": 29.0})
    await swept(facts)

    [told] = await facts.rows(
        "SELECT o.payload::text AS payload, r.key FROM outbox o JOIN run r ON r.run_id = o.lane "
        "WHERE o.name = 'Price Dropped'"
    )
    payload = orjson.loads(told["payload"])
    assert (told["key"], payload["price"], payload["was"]) == ("c-1", 29.0, 39.0)
    assert [(line["product_id"], line["price"]) for line in payload["cart"]] == [("lamp", 29.0)]
    assert await facts.values("SELECT (lines -> 0 ->> 'price')::float FROM cart ORDER BY cart_id") == [29, 99]
    assert await facts.values("SELECT updated_at FROM cart ORDER BY cart_id") == updated


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        pytest.param([{"price": 37.05}], ["Price Dropped c"], id="five percent less"),
        pytest.param([{"price": 37.06}], [], id="not quite five percent less"),
        pytest.param([{"price": 45.0}], [], id="more"),
        pytest.param([{"price": 30.0}, {"price": 39.0}], [], id="less, and back again before the sweep"),
        pytest.param([{"price": 30.0}, {"price": 20.0}], ["Price Dropped c"], id="less twice is told once"),
        pytest.param([{"in_stock": False}], ["Out Of Stock c"], id="sold out"),
        pytest.param([{"in_stock": False}, {"in_stock": True}], ["Back In Stock c"], id="gone and back"),
        pytest.param([{"in_stock": False, "price": 20.0}], ["Out Of Stock c"], id="cheaper but sold out"),
        pytest.param([{"sku": "lamp-blue", "price": 5.0}], [], id="a first word on another variant"),
    ],
)
async def test_what_is_worth_telling_is_told_as_long_as_it_is_so(
    facts: IngestHarness, steps: list[dict[str, Any]], told: list[str]
) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    for hours_ago, step in zip((3, 2, 1), [{}, *steps], strict=False):
        await fed(facts, step, hours_ago=hours_ago)

    assert await swept(facts) == told
    assert await swept(facts) == []


@pytest.mark.parametrize(
    ("line", "feed", "hears"),
    [
        pytest.param(THE_LAMP, THE_LAMP, True, id="the product"),
        pytest.param(THE_LAMP, FEED, True, id="a line without a variant"),
        pytest.param(LAMP, THE_LAMP, True, id="a feed without variants"),
        pytest.param(LAMP | {"sku": "lamp-blue"}, FEED, False, id="another variant"),
        pytest.param(LAMP, {"sku": "lamp-red"}, True, id="a feed of skus"),
        pytest.param({"sku": "lamp-red"}, {"sku": "lamp-red"}, True, id="nobody names the product"),
        pytest.param({"product_id": "rug"}, FEED, False, id="another product"),
    ],
)
async def test_lines_and_feeds_meet_by_product_and_variant(
    facts: IngestHarness, line: dict[str, Any], feed: dict[str, Any], hears: bool
) -> None:
    await facts.happens("Product Added", line | {"cart_id": "c"}, email=ADA)
    for in_stock in (True, False):
        await facts.happens("Product Updated", {**feed, "in_stock": in_stock})
    told = await swept(facts)

    assert told == (["Out Of Stock c"] if hears else [])
    assert await sold_out(facts, line) is hears


async def sold_out(facts: IngestHarness, line: dict[str, Any]) -> bool:
    """Whether the gate's reading has the line as sold out."""
    people = IngestHarness(facts.database, RoutedJourney(name="asking"), source="asking")
    await people.happens("Product Added", {**line, "cart_id": "asked"}, email="asking@example.com")
    [*_, run] = await people.runs()
    key = line.get("product_id") or line["sku"]
    ask = SnapshotQuery(
        run["run_id"], "s", "email", datetime.now(UTC), promoted_items=((key, line.get("sku")),)
    )
    snapshot = await facts.database.run(lambda connection: read_locked_snapshot(connection, ask))
    assert snapshot is not None
    return key in snapshot.out_of_stock


async def test_a_product_is_sold_out_when_every_variant_is(facts: IngestHarness) -> None:
    await fed(facts, {"in_stock": False})
    await fed(facts, {"sku": "lamp-blue", "in_stock": True})
    assert [await sold_out(facts, line) for line in (LAMP, THE_LAMP)] == [True, False]

    await fed(facts, {"sku": "lamp-blue", "in_stock": False})
    assert await sold_out(facts, THE_LAMP)


async def test_a_bought_cart_and_one_that_nobody_has_touched_for_long_are_left_in_peace(
    facts: IngestHarness,
) -> None:
    await fed(facts, {}, hours_ago=2)
    for cart, email in (("bought", ADA), ("old", GRACE), ("open", "o@x.org")):
        await facts.happens("Product Added", LAMP | {"cart_id": cart}, email=email)
    await facts.happens("Order Completed", order(LAMP) | {"cart_id": "bought"}, email=ADA)
    await facts.rows("UPDATE cart SET updated_at = now() - '91 days'::interval WHERE cart_id = 'old'")
    await fed(facts, {"price": 20.0})

    assert await swept(facts) == ["Price Dropped open"]


async def test_many_carts_are_told_batch_by_batch_and_none_twice(facts: IngestHarness) -> None:
    await fed(facts, {}, hours_ago=2)
    for number in range(5):
        await facts.happens("Product Added", LAMP | {"cart_id": f"c-{number}"}, email=f"u{number}@x.org")
    await fed(facts, {"in_stock": False})
    told = await swept(facts, limit=2)
    # As after a death between telling and marking.
    await facts.rows("UPDATE product_change SET swept_at = NULL")

    assert told == [f"Out Of Stock c-{number}" for number in range(5)]
    assert await swept(facts, limit=2) == []


async def test_the_shop_says_how_much_less_is_worth_telling(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    await fed(facts, {}, hours_ago=2)
    await fed(facts, {"price": 20.0})

    assert await swept(facts, ProductAlertRules(min_price_drop=0.5)) == []


async def test_the_scheduled_sweep_tells_all_there_is_and_says_so(
    facts: IngestHarness, temporal: TemporalDevServer
) -> None:
    await fed(facts, {}, hours_ago=2)
    for number in range(3):
        await facts.happens("Product Added", LAMP | {"cart_id": f"c-{number}"}, email=f"u{number}@x.org")
    for price in (30.0, 20.0):
        await fed(facts, {"price": price})
    sweeps = SweepActivities(facts.database, facts.ingest)
    queue = f"sweeps-{new_id()}"
    async with Worker(
        temporal.client, task_queue=queue, workflows=[SweepWorkflow], activities=[sweeps.sweep_products]
    ):
        found = await temporal.client.execute_workflow(
            SweepWorkflow.run,
            args=[SweepRequest(batch=1), PRODUCT_SWEEP.activity, PRODUCT_SWEEP.description],
            id=queue,
            task_queue=queue,
        )

    assert found == SweepResult(entered=3)
    assert await facts.values("SELECT count(*) FROM product_change WHERE swept_at IS NULL") == [0]
