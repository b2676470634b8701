"""What an unverified event states of an item, an order or a name does not appear in a message."""

from dataclasses import replace
from typing import Any

import pytest

from authoring.testing import Shop, Shopper
from journeys.vocabulary import days, hours

WORDS = "Bitcoin x10, see evil.example"

FOREIGN = "https://evil.example/bitcoin.png"

LINE = {
    "product_id": "lamp",
    "name": WORDS,
    "variant": WORDS,
    "brand": WORDS,
    "category": WORDS,
    "price": 666.0,
    "url": "https://evil.example/bitcoin",
    "image_url": FOREIGN,
    "content_verified": True,
}

FEED = {
    "product_id": "lamp",
    "name": "Aria lamp",
    "price": 39.0,
    "currency": "EUR",
    "url": "https://shop.example.com/p/lamp",
    "image_url": "https://shop.example.com/p/lamp.jpg",
}


async def states(
    shop: Shop, shopper: Shopper | None, name: str, properties: dict[str, Any], *, verified: bool, **more: Any
) -> None:
    """One event of a page, or of the shop's server where it is verified."""
    named = shopper.identifiers if shopper else {}
    event = shop.waypost.build_event(name, properties, time=shop.clock, **more, **named)
    await shop.waypost.ingest([replace(event, verified=verified)])
    await shop.waypost.deliver_outbox()


def repeated(shopper: Shopper) -> list[str]:
    """The parts of messages that repeat words, hosts or amounts of the stranger."""
    return [
        part
        for message in shopper.received
        for part in (message.subject, message.html, message.text)
        if any(word in part.lower() for word in ("bitcoin", "evil", "666"))
    ]


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        pytest.param("Product Added", LINE, id="a product is added"),
        pytest.param("Checkout Started", {"products": [LINE], "value": 666.0}, id="a checkout"),
        pytest.param("Product Added", LINE | {"sku": "lamp-red"}, id="a variant"),
        pytest.param("Product Added", LINE | {"product_id": None, "sku": "lamp"}, id="by its unit alone"),
        pytest.param("Product Added", LINE | {"product_id": WORDS}, id="an id in words"),
    ],
)
async def test_a_reminder_repeats_nothing_of_an_unverified_cart(
    shop: Shop, shopper: Shopper, name: str, properties: dict[str, Any]
) -> None:
    await states(shop, shopper, name, properties, verified=False)
    await shopper.waits(days(4))

    assert shopper.received == ["cart_reminder", "cart_offer"]
    assert repeated(shopper) == []
    assert "Your item" in shopper.received[0].html
    assert shopper.received[0].subject == "Your cart is still here"


async def test_an_unverified_item_is_shown_as_the_feed_has_it(shop: Shop, shopper: Shopper) -> None:
    await states(shop, None, "Product Updated", FEED, verified=True)
    await states(shop, shopper, "Product Added", LINE, verified=False)
    await shopper.waits(hours(2))

    [reminder] = shopper.received
    assert repeated(shopper) == []
    assert reminder.subject == "Still thinking about Aria lamp?"
    for shown in ("Aria lamp", "€39.00", FEED["url"], FEED["image_url"]):
        assert str(shown) in reminder.html


async def test_an_unverified_feed_has_no_say(shop: Shop, shopper: Shopper) -> None:
    await states(shop, None, "Product Updated", LINE, verified=False)
    await states(shop, shopper, "Product Added", LINE, verified=False)
    await shopper.waits(hours(2))

    assert repeated(shopper) == []
    assert "Your item" in shopper.received[0].html


async def test_a_feed_of_a_few_fields_leaves_nothing_of_an_unverified_one(
    shop: Shop, shopper: Shopper
) -> None:
    await states(shop, None, "Product Updated", LINE, verified=False)
    await states(shop, None, "Product Updated", {"product_id": "lamp", "in_stock": True}, verified=True)
    await states(shop, shopper, "Product Added", LINE, verified=False)
    await shopper.waits(hours(2))

    assert repeated(shopper) == []


@pytest.mark.parametrize("verified_first", [True, False])
async def test_what_the_shops_server_states_of_a_line_stands(
    shop: Shop, shopper: Shopper, *, verified_first: bool
) -> None:
    known = {"product_id": "lamp", "name": "Aria lamp"}
    for verified in (verified_first, not verified_first):
        await states(shop, shopper, "Product Added", known if verified else LINE, verified=verified)
    await shopper.waits(hours(2))

    [reminder] = shopper.received
    assert repeated(shopper) == []
    assert "Aria lamp" in reminder.html
    assert "Qty 2" in reminder.html


async def test_a_list_of_a_page_takes_no_name_from_a_verified_line(shop: Shop, shopper: Shopper) -> None:
    await states(shop, shopper, "Product Added", {"product_id": "lamp", "name": "Aria lamp"}, verified=True)
    await states(shop, shopper, "Checkout Started", {"products": [LINE]}, verified=False)
    await shopper.waits(hours(2))

    assert repeated(shopper) == []
    assert "Aria lamp" in shopper.received[0].html


@pytest.mark.parametrize(
    "order_id", [WORDS, "BUY-GOLD-1", "https://evil.example/1", "evil.example", "WEB-1042", "0900123456"]
)
async def test_a_confirmation_repeats_nothing_of_an_unverified_order(
    shop: Shop, shopper: Shopper, order_id: str
) -> None:
    order = {"order_id": order_id, "total": 666.0, "products": [LINE]}
    await states(shop, shopper, "Order Completed", order, verified=False)
    await shopper.waits(days(8))

    assert shopper.received == ["order_confirmation"]
    assert repeated(shopper) == []
    assert shopper.received[0].subject == "Your order is confirmed"


async def test_a_confirmation_has_the_id_of_a_verified_order(shop: Shop, shopper: Shopper) -> None:
    order = {"order_id": "WEB-1042", "products": [LINE]}
    await states(shop, shopper, "Order Completed", order, verified=True)
    await shopper.waits(hours(1))

    assert shopper.received[0].subject == "Your order WEB-1042 is confirmed"


async def test_a_confirmation_of_a_verified_order_has_all_it_states(shop: Shop, shopper: Shopper) -> None:
    order = {
        "order_id": "SO/2026-10.42",
        "total": 39.0,
        "products": [{"product_id": "lamp", "name": "Aria lamp"}],
    }
    await states(shop, shopper, "Order Completed", order, verified=True)
    await shopper.waits(hours(1))

    [confirmation] = shopper.received
    assert confirmation.subject == "Your order SO/2026-10.42 is confirmed"
    assert "Aria lamp" in confirmation.html
    assert "€39.00" in confirmation.html


@pytest.mark.parametrize("trait", ["first_name", "firstName", "name"])
async def test_nobody_is_greeted_by_an_unverified_name(shop: Shop, trait: str) -> None:
    shopper = await shop.shopper("ada")
    await states(shop, shopper, "Identified", {}, verified=False, traits={trait: "Win Bitcoin Now"})
    await states(shop, shopper, "Product Added", {"product_id": "lamp", "name": "Aria lamp"}, verified=True)
    await shopper.waits(hours(2))

    assert len(shopper.received) == 1
    assert repeated(shopper) == []


@pytest.mark.parametrize("name", ["Price Dropped", "Back In Stock"])
async def test_a_page_does_not_tell_that_a_product_became_cheaper(
    shop: Shop, shopper: Shopper, name: str
) -> None:
    await states(shop, shopper, "Product Added", LINE | {"cart_id": "c-1"}, verified=False)
    await shopper.waits(hours(2))
    await states(
        shop,
        shopper,
        name,
        {"cart_id": "c-1", "product_id": "lamp", "was": 666.0, "price": 1.0},
        verified=False,
    )
    await shopper.waits(days(4))

    assert shopper.received == ["cart_reminder", "cart_offer"]
    assert repeated(shopper) == []


@pytest.mark.parametrize(
    "price",
    [1e308, "1e999", "NaN", -5, 1e27, "ten"],
    ids=["1e308", "infinite", "NaN", "negative", "1e27", "text"],
)
@pytest.mark.parametrize("verified", [True, False])
async def test_no_price_loses_a_message(
    shop: Shop, shopper: Shopper, price: object, *, verified: bool
) -> None:
    line = {"product_id": "lamp", "name": "Aria lamp", "price": price, "quantity": 9}
    order = {"order_id": "o-1", "total": price, "products": [line]}
    await states(shop, shopper, "Product Added", line, verified=verified)
    await shopper.waits(hours(2))
    await states(shop, shopper, "Order Completed", order, verified=verified)
    await shopper.waits(hours(1))

    assert shopper.received == ["cart_reminder", "order_confirmation"]
    assert shopper.withheld == []
