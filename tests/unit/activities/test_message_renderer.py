"""A letter shows the items as they are when it goes out: the cart's quantity, the feed's price."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

import journeys.cart_abandonment
from activities.content.templates import TemplateRegistry
from activities.contracts import SendMessage
from activities.gate.send_gate import SendClaim
from activities.message_renderer import MessageRenderer, message_currency, to_presentable_items
from activities.settings import ActivitySettings
from policy.verdict import Channel
from profiles.commerce.catalog import CatalogEntry
from profiles.db.sql import new_id
from profiles.events import Item
from profiles.messaging.preference_tokens import PreferenceTokens
from profiles.messaging.snapshot import Snapshot

LAMP = Item(product_id="lamp", sku="red", name="Aria lamp", price=39.0, content_verified=True)

SECRET = "a secret of tests, which is long enough"

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def snapshot_of(shelf: tuple[CatalogEntry, ...], *, quantity: int = 1) -> Snapshot:
    """A profile with the lamp in its cart."""
    return Snapshot(
        profile_id=new_id(), traits={}, context_timezone=None, email_from_order=False, erased=False,
        run_state="running", run_profile_id=new_id(), addresses={}, consents=(), suppressions=(),
        sent_messages=(),
        catalog=shelf,
        cart=({"product_id": "lamp", "sku": "red", "quantity": quantity},),
    )  # fmt: skip


def renderer() -> MessageRenderer:
    """A renderer of the example shop."""
    settings = ActivitySettings(secrets=(SecretStr(SECRET),), shop_currency="EUR")
    return MessageRenderer(settings, PreferenceTokens([SECRET]))


def written_for(snapshot: Snapshot, *, showing: bool = False) -> str:
    """The text of a mail about the lamp."""
    claim = SendClaim(
        message_id=new_id(), token=new_id(), address="ada@example.com", items=("lamp",), removed=(),
        snapshot=snapshot, valid_for=None, zone="UTC", channels=(),
    )  # fmt: skip
    request = SendMessage(
        run_id=str(new_id()), step="s", journey="carts", template="cart_reminder", channel=Channel.EMAIL,
        promoting=None if showing else (LAMP,), showing=(LAMP,) if showing else (),
        expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    templates = TemplateRegistry.load([Path(journeys.cart_abandonment.__file__).parent])
    return renderer().render(templates["cart_reminder"], request, claim).text


def written(shelf: tuple[CatalogEntry, ...], *, quantity: int = 1, showing: bool = False) -> str:
    """The text of a mail about the lamp, of which the cart has ``quantity``."""
    return written_for(snapshot_of(shelf, quantity=quantity), showing=showing)


@pytest.mark.parametrize(
    ("shelf", "expected"),
    [
        pytest.param(
            (CatalogEntry("lamp", "red", price=29.5, verified=True),), "29.50", id="the feed's price"
        ),
        pytest.param(
            (CatalogEntry("lamp", "red", price=29.5, currency="USD", verified=True),),
            "39.00",
            id="another currency",
        ),
        pytest.param(
            (CatalogEntry("lamp", "blue", price=29.5, verified=True),), "39.00", id="another variant's"
        ),
        pytest.param((), "39.00", id="no word of the feed"),
    ],
)
def test_a_promoted_item_has_the_price_that_the_feed_tells(
    shelf: tuple[CatalogEntry, ...], expected: str
) -> None:
    assert expected in written(shelf)


def test_the_total_is_of_the_fresh_price_and_the_quantity_in_the_cart() -> None:
    assert "59.00" in written((CatalogEntry("lamp", "", price=29.5, verified=True),), quantity=2)


def test_what_a_message_shows_without_promoting_it_keeps_the_price_that_was_paid() -> None:
    assert "39.00" in written((CatalogEntry("lamp", "red", price=29.5, verified=True),), showing=True)


FEED = CatalogEntry(
    "lamp",
    "red",
    price=29.5,
    name="Feed lamp",
    url="https://shop.example.com/lamp",
    image_url="https://shop.example.com/lamp.jpg",
    category="Lamps",
    verified=True,
)

STATED = Item(
    product_id="lamp", sku="red", name="Bitcoin", variant="v", brand="b", category="c", price=1.0, quantity=3,
    url="https://shop.example.com/x", image_url="https://shop.example.com/x.jpg",
)  # fmt: skip

VERIFIED = STATED.model_copy(update={"content_verified": True})


def presentable(item: Item, shelf: tuple[CatalogEntry, ...], cart: dict[str, object] | None = None) -> Item:
    """The item as a message may show it."""
    lines = () if cart is None else ({"product_id": "lamp", "sku": "red", **cart},)
    snapshot = replace(snapshot_of(shelf), cart=lines)
    [shown] = to_presentable_items((item,), snapshot, "EUR", with_current_values=cart is not None)
    return shown


@pytest.mark.parametrize(
    ("item", "shelf", "cart", "expected"),
    [
        pytest.param(STATED, (), None, (None, None, None, None), id="nobody's word"),
        pytest.param(STATED, (FEED,), None, ("Feed lamp", 29.5, FEED.url, None), id="the feed's"),
        pytest.param(
            STATED,
            (replace(FEED, verified=False),),
            None,
            (None, None, None, None),
            id="an unverified feed's",
        ),
        pytest.param(
            STATED,
            (replace(FEED, currency="USD"),),
            None,
            ("Feed lamp", None, FEED.url, None),
            id="no price in another currency",
        ),
        pytest.param(
            STATED, (replace(FEED, sku="blue"),), None, (None, None, None, None), id="another variant's"
        ),
        pytest.param(
            STATED, (replace(FEED, sku=""),), None, ("Feed lamp", 29.5, FEED.url, None), id="the product's"
        ),
        pytest.param(VERIFIED, (), None, ("Bitcoin", 1.0, STATED.url, "v"), id="a verified event's"),
        pytest.param(VERIFIED, (FEED,), None, ("Bitcoin", 1.0, STATED.url, "v"), id="that before the feed's"),
        pytest.param(
            VERIFIED.model_copy(update={"name": None, "url": None}),
            (FEED,),
            None,
            ("Feed lamp", 1.0, FEED.url, "v"),
            id="completed by the feed",
        ),
        pytest.param(
            STATED,
            (),
            {"name": "Cart lamp", "price": 5.0, "content_verified": True},
            ("Cart lamp", 5.0, None, None),
            id="of the cart, where a verified event stated it since",
        ),
        pytest.param(
            STATED, (), {"name": "Cart lamp", "price": 5.0}, (None, None, None, None), id="an old cart's"
        ),
    ],
)
def test_of_an_item_a_message_shows_what_a_verified_event_or_the_feed_states(
    item: Item,
    shelf: tuple[CatalogEntry, ...],
    cart: dict[str, object] | None,
    expected: tuple[object, ...],
) -> None:
    shown = presentable(item, shelf, cart)

    assert (shown.name, shown.price, shown.url, shown.variant) == expected
    assert (shown.product_id, shown.sku, shown.quantity) == ("lamp", "red", 3)


@pytest.mark.parametrize(
    ("unverified", "expected"), [((), "Win, now"), (("code",), None)], ids=["verified", "unverified"]
)
def test_an_unverified_value_of_context_is_left_out(
    unverified: tuple[str, ...], expected: str | None
) -> None:
    context = {"code": "Win, now", "order_url": "https://shop.example.com/o/1", "was": 99.0, "days": 3}
    request = SendMessage(
        run_id=str(new_id()), step="s", journey="carts", template="t", channel=Channel.EMAIL, promoting=None,
        expires_at=NOW, context=context, unverified_context=unverified,
    )  # fmt: skip
    shown = renderer()._presentable_context(request)

    assert shown["code"] == expected
    assert shown | {"code": None} == context | {"code": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            "https://shop.example.com/orders/1", "https://shop.example.com/orders/1", id="a link to the shop"
        ),
        pytest.param("https://evil.example/1", None, id="another link"),
        pytest.param("WEB-1042", None, id="an id"),
        pytest.param("see evil.example", None, id="words"),
        pytest.param(99.0, None, id="an amount"),
        pytest.param(3, 3, id="a count"),
        pytest.param([3, "words"], [3, None], id="a list"),
        pytest.param({"words of mine": "x"}, None, id="a mapping"),
    ],
)
def test_of_an_unverified_value_counts_and_links_to_the_shop_are_left(
    value: object, expected: object
) -> None:
    assert renderer()._to_presentable(value) == expected


@pytest.mark.parametrize(
    ("unverified", "value", "expected"),
    [
        pytest.param((), "WEB-1042", "WEB-1042", id="a verified reference"),
        pytest.param((), 1042, "1042", id="a verified number"),
        pytest.param((), "Call 0900 now", None, id="verified words"),
        pytest.param(("order_id",), "WEB-1042", None, id="an unverified reference"),
        pytest.param(("order_id",), "CALL-ME-0900", None, id="unverified words with a digit"),
        pytest.param(("order_id",), 49900123456, None, id="an unverified number"),
    ],
)
def test_an_id_is_shown_if_it_is_verified_and_looks_like_one(
    unverified: tuple[str, ...], value: object, expected: str | None
) -> None:
    request = SendMessage(
        run_id=str(new_id()), step="s", journey="carts", template="t", channel=Channel.EMAIL, promoting=None,
        expires_at=NOW, context={"order_id": value}, unverified_context=unverified,
    )  # fmt: skip

    assert renderer()._presentable_context(request) == {"order_id": expected}


@pytest.mark.parametrize("trait", ["first_name", "firstName", "name"])
def test_an_unverified_name_is_not_in_the_greeting(trait: str) -> None:
    snapshot = replace(snapshot_of(()), traits={trait: "Ada"})

    assert "Ada" in written_for(snapshot)
    assert "Ada" not in written_for(replace(snapshot, unverified_traits=frozenset({trait})))


@pytest.mark.parametrize(
    ("currencies", "in_feed", "message", "prices"),
    [
        pytest.param(("USD", "USD"), None, "USD", (1.0, 1.0), id="a cart in dollars"),
        pytest.param(("USD", "JPY"), None, None, (None, None), id="two currencies are not added up"),
        pytest.param((None, "USD"), None, None, (1.0, None), id="one that is not the shop's"),
        pytest.param((None, None), None, None, (1.0, 1.0), id="none stated: the shop's"),
        pytest.param(("EUR", None), None, "EUR", (1.0, 1.0), id="the shop's, stated once"),
        pytest.param(("USD", "USD"), "EUR", "USD", (1.0, 1.0), id="the feed's price is in another currency"),
        pytest.param(("USD", "USD"), "USD", "USD", (29.5, 29.5), id="the feed's price is in the cart's"),
    ],
)
def test_an_amount_is_shown_in_its_own_currency_or_not_at_all(
    currencies: tuple[str | None, ...],
    in_feed: str | None,
    message: str | None,
    prices: tuple[float | None, ...],
) -> None:
    items = [
        VERIFIED.model_copy(update={"currency": each, "product_id": f"p-{number}", "sku": None})
        for number, each in enumerate(currencies)
    ]
    shelf = tuple(
        CatalogEntry(item.key, "", price=29.5, currency=in_feed, verified=True) for item in items if in_feed
    )
    snapshot = snapshot_of(shelf)
    currency = message_currency(items, snapshot, None, "EUR")
    shown = to_presentable_items(
        items, snapshot, currency or "EUR", with_current_values=True, shop_currency="EUR"
    )

    assert currency == message
    assert tuple(item.price for item in shown) == prices
