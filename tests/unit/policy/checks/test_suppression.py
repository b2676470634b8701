"""Suppression: which items a purchase keeps away from a person, and until when."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from policy.checks.relevance import has_items_left
from policy.checks.suppression import (
    is_active,
    item_attributes,
    rule_for,
    suppressed_items,
    suppression_until,
)
from policy.facts import CatalogItem, Facts, Plan, PlannedItem, Suppression
from policy.limits import Limits, SuppressionRule, SuppressionScope
from policy.verdict import Channel, MessageClass
from tests.support.builders.gate import NOW, OFFER, YES

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
    assert expected == bool(
        suppressed_items([PlannedItem(product, unit)], [Suppression(item, sku, None)], NOW)
    )


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

    assert {"p-1"} == suppressed_items(lines, [Suppression("red", "red", None)], NOW).keys()


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


RED, BLUE, WHOLE = PlannedItem("shirt", "red"), PlannedItem("shirt", "blue"), PlannedItem("shirt", None)

BOUGHT_RED = Suppression("shirt", "red", None, scope=SuppressionScope.VARIANT, of="red")

BY_SKU = Suppression("shirt", "red", None, scope=SuppressionScope.VARIANT)

BY_UNIT = Suppression("red", "red", None, scope=SuppressionScope.VARIANT)

LAMPS = Suppression("lamp", None, None, scope=SuppressionScope.CATEGORY, of="Lamps")

X = PlannedItem("x", None)

ARIA = Suppression("lamp", None, None, scope=SuppressionScope.GROUP, of="aria")

SET = Suppression("set", None, None, parts=("cup", "pot"))


@pytest.mark.parametrize(
    ("row", "item", "shelf", "expected"),
    [
        pytest.param(BOUGHT_RED, RED, (), True, id="variant: the very unit"),
        pytest.param(BOUGHT_RED, BLUE, (), False, id="variant: another one"),
        pytest.param(BOUGHT_RED, WHOLE, (), True, id="variant: planned without its unit"),
        pytest.param(BOUGHT_RED, PlannedItem(None, "red"), (), True, id="variant: planned by its unit"),
        pytest.param(BY_SKU, RED, (), True, id="variant: told by its sku alone"),
        pytest.param(BY_SKU, BLUE, (), False, id="variant: told by its sku alone, another one"),
        pytest.param(BY_UNIT, WHOLE, (CatalogItem("shirt", "red"),), True, id="variant: of the feed's unit"),
        pytest.param(BY_UNIT, WHOLE, (CatalogItem("shirt", "blue"),), False, id="variant: of another unit"),
        pytest.param(LAMPS, PlannedItem("x", None, "lamps "), (), True, id="category: by the plan's word"),
        pytest.param(LAMPS, X, (CatalogItem("x", category="Lamps"),), True, id="by the feed's"),
        pytest.param(
            LAMPS, PlannedItem("x", "x-1"), (CatalogItem("x", "x-2", "Lamps"),), True, id="a variant's"
        ),
        pytest.param(LAMPS, PlannedItem("x", None, "Chairs"), (), False, id="category: another one"),
        pytest.param(LAMPS, X, (CatalogItem("y", category="Lamps"),), False, id="of another"),
        pytest.param(LAMPS, PlannedItem("x", None, group="Lamps"), (), False, id="a group is no category"),
        pytest.param(LAMPS, PlannedItem("lamp", None), (), True, id="category: the product itself"),
        pytest.param(ARIA, PlannedItem("x", None, group="Aria"), (), True, id="group: by the plan's word"),
        pytest.param(
            ARIA, PlannedItem(None, "u"), (CatalogItem("x", "u", group="aria"),), True, id="a unit's"
        ),
        pytest.param(ARIA, PlannedItem("x", None, "aria"), (), False, id="a category is no group"),
        pytest.param(SET, PlannedItem("cup", "cup-blue"), (), True, id="a part of a bundle"),
        pytest.param(SET, PlannedItem("saucer", None), (), False, id="no part of it"),
        pytest.param(
            Suppression("set", None, None, parts=("",)),
            PlannedItem("cup", ""),
            (),
            False,
            id="an empty name is not an empty part",
        ),
        pytest.param(
            Suppression("red", "red", None),
            BLUE,
            (CatalogItem("shirt", "red"),),
            True,
            id="a receipt's unit, which the feed has as a variant by now",
        ),
        pytest.param(
            Suppression("shirt", None, None),
            PlannedItem(None, "blue"),
            (CatalogItem("shirt", "blue"),),
            True,
            id="planned by a unit that the feed has as a variant",
        ),
    ],
)
def test_a_purchase_reaches_as_far_as_the_shop_says(
    row: Suppression, item: PlannedItem, shelf: tuple[CatalogItem, ...], expected: bool
) -> None:
    assert expected == bool(suppressed_items([item], [row], NOW, shelf))


def test_a_variant_in_the_cart_takes_no_other_variant_with_it() -> None:
    assert suppressed_items([BLUE], [BOUGHT_RED], NOW, cart_items=[RED]) == {}
    assert suppressed_items([BLUE, RED], [BOUGHT_RED], NOW) == {"shirt": ""}


WHOLLY = {"set": "every part of it was bought"}


@pytest.mark.parametrize(
    ("parts", "bought", "expected"),
    [
        pytest.param(("cup", "pot"), [], {}, id="no part"),
        pytest.param(("cup", "pot"), [Suppression("cup", "cup-blue", None)], {}, id="one of two parts"),
        pytest.param(
            ("cup", "pot"),
            [Suppression("cup", None, None), Suppression("x", "pot", None)],
            WHOLLY,
            id="both",
        ),
        pytest.param(
            ("cup", "pot"),
            [Suppression("cup", None, None), Suppression("pot", None, NOW)],
            {},
            id="one of them long ago",
        ),
        pytest.param(
            ("cup", "pot", "cup"),
            [Suppression("cup", None, None), Suppression("c", None, None, parts=("pot",))],
            WHOLLY,
            id="one of them in another bundle",
        ),
        pytest.param(("cup", ""), [Suppression("cup", "", None)], {}, id="a part without a name"),
    ],
)
def test_a_bundle_is_suppressed_once_every_part_of_it_was_bought(
    parts: tuple[str, ...], bought: list[Suppression], expected: dict[str, str]
) -> None:
    shelf = (CatalogItem("set", bundle=parts),)

    assert expected == suppressed_items([PlannedItem("set", None)], bought, NOW, shelf)


def test_the_record_of_a_decision_says_why_in_words() -> None:
    plan = Plan(
        Channel.EMAIL,
        MessageClass.MARKETING,
        "marketing",
        (PlannedItem("desk-lamp", None, "Lamps"), PlannedItem("cup", None), PlannedItem("box", None)),
        NOW + timedelta(days=1),
    )
    shelf = (CatalogItem("box", bundle=("cup", "spoon")),)
    facts = Facts(suppressions=(LAMPS, SET), shelf=shelf)

    finding = has_items_left(plan, facts, Limits(), NOW)

    assert finding.detail == (
        "1 of 3 item(s) left: desk-lamp suppressed (of the category Lamps, of which lamp was bought), "
        "cup suppressed (a part of set, which was bought), box kept: 1 of its 2 parts bought"
    )
    assert (finding.kept, finding.removed) == (("box",), ("desk-lamp", "cup"))


COFFEE = SuppressionRule(timedelta(days=25), category="Coffee")

SHOP = Limits(
    suppression=(
        SuppressionRule(timedelta(0), category="coffee", group="capsules"),
        COFFEE,
        SuppressionRule(timedelta(days=730), SuppressionScope.CATEGORY, product="lamp"),
        SuppressionRule(None, SuppressionScope.VARIANT, group="shirts"),
    ),
    suppression_window=timedelta(days=90),
)


@pytest.mark.parametrize(
    ("product", "sku", "category", "group", "window", "scope"),
    [
        pytest.param(
            "c", None, "Coffee", "capsules", timedelta(0), SuppressionScope.PRODUCT, id="all that is set fits"
        ),
        pytest.param(
            "c", None, " COFFEE", None, timedelta(days=25), SuppressionScope.PRODUCT, id="the first that fits"
        ),
        pytest.param(
            "lamp", None, None, None, timedelta(days=730), SuppressionScope.CATEGORY, id="a product"
        ),
        pytest.param(None, "lamp", None, None, timedelta(days=730), SuppressionScope.CATEGORY, id="a unit"),
        pytest.param("x", None, None, "shirts", None, SuppressionScope.VARIANT, id="a group"),
        pytest.param(
            "x", None, "Tea", None, timedelta(days=90), SuppressionScope.PRODUCT, id="none: the shop's window"
        ),
    ],
)
def test_the_first_rule_that_fits_says_how_long_and_how_far(
    product: str | None,
    sku: str | None,
    category: str | None,
    group: str | None,
    window: timedelta | None,
    scope: SuppressionScope,
) -> None:
    found = rule_for(SHOP, product, sku, category, group)

    assert (window, scope) == (found.window, found.scope)


def test_a_rule_that_cannot_be_meant_is_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"^category: expected a name, got ' '.*\nwindow: expected zero or more"
    ):
        SuppressionRule(timedelta(days=-1), category=" ")


def test_a_unit_s_own_bundle_goes_before_the_product_s() -> None:
    shelf = (
        CatalogItem("set", "2", bundle=("b",)),
        CatalogItem("set", None, bundle=("a",)),
        CatalogItem("set", "1", bundle=("c",)),
        CatalogItem("set", "9"),
    )

    assert item_attributes(PlannedItem("set", "1"), shelf).parts == ("c",)
    assert item_attributes(PlannedItem("set", "9"), shelf).parts == ("a",)
    assert item_attributes(PlannedItem("set", None), shelf).parts == ("a",)
    assert item_attributes(PlannedItem("set", "3"), (shelf[0], shelf[2])).parts == ("c",)


def test_what_nobody_told_of_an_item_is_not_known() -> None:
    lamp = item_attributes(
        PlannedItem("lamp", None, " Lights ", " "), (CatalogItem("lamp"), CatalogItem("rug", "r"))
    )
    nameless = item_attributes(PlannedItem(None, "u"), (CatalogItem("lamp"), CatalogItem("", "u")))

    assert (lamp.products, lamp.variants) == (frozenset({"lamp"}), frozenset())
    assert (lamp.categories, lamp.groups) == (frozenset({"lights"}), frozenset())
    assert (nameless.products, nameless.variants) == (frozenset(), frozenset({"u"}))


def test_only_a_bundle_that_is_kept_and_was_bought_in_part_lately_is_said_to_be_so() -> None:
    shelf = (
        CatalogItem("set", bundle=("cup", "pot")),
        CatalogItem("box", bundle=("cup", "lid")),
        CatalogItem("mug"),
    )
    plan = replace(OFFER, promoting=tuple(PlannedItem(name, None) for name in ("set", "box", "mug")))
    facts = replace(
        YES,
        shelf=shelf,
        out_of_stock=frozenset({"box"}),
        suppressions=(Suppression("cup", None, None), Suppression("pot", None, NOW)),
    )

    assert has_items_left(plan, facts, Limits(), NOW).detail == (
        "2 of 3 item(s) left: box out of stock, set kept: 1 of its 2 parts bought"
    )


def test_of_several_reasons_that_it_was_bought_itself_is_told_else_the_shortest() -> None:
    item = PlannedItem("cup", None, group="blue")
    group = Suppression("pot", None, None, scope=SuppressionScope.GROUP, of="blue")
    part = Suppression("everything-for-the-table", None, None, parts=("cup",))

    assert suppressed_items((item,), (part, group), NOW) == {
        "cup": "of the group blue, of which pot was bought"
    }
    assert suppressed_items((item,), (part, Suppression("cup", None, None), group), NOW) == {"cup": ""}
