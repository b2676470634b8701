"""Suppression: which items a purchase keeps away from a person, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from policy.facts import PlannedItem, Suppression
from policy.limits import Limits
from policy.suppression import concerns, is_active, suppressed_keys, suppression_until

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("item", "sku", "product", "unit", "expected"),
    [
        pytest.param("p-1", "p-1-red", "p-1", "p-1-red", True, id="the very unit"),
        pytest.param("p-1", "p-1-red", "p-1", "p-1-blue", True, id="another variant of the product"),
        pytest.param("p-1", None, "p-1", None, True, id="the product"),
        pytest.param("s-1", "s-1", "p-1", "s-1", True, id="bought by unit, planned as a product"),
        pytest.param("p-1", "s-1", None, "s-1", True, id="bought as a product, planned by unit"),
        pytest.param("s-1", None, None, "s-1", True, id="the unit is the item"),
        pytest.param("p-1", "s-1", "p-2", "s-2", False, id="something else"),
        pytest.param("p-1", None, None, None, False, id="an item without identifiers"),
        pytest.param("", "", "", "", False, id="empty is not equal to empty"),
    ],
)
def test_a_purchase_covers_the_product_and_the_unit(
    item: str, sku: str | None, product: str | None, unit: str | None, expected: bool
) -> None:
    assert expected == concerns(Suppression(item, sku, None), PlannedItem(product, unit))


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        pytest.param(None, True, id="for good"),
        pytest.param(NOW + TICK, True, id="a moment left"),
        pytest.param(NOW, False, id="over at its end"),
        pytest.param(NOW - TICK, False, id="past"),
    ],
)
def test_only_time_ends_a_suppression(until: datetime | None, expected: bool) -> None:
    assert expected == is_active(Suppression("p-1", None, until), NOW)


def test_one_line_shows_that_a_bought_unit_is_a_variant_of_the_product() -> None:
    lines = (PlannedItem("p-1", "red"), PlannedItem("p-1", "blue"), PlannedItem("p-2", None))

    assert {"p-1"} == suppressed_keys(lines, [Suppression("red", "red", None)], NOW)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (timedelta(days=30), NOW + timedelta(days=30)),
        (None, None),
        pytest.param(timedelta.max, None, id="past the end of the calendar: for good"),
    ],
)
def test_a_window_counts_from_the_purchase(window: timedelta | None, expected: datetime | None) -> None:
    assert expected == suppression_until(NOW, window)


def test_a_purchase_suppresses_for_a_year_where_nothing_else_is_set() -> None:
    assert NOW + timedelta(days=365) == suppression_until(NOW)
    assert timedelta(days=365) == Limits().suppression_window
