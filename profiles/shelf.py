"""What the shop's feed says of some products, read in one pass, and what follows for a line. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SHELF = """ARRAY(SELECT json_build_array(o.item, o.sku, o.bundle, o.in_stock, o.price, o.currency,
    o.category, o.item_group)::text
  FROM product o WHERE o.item = ANY({0}) OR o.sku = ANY({0}))"""
"""A text[] of JSON; ``{0}`` is a text[] of product ids and stock keeping units, none of them empty."""


@dataclass(frozen=True, slots=True)
class OnShelf:
    """A product, or one variant of it, as the feed last told it."""

    item: str
    """The product id, else the stock keeping unit."""
    sku: str
    """The variant; empty where the product as a whole is told of."""
    bundle: tuple[str, ...] = ()
    """Products it consists of."""
    in_stock: bool | None = None
    price: float | None = None
    currency: str | None = None
    category: str | None = None
    item_group: str | None = None


def shelf_of(rows: Iterable[Sequence[Any]]) -> tuple[OnShelf, ...]:
    """What ``SHELF`` read, as values, in the order of item and unit."""
    return tuple(
        OnShelf(item, sku, tuple(bundle), *more) for item, sku, bundle, *more in sorted(rows, key=_place)
    )


def _place(row: Sequence[Any]) -> tuple[str, str]:
    return row[0], row[1]


def names_of(lines: Iterable[tuple[str, str | None]]) -> list[str]:
    """Under which names lines (key, sku) stand on the shelf."""
    return sorted({name for line in lines for name in line if name})


def about(shelf: Iterable[OnShelf], key: str, sku: str | None) -> list[OnShelf]:
    """What is told of one line: of its unit and its product; of every variant, where it names none."""
    return [
        row
        for row in shelf
        if row.item == sku
        or (row.item == key and (not sku or row.sku in ("", sku)))
        or (key == sku and row.sku == sku)
    ]


def sold_out(shelf: Sequence[OnShelf], lines: Iterable[tuple[str, str | None]]) -> frozenset[str]:
    """Keys of which no line can be bought: all that is told of their stock is that there is none."""
    stock: dict[str, list[bool]] = {}
    for key, sku in lines:
        told = [row.in_stock for row in about(shelf, key, sku) if row.in_stock is not None]
        stock.setdefault(key, []).append(bool(told) and not any(told))
    return frozenset(key for key, gone in stock.items() if all(gone))


def price_of(shelf: Sequence[OnShelf], key: str, sku: str | None, currency: str | None) -> float | None:
    """What a line costs now: by its unit's own row, else the product's, else if all variants cost the same.

    None where the feed tells no price, or tells it in another currency than ``currency`` (None: in any).
    """
    rows = [
        row
        for row in about(shelf, key, sku)
        if row.price is not None and (currency is None or row.currency in (None, currency))
    ]
    for fits in (
        [row for row in rows if sku and sku in (row.sku, row.item)],
        [row for row in rows if not row.sku],
        rows,
    ):
        prices = {row.price for row in fits}
        if prices:
            return prices.pop() if len(prices) == 1 else None
    return None


def product_of(shelf: Iterable[OnShelf], sku: str) -> str | None:
    """Of which product a unit is a variant; None where the feed knows none, or more than one."""
    found = {row.item for row in shelf if row.sku == sku}
    return found.pop() if len(found) == 1 else None
