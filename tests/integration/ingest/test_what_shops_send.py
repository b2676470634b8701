"""What shops really send: orders, carts and refunds in the forms of other systems, on a real Postgres."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from profiles.views.backlog import list_event_problems
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, Row

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

LINES: tuple[tuple[Row, str], ...] = (
    ({"products": [LAMP]}, "the specification"),
    ({"products": {"0": LAMP, "2": {"product_id": "rug"}}}, "a PHP array with a gap"),
    ({"products": {"lamp": {"quantity": 1}}}, "an object by product id"),
    ({"products": {"lamp": 1}}, "pieces by product id"),
    ({"products": LAMP}, "one object in place of a list"),
    ({"products": orjson.dumps([LAMP]).decode()}, "JSON in a text"),
    ({"products": orjson.dumps(orjson.dumps([LAMP]).decode()).decode()}, "JSON in JSON in a text"),
    ({"products": {"product": [LAMP]}}, "XML as JSON"),
    ({"products": {"edges": [{"node": LAMP}]}}, "GraphQL"),
    ({"products": [[LAMP]]}, "a list in a list"),
    ({"products": [], "items": [LAMP]}, "an empty list beside a full one"),
    ({"items": [{"item_id": "lamp", "item_name": "Lamp", "price": 39}]}, "a tag manager"),
    ({"items": 1, "line_items": [{"product_id": "lamp"}]}, "the number of items beside them"),
    ({"line_items": [{"id": 9, "product_id": "lamp", "variant_id": 3}]}, "a shop system's order"),
    ({"lineItems": [{"id": "lamp", "title": "Lamp"}]}, "a shop system's pixel"),
    ({"contents": [{"id": "lamp", "quantity": 1}]}, "an ad pixel"),
    ({"content_ids": ["lamp"]}, "an ad pixel's ids"),
    ({"skus": ["lamp-red"]}, "a till's units"),
    ({"ecommerce": {"purchase": {"products": [{"id": "lamp"}]}}}, "a tag manager's data layer"),
    ({"order": {"items": [{"productId": "lamp"}]}}, "a nested order"),
    ({"products": [{"product": {"id": "lamp"}}]}, "a nested product"),
    ({"products": [{"variant_id": "lamp-red"}]}, "the unit alone, under another name"),
    ({"products": [{"SKU": "lamp-red"}]}, "the unit in capitals"),
    ({"products": [{"product_id": " lamp\u200b"}]}, "an id with a blank and a zero-width space"),
    ({"productId": "lamp"}, "one product in the properties"),
    ({"products": [{"product_id": "lamp", "quantity": "2 Stk", "price": "39,00 €"}]}, "a German till"),
)


@pytest.mark.parametrize("sent", [pytest.param(sent, id=where) for sent, where in LINES])
async def test_an_order_is_bought_in_whatever_form_its_lines_come(facts: IngestHarness, sent: Row) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Order Completed", {"order_id": "o-1", **sent}, email=ADA)
    items = await facts.rows("SELECT item, sku FROM suppression")
    [cart] = await facts.values("SELECT lines::text FROM cart")

    assert {"lamp", "lamp-red"} & {name for row in items for name in row.values()}
    assert [line["product_id"] for line in orjson.loads(cart)] == ["chair"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({}, id="no lines at all"),
        pytest.param({"products": []}, id="an empty list"),
        pytest.param({"products": "lamp, chair"}, id="a text that is no JSON"),
        pytest.param({"products": 2}, id="a number"),
        pytest.param({"products": ["lamp"]}, id="names or ids, nobody knows"),
        pytest.param({"products": [{"name": "Aria lamp"}]}, id="names alone"),
        pytest.param({"products": [CHAIR, {"name": "Aria lamp"}]}, id="one line of two"),
        pytest.param({"products": [{"product_id": "null"}]}, id="a template without a value"),
    ],
)
async def test_an_order_of_which_a_line_cannot_be_read_empties_the_carts_and_is_told(
    facts: IngestHarness, sent: Row
) -> None:
    """Any product in the cart may be what was bought; nothing becomes a purchase that is not understood."""
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    answer = await facts.happens("Order Completed", {"order_id": "o-1", **sent}, email=ADA)
    items = await facts.values("SELECT item FROM suppression")
    problems = await facts.problems(answer.event_id)

    assert await facts.carts() == {"c-1": []}
    assert set(items) <= {"chair"}
    assert any("the carts are emptied" in problem for problem in problems)


@pytest.mark.parametrize("name", ["Cart Viewed", "Checkout Started"])
@pytest.mark.parametrize(
    ("sent", "left"),
    [
        pytest.param({"products": []}, [], id="an empty list empties it"),
        pytest.param({"products": [LAMP | {"quantity": 0}]}, [], id="a line without pieces"),
        pytest.param({"products": [LAMP | {"quantity": -1}]}, [], id="a negative line"),
        pytest.param({"items": {}}, [], id="an empty object under another name"),
        pytest.param({}, ["lamp"], id="no list says nothing"),
        pytest.param({"products": None}, ["lamp"], id="null says nothing"),
        pytest.param({"products": "?"}, ["lamp"], id="what cannot be read says nothing"),
        pytest.param({"products": ["chair"]}, ["lamp"], id="nor do names"),
        pytest.param({"products": [{"name": "x"}]}, ["lamp"], id="lines without ids say nothing"),
        pytest.param({"line_items": [{"id": "chair"}]}, ["chair"], id="another list replaces it"),
    ],
)
async def test_a_cart_that_is_told_as_a_whole(
    facts: IngestHarness, name: str, sent: Row, left: list[str]
) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens(name, {"cart_id": "c-1", **sent}, email=ADA)

    assert (await facts.carts())["c-1"] == left


@pytest.mark.parametrize(
    ("in_cart", "bought"),
    [
        pytest.param(7.0, 7, id="a float and a number"),
        pytest.param(7, "7", id="a number and a text"),
        pytest.param("7.0", " 7 ", id="an export's text and a till's"),
        pytest.param("café", "cafe\u0301", id="composed and decomposed"),
        pytest.param("lamp\u200b", "lamp", id="a zero-width space"),
        pytest.param("７", 7, id="full-width digits"),
        pytest.param("7" * 30, "７" * 30, id="more digits than a number has"),
        pytest.param("x" * 3_000, "x" * 3_000, id="beyond an index entry"),
    ],
)
@pytest.mark.parametrize("name", ["product_id", "sku"])
async def test_one_thing_in_two_spellings_is_bought(
    facts: IngestHarness, name: str, in_cart: Any, bought: Any
) -> None:
    await facts.happens("Product Added", {name: in_cart, "cart_id": 7.0}, email=ADA)
    await facts.happens("Product Viewed", {"product_id": "x" * 3_000 + "y"}, email=ADA)
    await facts.happens("Order Completed", {"order_id": 8.0, "products": [{name: bought}]}, email=ADA)
    before = await facts.values("SELECT count(*) FROM suppression WHERE lifted_at IS NULL")
    await facts.happens("Order Refunded", {"order_id": " 8", "products": [{name: bought}]}, email=ADA)
    [orders] = await facts.values("SELECT orders FROM profile")

    assert await facts.carts() == {"7": []}
    assert before == [1]
    assert await facts.values("SELECT count(*) FROM suppression WHERE lifted_at IS NULL") == [0]
    assert orders == 1


async def test_ids_with_leading_zeros_are_other_things(facts: IngestHarness) -> None:
    await facts.happens("Product Added", {"product_id": "007", "cart_id": "c-1"}, email=ADA)
    await facts.happens("Order Completed", {"order_id": "1", "products": [{"product_id": 7}]}, email=ADA)

    assert await facts.carts() == {"c-1": ["007"]}


ORDER = {"order_id": "o-1", "total": 39.0, "products": [LAMP | {"quantity": 1}]}


@pytest.mark.parametrize(
    ("refund", "owned"),
    [
        pytest.param({}, False, id="all of it, by the specification"),
        pytest.param({"total": 39.0}, False, id="the whole amount"),
        pytest.param({"total": "39,00 €"}, False, id="the whole amount as a text"),
        pytest.param({"amount": -39}, False, id="a negative amount"),
        pytest.param({"total": 5.0}, True, id="a part of the amount"),
        pytest.param({"refund_amount": "5.00"}, True, id="a part of the amount, under another name"),
        pytest.param({"products": LAMP}, False, id="one object"),
        pytest.param({"products": CHAIR}, True, id="one object, of another product"),
        pytest.param({"products": "?"}, True, id="what cannot be read"),
        pytest.param({"products": [{"name": "Aria lamp"}]}, True, id="a line without ids"),
        pytest.param({"products": [LAMP | {"quantity": -1}]}, False, id="a negative line"),
    ],
)
@pytest.mark.parametrize("is_first", [False, True])
async def test_a_refund_of_a_part_lifts_nothing_of_the_rest(
    facts: IngestHarness, refund: Row, owned: bool, is_first: bool
) -> None:
    refunded = ("Order Refunded", {"order_id": "o-1", **refund})
    told = [("Order Completed", ORDER), refunded]
    for name, properties in reversed(told) if is_first else told:
        await facts.happens(name, properties, email=ADA)

    assert await facts.values("SELECT lifted_at IS NULL FROM suppression") == [owned]


async def test_a_negative_number_of_returned_pieces_counts_them_all(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", {"order_id": "o", "products": [LAMP | {"quantity": 5}]}, email=ADA)
    await facts.happens("Order Refunded", {"order_id": "o", "products": [LAMP | {"quantity": -3}]}, email=ADA)

    assert await facts.values("SELECT returned FROM purchase") == [3]


@pytest.mark.parametrize(
    "line",
    [LAMP | {"quantity": -1}, LAMP | {"quantity": "-1"}, LAMP | {"price": -39.0}, LAMP | {"price": "-39,00"}],
)
async def test_a_line_of_a_return_on_a_receipt_is_not_bought(facts: IngestHarness, line: Row) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    answer = await facts.happens("Order Completed", {"order_id": "o", "products": [line, CHAIR]}, email=ADA)

    assert await facts.values("SELECT item FROM purchase") == ["chair"]
    assert await facts.suppressed("email", ADA) == ["chair"]
    assert await facts.carts() == {"c-1": ["lamp"]}
    assert any("return" in problem for problem in await facts.problems(answer.event_id))


async def test_signs_are_read_by_their_event(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1", "quantity": "3"}, email=ADA)
    await facts.happens("Product Removed", LAMP | {"cart_id": "c-1", "quantity": -2}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-1", "quantity": 0}, email=ADA)
    [lines] = await facts.values("SELECT lines::text FROM cart")

    assert [(line["product_id"], line["quantity"]) for line in orjson.loads(lines)] == [("lamp", 1)]


async def test_what_an_update_adds_to_an_order_is_bought(facts: IngestHarness) -> None:
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Order Completed", ORDER, email=ADA)
    await facts.happens("Order Updated", ORDER | {"products": [LAMP, CHAIR], "total": 138.0}, email=ADA)
    await facts.happens("Order Updated", {"order_id": "o-1", "status": "packed"}, email=ADA)
    figures = await facts.rows("SELECT orders, spent FROM profile")

    assert sorted(set(await facts.suppressed("email", ADA))) == ["chair", "lamp"]
    assert await facts.carts() == {"c-1": []}
    assert figures == [{"orders": 1, "spent": 138.0}]


async def test_an_update_after_a_refund_does_not_take_the_refund_back(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", ORDER, email=ADA)
    await facts.happens("Order Refunded", {"order_id": "o-1", "products": [LAMP]}, email=ADA)
    await facts.happens("Order Updated", ORDER, email=ADA)

    assert await facts.values("SELECT DISTINCT lifted_at IS NULL FROM suppression") == [False]


async def test_a_feed_is_read_as_merchants_write_it(facts: IngestHarness) -> None:
    feed = {"product_id": 7.0, "price": "39.00 EUR", "availability": "out of stock", "title": "Lamp"}
    await facts.happens("Product Updated", feed)
    await facts.happens(
        "Product Updated", {"id": "8", "price": "1.234,56 €", "quantity": -3, "in_stock": "0"}
    )

    rows = await facts.rows("SELECT item, price, currency, in_stock FROM product ORDER BY item")
    assert [tuple(row.values()) for row in rows] == [("7", 39.0, "EUR", False), ("8", 1234.56, "EUR", False)]


async def test_a_cart_in_another_currency_keeps_it(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1", "currency": "usd"}, email=ADA)
    await facts.happens("Cart Viewed", {"cart_id": "c-2", "currency": "JPY", "products": [CHAIR]}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c-3", "currency": "$"}, email=ADA)
    rows = await facts.values("SELECT lines::text FROM cart ORDER BY cart_id")
    lines = [orjson.loads(row)[0] for row in rows]

    assert [(line.get("price"), line.get("currency")) for line in lines] == [
        (39.0, "USD"),
        (99.0, "JPY"),
        (None, None),
    ]


async def consents(facts: IngestHarness) -> list[tuple[str, str, str]]:
    rows = await facts.rows("SELECT channel, topic, state FROM consent_state ORDER BY 1, 2, 3")
    return [tuple(row.values()) for row in rows]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("traits", "stands"),
    [
        pytest.param({"consents": {"email": "false"}}, [("email", "marketing", "withdrawn")], id="a text"),
        pytest.param({"consents": {"email": 0}}, [("email", "marketing", "withdrawn")], id="a number"),
        pytest.param(
            {"consents": {"email": "nein"}}, [("email", "marketing", "withdrawn")], id="a German one"
        ),
        pytest.param(
            {"consents": {"E-Mail": "unsubscribed"}}, [("email", "marketing", "withdrawn")], id="a state"
        ),
        pytest.param({"consents": {"email": "yes"}}, [("email", "marketing", "granted")], id="a clear grant"),
        pytest.param({"consents": {"email": "pending"}}, [], id="neither"),
        pytest.param({"consents": {"email": None}}, [], id="null"),
        pytest.param({"unsubscribed": True}, [("all", "marketing", "withdrawn")], id="a flag"),
    ],
)
async def test_a_consent_in_words_stands(
    facts: IngestHarness, traits: Row, stands: list[tuple[str, ...]]
) -> None:
    await facts.happens("Identified", traits=traits, email=ADA)

    assert await consents(facts) == stands


async def test_each_topic_of_a_list_is_one(facts: IngestHarness) -> None:
    change = {"channel": "email", "state": "opted_out", "topic": ["news", " offers "]}
    await facts.happens("Consent Changed", change, email=ADA)

    assert await consents(facts) == [("email", "news", "withdrawn"), ("email", "offers", "withdrawn")]


async def test_what_was_not_understood_is_listed_by_sender_and_code(facts: IngestHarness) -> None:
    lost = {"order_id": "o-1", "currency": "$", "products": "?"}
    events = [facts.event("Order Completed", lost, email=ADA) for _ in range(3)]
    await facts.ingest([replace(each, sender="pages") for each in events[:2]] + events[2:])
    async with facts.database.transaction() as connection:
        listed = await list_event_problems(connection, limit=3)

    assert [(each.sender, each.code, each.events) for each in listed] == [
        ("pages", "unreadable_currency", 2),
        ("pages", "unreadable_lines", 2),
        ("test", "unreadable_currency", 1),
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(("Identified", {}, {"consents": {"email": "nein"}}), id="in a trait"),
        pytest.param(("Identified", {}, {"email_opt_out": 1}), id="in a flag"),
        pytest.param(("Consent Changed", {"channel": "mail", "state": "opted_out"}, {}), id="in a change"),
    ],
)
async def test_a_refusal_in_words_counts_under_an_id_that_is_taken(
    facts: IngestHarness, refusal: tuple[str, Row, Row]
) -> None:
    name, properties, traits = refusal
    await facts.happens("Product Viewed", LAMP, event_id="taken", email=ADA)
    await facts.happens(name, properties, traits=traits, event_id="taken", email=ADA)

    assert await consents(facts) == [("email", "marketing", "withdrawn")]
