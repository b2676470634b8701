"""Rules of suppression: which items may not be promoted to a profile, and until when after a purchase."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policy.facts import CatalogItem, PlannedItem, Suppression
from policy.limits import DEFAULT_SUPPRESSION_WINDOW, Limits, SuppressionRule, SuppressionScope


@dataclass(frozen=True, slots=True)
class ItemAttributes:
    """An item with its attributes from the plan and the feed; where these differ, both count."""

    item: PlannedItem
    products: frozenset[str]
    """Ids of the products that it is, or is a variant of."""
    variants: frozenset[str]
    """Stock keeping units of those products, its own included."""
    categories: frozenset[str]
    """In lower case."""
    groups: frozenset[str]
    """In lower case."""
    parts: tuple[str, ...]
    """Ids of the products in it, where it is a bundle."""


def item_attributes(item: PlannedItem, catalog: Iterable[CatalogItem]) -> ItemAttributes:
    """Return an item's attributes in plan and feed; without a product id, the feed's products count."""
    rows = [row for row in catalog if _matches_item(row, item)]
    own = {item.product_id} if item.product_id else {row.product for row in rows}
    units = {item.sku, *(row.sku for row in rows)}
    # The unit's own row goes before those of the product and of its other units.
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
    """Return the names stripped and in lower case, without blank ones."""
    return frozenset(name.strip().casefold() for name in names if name and name.strip())


def _matches_item(row: CatalogItem, item: PlannedItem) -> bool:
    if item.product_id:
        return row.product == item.product_id
    return bool(item.sku) and item.sku in (row.product, row.sku)


def suppression_until(
    event_time: datetime, window: timedelta | None = DEFAULT_SUPPRESSION_WINDOW
) -> datetime | None:
    """Return when a purchase at ``event_time`` no longer suppresses its items; None: never.

    That of an old purchase may have ended before its row commits.
    """
    if window is None:
        return None
    try:
        return event_time + window
    except OverflowError:
        return None


def is_active(suppression: Suppression, at: datetime) -> bool:
    """Return whether it ends after ``at``. The start is ignored, so a late delivery opens no gap."""
    return suppression.until is None or suppression.until > at


def suppressed_items(
    items: Sequence[PlannedItem],
    suppressions: Iterable[Suppression],
    at: datetime,
    catalog: Sequence[CatalogItem] = (),
    cart_items: Iterable[PlannedItem] = (),
) -> dict[str, str]:
    """Return the keys of the items that may not be promoted at ``at``, each with the reason.

    The reason is "" for an item that was bought itself. A suppressed line suppresses its whole key, so every
    variant, by any line in ``items`` or ``cart_items``; with the scope variant only the lines in ``items``
    count. A bundle is suppressed once all its parts were bought.
    """
    active = [row for row in suppressions if is_active(row, at)]
    if not active:
        return {}
    reaching = [row for row in active if row.scope is not SuppressionScope.VARIANT]
    reason_by_key: dict[str, str] = {}
    for item, rows in (*((item, active) for item in items), *((item, reaching) for item in cart_items)):
        about = item_attributes(item, catalog)
        reasons = [why for row in rows if item.key and (why := _suppression_reason(row, about)) is not None]
        bought, parts = parts_bought(about, active)
        if parts and bought == parts:
            reasons.append("every part of it was bought")
        if reasons:
            # The shortest reason: "", that it was bought itself, goes before all others.
            reason_by_key[item.key] = min(reason_by_key.get(item.key, reasons[0]), *reasons, key=len)
    return reason_by_key


def parts_bought(bundle: ItemAttributes, active: Iterable[Suppression]) -> tuple[int, int]:
    """Return (bought, all) parts of a bundle, in any variant and in any bundle; (0, 0) for any other item."""
    names = {name for row in active for name in (row.item, row.sku, *row.parts) if name}
    parts = dict.fromkeys(bundle.parts)
    return sum(part in names for part in parts), len(parts)


def _suppression_reason(row: Suppression, about: ItemAttributes) -> str | None:
    """Return why a suppression covers an item: "" where it is the item itself; None where it does not.

    With the scope variant it covers the same unit, and an item planned without one; with another the product
    in any variant, and with group or category also items of the same, by the plan or by the feed. A bundle's
    covers its parts.
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
    # The purchase named only the unit; its product is known from the feed.
    return bool(row.sku) and row.item == row.sku and row.sku in about.variants


def rule_for(
    limits: Limits, product: str | None, sku: str | None, category: str | None, group: str | None
) -> SuppressionRule:
    """Return the first rule that matches a purchase, else the shop's window with the scope product.

    A rule's ``product`` matches the product id and the stock keeping unit. A purchase of unknown category
    matches no rule with a category. Never raises.
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
