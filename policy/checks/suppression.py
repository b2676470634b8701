"""Decides which items a person must not be shown any more, and until when a purchase keeps them away."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policy.facts import CatalogItem, PlannedItem, Suppression
from policy.limits import DEFAULT_SUPPRESSION_WINDOW, Limits, SuppressionRule, SuppressionScope


@dataclass(frozen=True, slots=True)
class ItemAttributes:
    """An item with all that is known of it; where plan and feed differ, both count."""

    item: PlannedItem
    products: frozenset[str]
    """Products that it is, or is a variant of."""
    variants: frozenset[str]
    """Stock keeping units of those products, its own included."""
    categories: frozenset[str]
    """In lower case, as the groups."""
    groups: frozenset[str]
    parts: tuple[str, ...]
    """Products that it consists of, where it is a bundle."""


def item_attributes(item: PlannedItem, catalog: Iterable[CatalogItem]) -> ItemAttributes:
    """What the plan and the feed say of one item; an item known by its unit alone is what the feed says."""
    rows = [row for row in catalog if _matches_item(row, item)]
    own = {item.product_id} if item.product_id else {row.product for row in rows}
    units = {item.sku, *(row.sku for row in rows)}
    # A unit's own word goes before what is said of the product.
    exact = sorted(rows, key=lambda row: (row.sku != item.sku, row.sku or ""))
    return ItemAttributes(
        item,
        frozenset(name for name in own if name),
        frozenset(unit for unit in units if unit),
        normalize_names(item.category, *(row.category for row in rows)),
        normalize_names(item.group, *(row.group for row in rows)),
        next((row.bundle for row in exact if row.bundle), ()),
    )


def normalize_names(*names: str | None) -> frozenset[str]:
    """Names as they are compared: without blanks around, in lower case; what is no name is left out."""
    return frozenset(name.strip().casefold() for name in names if name and name.strip())


def _matches_item(row: CatalogItem, item: PlannedItem) -> bool:
    if item.product_id:
        return row.product == item.product_id
    return bool(item.sku) and item.sku in (row.product, row.sku)


def suppression_until(
    event_time: datetime, window: timedelta | None = DEFAULT_SUPPRESSION_WINDOW
) -> datetime | None:
    """When a purchase at ``event_time`` stops suppressing its items; None is for good.

    A suppression starts when its row commits, whenever the purchase happened, so an old purchase may
    be over as soon as it is known. A window that runs past the calendar is for good.
    """
    if window is None:
        return None
    try:
        return event_time + window
    except OverflowError:
        return None


def is_active(suppression: Suppression, at: datetime) -> bool:
    """In force at ``at``: the row exists and its end, if it has one, is still ahead.

    When it started plays no part: a purchase that a channel delivers late, or a run whose clock is
    ahead or behind, must not open a gap.
    """
    return suppression.until is None or suppression.until > at


def suppressed_items(
    items: Sequence[PlannedItem],
    suppressions: Iterable[Suppression],
    at: datetime,
    catalog: Sequence[CatalogItem] = (),
    cart_items: Iterable[PlannedItem] = (),
) -> dict[str, str]:
    """Keys of the items that must not be promoted at ``at``, and why where that is not plain; else "".

    One suppressed line takes its whole key with it: where the bought unit is known to be a variant of a
    product, by any line in ``items`` or ``beside`` them (the cart), every variant is suppressed. Of scope
    variant only the lines in ``items`` count. A bundle is suppressed once every part of it was bought.
    """
    active = [row for row in suppressions if is_active(row, at)]
    if not active:
        return {}
    reaching = [row for row in active if row.scope is not SuppressionScope.VARIANT]
    found: dict[str, str] = {}
    for item, rows in (*((item, active) for item in items), *((item, reaching) for item in cart_items)):
        about = item_attributes(item, catalog)
        reasons = [why for row in rows if item.key and (why := _suppression_reason(row, about)) is not None]
        bought, parts = parts_bought(about, active)
        if parts and bought == parts:
            reasons.append("every part of it was bought")
        if reasons:
            # That it was bought itself, which needs no words, is the best reason.
            found[item.key] = min(found.get(item.key, reasons[0]), *reasons, key=len)
    return found


def parts_bought(bundle: ItemAttributes, active: Iterable[Suppression]) -> tuple[int, int]:
    """How many parts of a bundle were bought, and how many it has; (0, 0) for what is no bundle.

    A part counts as bought in any variant, by itself or as a part of another bundle.
    """
    names = {name for row in active for name in (row.item, row.sku, *row.parts) if name}
    parts = dict.fromkeys(bundle.parts)
    return sum(part in names for part in parts), len(parts)


def _suppression_reason(row: Suppression, about: ItemAttributes) -> str | None:
    """Why a suppression is about an item: "" where it is simply that one, None where it is not.

    The product (any variant of it) or the same unit; of scope variant the same unit alone, and an item
    planned without its unit, which may be that one. Of scope group or category also whatever is of the same,
    by the plan's own word or the feed's. A bundle's suppression is about its parts. An item without product
    and unit is never matched (and never promoted, see ``policy.checks.relevance``).
    """
    if _is_same_item(row, about):
        return ""
    if row.scope is SuppressionScope.GROUP and normalize_names(row.of) & about.groups:
        return f"of the group {row.of}, of which {row.item} was bought"
    if row.scope is SuppressionScope.CATEGORY and normalize_names(row.of) & about.categories:
        return f"of the category {row.of}, of which {row.item} was bought"
    names = {*about.products, about.item.sku} - {None, ""}
    if names & {*row.parts}:
        return f"a part of {row.item}, which was bought"
    return None


def _is_same_item(row: Suppression, about: ItemAttributes) -> bool:
    item = about.item
    names = {*about.products, item.sku} - {None, ""}
    if row.scope is SuppressionScope.VARIANT:
        unit = row.of or row.sku
        return unit == item.sku if item.sku else row.item in about.products or unit in about.variants
    if row.item in names or (bool(row.sku) and row.sku == item.sku):
        return True
    # A receipt knew the unit alone, and the feed tells by now whose it is.
    return bool(row.sku) and row.item == row.sku and row.sku in about.variants


def rule_for(
    limits: Limits, product: str | None, sku: str | None, category: str | None, group: str | None
) -> SuppressionRule:
    """The first rule that fits what was bought, else the shop's window for the product.

    A rule about a product fits the product id and the stock keeping unit. Never raises: a purchase whose
    category nobody knows is simply fitted by no rule about a category.
    """
    names = (_normalize_name(product), _normalize_name(sku))
    for rule in limits.suppression:
        if (
            (rule.product is None or _normalize_name(rule.product) in names)
            and (rule.category is None or _normalize_name(rule.category) == _normalize_name(category))
            and (rule.group is None or _normalize_name(rule.group) == _normalize_name(group))
        ):
            return rule
    return SuppressionRule(limits.suppression_window)


def _normalize_name(name: str | None) -> str | None:
    return name.strip().casefold() if name else None
