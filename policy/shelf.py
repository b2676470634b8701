"""Decides what is known of an item: what the plan says of it, and what the shop's feed says."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy.facts import PlannedItem, Shelved


@dataclass(frozen=True, slots=True)
class Known:
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


def known(item: PlannedItem, shelf: Iterable[Shelved]) -> Known:
    """What the plan and the feed say of one item; an item known by its unit alone is what the feed says."""
    rows = [row for row in shelf if _is_about(row, item)]
    own = {item.product_id} if item.product_id else {row.product for row in rows}
    units = {item.sku, *(row.sku for row in rows)}
    # A unit's own word goes before what is said of the product.
    exact = sorted(rows, key=lambda row: (row.sku != item.sku, row.sku or ""))
    return Known(
        item,
        frozenset(name for name in own if name),
        frozenset(unit for unit in units if unit),
        folded(item.category, *(row.category for row in rows)),
        folded(item.group, *(row.group for row in rows)),
        next((row.bundle for row in exact if row.bundle), ()),
    )


def folded(*names: str | None) -> frozenset[str]:
    """Names as they are compared: without blanks around, in lower case; what is no name is left out."""
    return frozenset(name.strip().casefold() for name in names if name and name.strip())


def _is_about(row: Shelved, item: PlannedItem) -> bool:
    if item.product_id:
        return row.product == item.product_id
    return bool(item.sku) and item.sku in (row.product, row.sku)
