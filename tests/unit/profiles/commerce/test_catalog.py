"""What the shop's feed says of a line: its stock, its price, and whose unit it is."""

import pytest

from profiles.commerce.catalog import CatalogEntry, current_price, product_for_sku, sold_out

RED = CatalogEntry("lamp", "red", in_stock=False, price=30.0, currency="EUR")

BLUE = CatalogEntry("lamp", "blue", in_stock=True, price=40.0)

LAMP = CatalogEntry("lamp", "", price=35.0)


@pytest.mark.parametrize(
    ("shelf", "sku", "currency", "expected"),
    [
        pytest.param((RED, BLUE, LAMP), "red", "EUR", 30.0, id="the unit's own"),
        pytest.param((RED, BLUE, LAMP), "green", "EUR", 35.0, id="else the product's"),
        pytest.param((RED, BLUE, LAMP), None, "EUR", 35.0, id="a line without a unit"),
        pytest.param((RED, BLUE), None, "EUR", None, id="variants differ"),
        pytest.param((BLUE,), None, "EUR", 40.0, id="all variants cost the same"),
        pytest.param((RED,), "red", "USD", None, id="in another currency"),
        pytest.param((RED,), "red", None, 30.0, id="in whatever currency"),
        pytest.param((), "red", "EUR", None, id="nothing is told"),
    ],
)
def test_a_line_costs_what_the_feed_says_of_its_unit(
    shelf: tuple[CatalogEntry, ...], sku: str | None, currency: str | None, expected: float | None
) -> None:
    assert expected == current_price(shelf, "lamp", sku, currency)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([("lamp", "red")], {"lamp"}, id="the variant"),
        pytest.param([("red", "red")], {"red"}, id="known by its unit alone"),
        pytest.param([("lamp", None)], set(), id="another variant is there"),
        pytest.param([("lamp", "red"), ("lamp", "blue")], set(), id="one of two lines"),
        pytest.param([("rug", None)], set(), id="nothing is told"),
    ],
)
def test_a_line_is_sold_out_where_all_that_is_told_says_so(
    lines: list[tuple[str, str | None]], expected: set[str]
) -> None:
    assert expected == sold_out((RED, BLUE, LAMP), lines)


def test_a_unit_that_two_products_claim_is_nobodys() -> None:
    assert product_for_sku((RED, BLUE, LAMP), "red") == "lamp"
    assert product_for_sku((RED, CatalogEntry("shade", "red")), "red") is None
    assert product_for_sku((), "red") is None
