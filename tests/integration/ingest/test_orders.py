"""Carts, purchases and what they keep from being promoted."""

from datetime import timedelta
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.ingest.pipeline import IngestConfig
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, order

JOURNEYS = (CARTS,)

ADA = "ada@example.com"


@pytest.mark.parametrize("name", ["cart_id", "checkout_id", "checkout_token"])
async def test_an_event_names_its_cart_by_any_of_three_properties(facts: IngestHarness, name: str) -> None:
    await facts.happens("Product Added", LAMP | {name: "mine"}, email=ADA)

    assert await facts.carts() == {"mine": ["lamp"]}


async def test_an_event_without_a_cart_is_about_the_one_that_changed_last(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "a"}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "b"}, email=ADA)
    await facts.happens("Product Added", CHAIR, email=ADA)

    assert await facts.carts() == {"a": ["lamp"], "b": ["chair", "lamp"]}


async def test_a_first_product_opens_a_cart_and_a_removal_opens_none(facts: IngestHarness) -> None:
    await facts.happens("Product Removed", LAMP, email=ADA)
    assert await facts.carts() == {}

    await facts.happens("Product Added", LAMP, email=ADA)
    await facts.happens("Product Added", CHAIR, email=ADA)
    assert list((await facts.carts()).values()) == [["chair", "lamp"]]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_an_order_empties_a_cart_for_good_and_the_next_product_opens_another(
    facts: IngestHarness, together: bool
) -> None:
    events = [
        facts.event("Product Added", LAMP | {"cart_id": "first"}, email=ADA),
        facts.event("Order Completed", order(LAMP), email=ADA),
        facts.event("Product Added", CHAIR, email=ADA),
    ]
    for batch in [events] if together else [[event] for event in events]:
        await facts.ingest(batch)

    carts = await facts.carts()
    assert carts.pop("first") == []
    assert list(carts.values()) == [["chair"]]


async def test_an_order_takes_its_products_out_of_every_cart_in_any_variant(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "a", "sku": "lamp-blue"}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "b"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "b"}, email=ADA)
    await facts.happens("Order Completed", order(LAMP), channel="store", email=ADA)

    assert await facts.carts() == {"a": [], "b": ["chair"]}


@pytest.mark.parametrize(
    ("product", "item"),
    [
        pytest.param({"product_id": "p", "sku": "s"}, "p", id="the product"),
        pytest.param({"sku": "s"}, "s", id="without one the stock keeping unit"),
        pytest.param({"product_id": "", "sku": "s"}, "s", id="an empty product is none"),
        pytest.param({"product_id": 42}, "42", id="numbers are names"),
        pytest.param({"product_id": " p "}, "p", id="blanks around do not count"),
    ],
)
async def test_the_item_is_the_product_else_the_sku(
    facts: IngestHarness, product: dict[str, Any], item: str
) -> None:
    await facts.happens("Order Completed", order(product), email=ADA)

    assert await facts.suppressed("email", ADA) == [item]


@pytest.mark.parametrize("said", [{"products": "none"}, {"products": [{"name": "Lamp"}]}, {}])
async def test_a_purchase_of_nothing_that_can_be_named_says_so(
    facts: IngestHarness, said: dict[str, Any]
) -> None:
    answer = await facts.happens("Order Completed", {"order_id": "o"} | said, email=ADA)

    assert any("the carts are emptied" in each for each in await facts.problems(answer.event_id))


@pytest.mark.parametrize(
    ("age", "window", "active"),
    [
        pytest.param(timedelta(0), timedelta(days=365), True, id="just bought"),
        pytest.param(timedelta(days=364), timedelta(days=365), True, id="heard of late, and still in force"),
        pytest.param(timedelta(days=366), timedelta(days=365), False, id="over before it was heard of"),
        pytest.param(timedelta(days=9000), None, True, id="for good"),
        pytest.param(
            -timedelta(days=30), timedelta(days=1), True, id="of a wrong clock: in force from its commit"
        ),
    ],
)
async def test_a_purchase_suppresses_until_its_time_plus_the_window(
    database: Database, age: timedelta, window: timedelta | None, active: bool
) -> None:
    facts = IngestHarness(database, rules=IngestConfig(suppression_window=window))
    await facts.happens("Order Completed", order(LAMP), email=ADA, ago=age)

    assert (await facts.suppressed("email", ADA) == ["lamp"]) is active
    if window:
        assert await facts.values(
            "SELECT s.until - e.time FROM suppression s JOIN event e USING (event_id)"
        ) == [window]


RED, BLUE = LAMP, LAMP | {"sku": "lamp-blue"}


@pytest.mark.parametrize("name", ["Order Refunded", "Order Cancelled"])
@pytest.mark.parametrize(
    ("said", "left"),
    [
        pytest.param({}, [], id="the whole order"),
        pytest.param({"products": [CHAIR]}, ["lamp"], id="the listed product"),
        pytest.param({"products": [{"sku": "chair-oak"}]}, ["lamp"], id="by its sku"),
        pytest.param(
            {"products": [RED]}, ["chair", "lamp"], id="one of two variants: the other is still there"
        ),
        pytest.param({"products": [{"product_id": "lamp"}]}, ["chair"], id="the product in every variant"),
        pytest.param({"products": [{"name": "?"}]}, ["chair", "lamp"], id="a product nobody can name"),
        pytest.param({"order_id": "o-2"}, ["chair", "lamp"], id="another order"),
    ],
)
async def test_undoing_an_order_lifts_what_it_names(
    facts: IngestHarness, name: str, said: dict[str, Any], left: list[str]
) -> None:
    await facts.happens("Order Completed", order(RED, BLUE, CHAIR), email=ADA)
    await facts.happens(name, {"order_id": "o-1"} | said, email=ADA)

    assert await facts.suppressed("email", ADA) == left


async def test_a_refund_that_comes_before_its_purchase_lifts_it_too(facts: IngestHarness) -> None:
    await facts.happens("Order Refunded", order(CHAIR), email=ADA)
    await facts.happens("Order Completed", order(LAMP, CHAIR), email=ADA)

    assert await facts.suppressed("email", ADA) == ["lamp"]


async def test_returns_add_up_and_never_exceed_what_was_bought(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", order(LAMP | {"quantity": 3}), email=ADA)
    await facts.ingest([facts.event("Order Refunded", order(LAMP), email=ADA) for _ in range(2)])
    assert await facts.values("SELECT returned FROM purchase") == [2]

    await facts.happens("Order Refunded", order(LAMP | {"quantity": 9}), email=ADA)
    assert await facts.values("SELECT returned FROM purchase") == [3]


async def test_undoing_without_an_order_says_so(facts: IngestHarness) -> None:
    answer = await facts.happens("Order Refunded", {}, email=ADA)

    assert await facts.problems(answer.event_id) == ["order_id is missing: no purchase could be undone"]


async def test_a_purchase_takes_the_person_out_of_the_items_audiences(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    [run] = await facts.runs()
    for item in ("lamp", "chair"):
        await facts.joined(run["run_id"], item)
    await facts.happens("Order Completed", order(LAMP), channel="store", email=ADA)

    assert await facts.values("SELECT item FROM audience_member WHERE state = 'leaving'") == ["lamp"]
    assert await facts.values("SELECT payload ->> 'reason' FROM outbox WHERE kind = 'audience'") == [
        "purchased"
    ]
