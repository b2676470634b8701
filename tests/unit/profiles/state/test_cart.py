"""Cart arithmetic."""

from typing import Any

import pytest

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
from profiles.state.cart import apply_cart_event, covers, parse_lines
from profiles.state.event_records import OrderLine

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
