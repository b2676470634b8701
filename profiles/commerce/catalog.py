"""What the shop's feed says of its products: the newest word on each field stands, whenever it came in."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from profiles.db.sql import encode_jsonb
from profiles.events import ProductUpdated
from profiles.state.clock import MAX_EVENT_AGE
from profiles.state.event_records import StoredEvent

_LOCK_PRODUCTS = """
INSERT INTO product (item, sku) SELECT item, sku FROM jsonb_to_recordset($1) AS p(item text, sku text)
ORDER BY item, sku ON CONFLICT (item, sku) DO UPDATE SET sku = excluded.sku
RETURNING item, sku, name, price, currency, in_stock, url, image_url, category, item_group, bundle,
  changed_at, priced_at, stocked_at, verified
"""

_UPDATE_PRODUCTS = """
WITH changed AS (
  INSERT INTO product_change (item, sku, was_price, price, was_in_stock, in_stock, at)
  SELECT item, sku, was_price, price, was_in_stock, in_stock, at
  FROM jsonb_populate_recordset(NULL::product_change, $2))
UPDATE product p SET name = c.name, price = c.price, currency = c.currency, in_stock = c.in_stock,
  url = c.url, image_url = c.image_url, category = c.category, item_group = c.item_group,
  bundle = COALESCE(c.bundle, '{}'), changed_at = c.changed_at, priced_at = c.priced_at,
  stocked_at = c.stocked_at, verified = c.verified
FROM jsonb_populate_recordset(NULL::product, $1) c WHERE p.item = c.item AND p.sku = c.sku
"""


@dataclass(slots=True)
class ProductState:
    """One product, or one variant, as it is known."""

    item: str
    sku: str
    name: str | None = None
    price: float | None = None
    currency: str | None = None
    in_stock: bool | None = None
    url: str | None = None
    image_url: str | None = None
    category: str | None = None
    item_group: str | None = None
    bundle: list[str] = field(default_factory=list)
    """Products it consists of."""
    changed_at: datetime | None = None
    priced_at: datetime | None = None
    stocked_at: datetime | None = None
    verified: bool = False
    """The shop's own feed tells of it: what pages say of it counts for nothing."""


@dataclass(frozen=True, slots=True)
class ProductChange:
    """A price or a stock that was known, and became another."""

    item: str
    sku: str
    was_price: float | None
    price: float | None
    was_in_stock: bool | None
    in_stock: bool | None
    at: datetime


def is_product_update(taken: StoredEvent) -> bool:
    """Whether an event is of the product feed: about a product, and about nobody."""
    return taken.incoming.type == ProductUpdated.event_name


async def upsert_products(connection: Any, takens: Sequence[StoredEvent]) -> list[StoredEvent]:
    """Write what product events say. Returns those that name no product.

    Locks products in key order; call it after the events are inserted and before any identifier is touched,
    which is the place of products in the order of locks.
    """
    told = [(taken, event) for taken in takens if isinstance(event := taken.event, ProductUpdated)]
    named = [(taken, event) for taken, event in told if event.item.key]
    if named:
        keys = sorted({(event.item.key, _variant_sku(event)) for _, event in named})
        rows = await connection.fetch(
            _LOCK_PRODUCTS, encode_jsonb([{"item": item, "sku": sku} for item, sku in keys])
        )
        products = {(row["item"], row["sku"]): ProductState(**row) for row in rows}
        changes = [
            change
            for taken, event in named
            if (change := apply_product_update(products[event.item.key, _variant_sku(event)], taken, event))
            is not None
        ]
        written = [asdict(products[key]) for key in keys]
        await connection.execute(
            _UPDATE_PRODUCTS, encode_jsonb(written), encode_jsonb([asdict(change) for change in changes])
        )
    return [taken for taken, event in told if not event.item.key]


def apply_product_update(
    product: ProductState, taken: StoredEvent, event: ProductUpdated
) -> ProductChange | None:
    """Apply one event to a product; what changed by it, or None. Pure but for ``product``.

    Only what had been known can change, a price in another currency is no change of price, and an event
    that is older than 72 hours changes the product without a word to anybody. An unverified event changes
    no product that a verified one has told of, whose first word outdoes all that was said before.
    """
    if not taken.incoming.verified and product.verified:
        return None
    if taken.incoming.verified and not product.verified:
        product.verified = True
        product.changed_at = product.priced_at = product.stocked_at = None
    # A feed's clock that runs ahead must not outdo every later event.
    time = min(taken.incoming.time, taken.at)
    was_price, was_in_stock, was_currency = product.price, product.in_stock, product.currency
    if event.price is not None and (product.priced_at is None or time >= product.priced_at):
        product.price, product.priced_at = event.price, time
        product.currency = event.currency or product.currency
    if event.in_stock is not None and (product.stocked_at is None or time >= product.stocked_at):
        product.in_stock, product.stocked_at = event.in_stock, time
    if product.changed_at is None or time >= product.changed_at:
        product.changed_at = time
        product.name = event.name or product.name
        product.url = event.url or product.url
        product.image_url = event.image_url or product.image_url
        product.category = event.category or product.category
        product.item_group = event.group or product.item_group
        if event.bundle is not None:
            product.bundle = list(event.bundle)
    priced = was_price is not None and product.price != was_price and was_currency in (None, product.currency)
    stocked = was_in_stock is not None and product.in_stock != was_in_stock
    if not (priced or stocked) or taken.at - taken.incoming.time > MAX_EVENT_AGE:
        return None
    return ProductChange(
        product.item,
        product.sku,
        was_price if priced else None,
        product.price if priced else None,
        was_in_stock if stocked else None,
        product.in_stock if stocked else None,
        taken.at,
    )


def _variant_sku(event: ProductUpdated) -> str:
    """The variant; a product that is told of by its sku alone has none."""
    return (event.sku or "") if event.product_id else ""


CATALOG_SQL = """ARRAY(SELECT json_build_array(o.item, o.sku, o.bundle, o.in_stock, o.price, o.currency,
    o.category, o.item_group)::text
  FROM product o WHERE o.item = ANY({0}) OR o.sku = ANY({0}))"""
"""A text[] of JSON; ``{0}`` is a text[] of product ids and stock keeping units, none of them empty."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
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


def to_entries(rows: Iterable[Sequence[Any]]) -> tuple[CatalogEntry, ...]:
    """What ``SHELF`` read, as values, in the order of item and unit."""
    return tuple(
        CatalogEntry(item, sku, tuple(bundle), *more)
        for item, sku, bundle, *more in sorted(rows, key=_entry_sort_key)
    )


def _entry_sort_key(row: Sequence[Any]) -> tuple[str, str]:
    return row[0], row[1]


def catalog_keys(lines: Iterable[tuple[str, str | None]]) -> list[str]:
    """Under which names lines (key, sku) stand on the shelf."""
    return sorted({name for line in lines for name in line if name})


def entries_for(shelf: Iterable[CatalogEntry], key: str, sku: str | None) -> list[CatalogEntry]:
    """What is told of one line: of its unit and its product; of every variant, where it names none."""
    return [
        row
        for row in shelf
        if row.item == sku
        or (row.item == key and (not sku or row.sku in ("", sku)))
        or (key == sku and row.sku == sku)
    ]


def sold_out(shelf: Sequence[CatalogEntry], lines: Iterable[tuple[str, str | None]]) -> frozenset[str]:
    """Keys of which no line can be bought: all that is told of their stock is that there is none."""
    stock: dict[str, list[bool]] = {}
    for key, sku in lines:
        told = [row.in_stock for row in entries_for(shelf, key, sku) if row.in_stock is not None]
        stock.setdefault(key, []).append(bool(told) and not any(told))
    return frozenset(key for key, gone in stock.items() if all(gone))


def current_price(
    shelf: Sequence[CatalogEntry], key: str, sku: str | None, currency: str | None
) -> float | None:
    """What a line costs now: by its unit's own row, else the product's, else if all variants cost the same.

    None where the feed tells no price, or tells it in another currency than ``currency`` (None: in any).
    """
    rows = [
        row
        for row in entries_for(shelf, key, sku)
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


def product_for_sku(shelf: Iterable[CatalogEntry], sku: str) -> str | None:
    """Of which product a unit is a variant; None where the feed knows none, or more than one."""
    found = {row.item for row in shelf if row.sku == sku}
    return found.pop() if len(found) == 1 else None
