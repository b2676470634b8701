"""What was bought, at its edges: units, variants, bundles, and what has no name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from policy.checks.relevance import has_items_left
from policy.checks.suppression import item_attributes, suppressed_items
from policy.facts import CatalogItem, ConsentFact, Facts, Plan, PlannedItem, Suppression
from policy.limits import Limits, SuppressionScope
from policy.verdict import Channel, MessageClass

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LAMP = PlannedItem("lamp", "lamp-red")
OFFER = Plan(Channel.SMS, MessageClass.MARKETING, "offers", (LAMP,), NOW + DAY, "win-back", template="hello")
YES = Facts(consents=(ConsentFact("sms", "offers", granted=True), ConsentFact("all", "all", granted=True)))


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


def test_a_bundle_bought_whole_says_so() -> None:
    shelf = (CatalogItem("set", bundle=("a", "b", "a")),)
    rows = (Suppression("a", None, None), Suppression("c", None, None, parts=("b",)))

    assert suppressed_items((PlannedItem("set", None),), rows, NOW, shelf) == {
        "set": "every part of it was bought"
    }


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


def test_a_part_without_a_name_was_not_bought() -> None:
    shelf = (CatalogItem("set", bundle=("cup", "")),)

    assert suppressed_items((PlannedItem("set", None),), (Suppression("cup", "", None),), NOW, shelf) == {}


def test_an_empty_name_is_not_an_empty_part() -> None:
    row = Suppression("set", None, None, parts=("",))

    assert not suppressed_items([PlannedItem("cup", "")], [row], NOW)


def test_of_scope_variant_the_unit_counts_however_it_is_told() -> None:
    by_sku = Suppression("shirt", "red", None, scope=SuppressionScope.VARIANT)
    by_unit_alone = Suppression("red", "red", None, scope=SuppressionScope.VARIANT)
    whole = PlannedItem("shirt", None)

    assert suppressed_items([PlannedItem("shirt", "red")], [by_sku], NOW)
    assert not suppressed_items([PlannedItem("shirt", "blue")], [by_sku], NOW)
    assert suppressed_items([whole], [by_unit_alone], NOW, (CatalogItem("shirt", "red"),))
    assert not suppressed_items([whole], [by_unit_alone], NOW, (CatalogItem("shirt", "blue"),))
