"""Cart arithmetic."""

import math
from typing import Any

import pytest
from pydantic import Field

from profiles.commerce.orders import is_same_item
from profiles.events import (
    CartViewed,
    CheckoutStarted,
    Event,
    Item,
    ProductAdded,
    ProductRemoved,
    ProductViewed,
)
from profiles.state.cart import apply_cart_event, covers, parse_lines, with_new_price
from profiles.state.event_records import OrderLine, parse_event

LAMP = Item(product_id="lamp", sku="lamp-red", quantity=2)

BLUE = Item(product_id="lamp", sku="lamp-blue")

CHAIR = Item(product_id="chair")


def shown(lines: tuple[Item, ...]) -> list[tuple[str | None, int]]:
    return [(line.sku or line.product_id, line.quantity) for line in lines]


@pytest.mark.parametrize(
    ("event", "left"),
    [
        pytest.param(ProductAdded(product_id="lamp", sku="lamp-red"), [("lamp-red", 3)], id="one more"),
        pytest.param(
            ProductAdded(product_id="lamp", quantity=3), [("lamp-red", 5)], id="the variant left open"
        ),
        pytest.param(
            ProductAdded(product_id="lamp", sku="lamp-blue"),
            [("lamp-red", 2), ("lamp-blue", 1)],
            id="another variant",
        ),
        pytest.param(ProductAdded(name="nothing that can be named"), [("lamp-red", 2)], id="no product"),
        pytest.param(ProductRemoved(product_id="lamp"), [], id="removed without a number: the whole line"),
        pytest.param(ProductRemoved(product_id="lamp", quantity=1), [("lamp-red", 1)], id="one less"),
        pytest.param(ProductRemoved(product_id="lamp", quantity=9), [], id="more than there is"),
        pytest.param(ProductRemoved(product_id="chair"), [("lamp-red", 2)], id="what is not in it"),
        pytest.param(CheckoutStarted(products=(CHAIR,)), [("chair", 1)], id="checkout says what is in it"),
        pytest.param(CheckoutStarted(), [("lamp-red", 2)], id="checkout without products says nothing"),
        pytest.param(
            CartViewed(products=(CHAIR, Item(name="?"))), [("chair", 1)], id="a view says what is in it"
        ),
        pytest.param(ProductViewed(product_id="chair"), [("lamp-red", 2)], id="looking changes nothing"),
    ],
)
def test_a_cart_after_an_event(event: Event, left: list[tuple[str, int]]) -> None:
    assert shown(apply_cart_event((LAMP,), event)) == left


@pytest.mark.parametrize(
    ("bought", "other", "covered"),
    [
        pytest.param(LAMP, BLUE, True, id="any variant of a product"),
        pytest.param(LAMP, CHAIR, False, id="another product"),
        pytest.param(Item(sku="lamp-red"), LAMP, True, id="by sku, where the purchase knows no product"),
        pytest.param(LAMP, Item(sku="lamp-red"), True, id="by sku, where the line knows no product"),
        pytest.param(Item(sku="lamp-red"), BLUE, False, id="another sku of a product nobody named"),
        pytest.param(Item(product_id="x"), Item(sku="x"), True, id="a shop that uses one id for both"),
        pytest.param(Item(name="a"), Item(name="b"), False, id="what has no name covers nothing"),
    ],
)
def test_what_a_purchase_covers(bought: Item, other: Item, covered: bool) -> None:
    assert covers(bought, other) is covered
    assert is_same_item(OrderLine(bought), other) is covered


@pytest.mark.parametrize(
    ("bought", "other", "taken"),
    [
        pytest.param(LAMP, LAMP, True, id="the variant"),
        pytest.param(LAMP, BLUE, False, id="another variant"),
        pytest.param(LAMP, Item(product_id="lamp"), True, id="a line that may be that variant"),
    ],
)
def test_where_the_shop_tells_variants_apart_only_the_bought_one_leaves_the_cart(
    bought: Item, other: Item, taken: bool
) -> None:
    assert taken is is_same_item(OrderLine(bought, scope="variant"), other)


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        pytest.param({"product_id": "p", "price": "39,00 €"}, [("p", 1)], id="a price nobody can read"),
        pytest.param({"product_id": "p", "quantity": None}, [("p", 1)], id="no quantity"),
        pytest.param({"product_id": "p", "quantity": -2}, [("p", 1)], id="less than nothing"),
        pytest.param({"product_id": ["p"], "sku": "s"}, [("s", 1)], id="a product that is a list"),
        pytest.param({"product_id": 7}, [("7", 1)], id="numbers are names"),
        pytest.param({"name": "Lamp"}, [], id="no product"),
        pytest.param("lamp", [], id="no row at all"),
        pytest.param(None, [], id="nothing"),
    ],
)
def test_a_field_that_does_not_fit_never_hides_the_product(row: Any, kept: list[tuple[str, int]]) -> None:
    assert shown(parse_lines([row])) == kept


def line(name: str | None, *, verified: bool, **more: Any) -> dict[str, Any]:
    """The lamp, as a channel states it, with a mark that it may not set."""
    return {"product_id": "lamp", "name": name, "content_verified": not verified, **more}


def parsed(name: str, properties: dict[str, Any], *, verified: bool) -> Event:
    """An event of a channel."""
    event, fault = parse_event(name, properties, verified=verified)
    assert event is not None
    assert fault is None
    return event


OURS, THEIRS = ("Aria lamp", True), ("Bitcoin", False)


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        pytest.param(OURS, THEIRS, ("Aria lamp", True, "oak"), id="verified, then not"),
        pytest.param(THEIRS, OURS, ("Aria lamp", True, "oak"), id="not, then verified"),
        pytest.param(THEIRS, (None, True), (None, True, "oak"), id="a verified one without a name"),
        pytest.param(OURS, (None, False), ("Aria lamp", True, "oak"), id="an unverified one without a name"),
        pytest.param(THEIRS, ("Gold", False), ("Gold", None, "evil"), id="both not"),
        pytest.param(OURS, ("New lamp", True), ("New lamp", True, "oak"), id="both verified"),
    ],
)
@pytest.mark.parametrize("as_list", [False, True], ids=["added", "listed"])
def test_what_an_unverified_event_states_is_never_taken_for_verified(
    first: tuple[str | None, bool],
    then: tuple[str | None, bool],
    expected: tuple[object, ...],
    *,
    as_list: bool,
) -> None:
    lines: tuple[Item, ...] = ()
    for place, (name, verified) in enumerate((first, then)):
        stated = line(name, verified=verified, variant="oak" if verified else "evil")
        if as_list and place:
            event = parsed("Checkout Started", {"products": [stated]}, verified=verified)
        else:
            event = parsed("Product Added", stated, verified=verified)
        lines = apply_cart_event(lines, event)

    [left] = lines
    assert (left.name, left.content_verified, left.variant) == expected
    assert left.quantity == (1 if as_list else 2)


@pytest.mark.parametrize("verified", [True, False])
def test_an_unverified_price_changes_no_verified_line(*, verified: bool) -> None:
    lamp = Item(product_id="lamp", price=39.0, content_verified=True)
    cheaper = Item(product_id="lamp", price=1.0, content_verified=verified or None)

    [left] = with_new_price((lamp,), cheaper)
    assert left.price == (1.0 if verified else 39.0)


class Gift(Event, name="Gift Chosen In A Test"):
    """An author's event with products at any depth."""

    gift: Item | None = None
    others: dict[str, list[Item]] = Field(default_factory=dict)


@pytest.mark.parametrize("verified", [True, False])
def test_no_channel_marks_its_own_words_as_verified(*, verified: bool) -> None:
    lamp = {"product_id": "lamp", "content_verified": True}
    properties = {"gift": lamp, "others": {"a": [lamp]}, "content_verified": True}
    event = parsed("Gift Chosen In A Test", properties, verified=verified)

    assert isinstance(event, Gift)
    expected = True if verified else None
    assert event.content_verified is expected
    assert [item.content_verified for item in (event.gift, *event.others["a"]) if item] == [expected] * 2
    [raw] = parse_lines([lamp], verified=verified)
    assert raw.content_verified is expected


def test_a_stored_line_keeps_its_mark_and_an_old_one_has_none() -> None:
    marked, old = parse_lines([{"product_id": "lamp", "content_verified": True}, {"product_id": "chair"}])

    assert (marked.content_verified, old.content_verified) == (True, None)
    assert "content_verified" not in old.model_dump(exclude_none=True)


@pytest.mark.parametrize("price", [math.inf, -math.inf, math.nan, "1e999"])
def test_a_price_is_a_finite_number_or_none(price: object) -> None:
    event = parsed("Product Added", {"product_id": "lamp", "price": price}, verified=True)

    assert isinstance(event, ProductAdded)
    assert (event.price, event.item.price) == (None, None)


def test_a_negative_quantity_is_left_out_and_raises_nowhere() -> None:
    event, fault = parse_event("Product Added", {"product_id": "lamp", "quantity": -5}, verified=False)

    assert isinstance(event, ProductAdded)
    assert "quantity" in str(fault)
    assert event.item.quantity == 1
