"""The catalog: the products of the shop's feed, updated by its events, and lookups of an item's entries.

The newest value of each field counts by event time, whatever the order of arrival.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from profiles.db.sql import encode_jsonb, fetch_as
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

CATALOG_SQL = """ARRAY(SELECT json_build_array(o.item, o.sku, o.bundle, o.in_stock, o.price, o.currency,
    o.category, o.item_group, o.name, o.url, o.image_url, o.verified)::text
  FROM product o WHERE o.item = ANY({0}) OR o.sku = ANY({0}))"""
"""SQL: a text[] of JSON. ``{0}`` is a text[] of product ids and units (sku), none of them empty."""

_MIN_SHARED_LENGTH = 4
"""Characters of a beginning that variants share; a shorter one, such as "The", is no name."""

SELECT_CATALOG = f"SELECT {CATALOG_SQL.format('$1')}"


@dataclass(slots=True)
class ProductState:
    """One product, or one variant, as it is stored."""

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
    """A verified event has reported it. Unverified events of pages no longer change it."""


@dataclass(frozen=True, slots=True)
class ProductChange:
    """A change of a known price or a known stock."""

    item: str
    sku: str
    was_price: float | None
    price: float | None
    was_in_stock: bool | None
    in_stock: bool | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A product, or one variant of it, as the feed last reported it."""

    item: str
    """The product id, else the stock keeping unit."""
    sku: str
    """The variant; empty for the product as a whole."""
    bundle: tuple[str, ...] = ()
    """Products it consists of."""
    in_stock: bool | None = None
    price: float | None = None
    currency: str | None = None
    category: str | None = None
    item_group: str | None = None
    name: str | None = None
    url: str | None = None
    image_url: str | None = None
    verified: bool = False
    """Whether a verified event has described it. Messages show nothing of other entries."""


def is_product_update(stored: StoredEvent) -> bool:
    """Return whether an event is of the product feed: it is about a product, and about no profile."""
    return stored.incoming.type == ProductUpdated.event_name


async def upsert_products(connection: Any, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """Write the products of feed events. Returns the events that name no product.

    Locks products in key order. Called after the events are inserted and before any identifier is locked,
    which is the place of products in the lock order.
    """
    updates = [(stored, event) for stored in events if isinstance(event := stored.event, ProductUpdated)]
    # The variant is empty for a product that is named by its sku alone.
    named = [
        ((key, (event.sku or "") if event.product_id else ""), stored, event)
        for stored, event in updates
        if (key := event.item.key)
    ]
    if named:
        keys = [{"item": item, "sku": sku} for item, sku in sorted({key for key, _, _ in named})]
        stored_products = await fetch_as(connection, ProductState, _LOCK_PRODUCTS, encode_jsonb(keys))
        products = {(product.item, product.sku): product for product in stored_products}
        applied = [apply_product_update(products[key], stored, event) for key, stored, event in named]
        written = [asdict(product) for _, product in sorted(products.items())]
        changes = [asdict(change) for change in applied if change is not None]
        await connection.execute(_UPDATE_PRODUCTS, encode_jsonb(written), encode_jsonb(changes))
    return [stored for stored, event in updates if not event.item.key]


def apply_product_update(
    product: ProductState, stored: StoredEvent, event: ProductUpdated
) -> ProductChange | None:
    """Apply one event to a product. Returns the change of price or stock, or None. Pure but for ``product``.

    Only a known value can change, and a price in another currency is no change. An event older than 72 hours
    updates the product and returns None. An unverified event is ignored once a verified one has reported
    the product. The first verified event overrides all earlier values, whatever their times; what it does
    not state is unknown, since messages may show the rest.
    """
    if not stored.incoming.verified and product.verified:
        return None
    if stored.incoming.verified and not product.verified:
        product.verified = True
        product.changed_at = product.priced_at = product.stocked_at = None
        product.name = product.url = product.image_url = product.category = product.item_group = None
        product.price = product.currency = product.in_stock = None
        product.bundle = []
    # A feed's clock that runs ahead must not outdo every later event.
    time = min(stored.incoming.time, stored.at)
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
    if not (priced or stocked) or stored.at - stored.incoming.time > MAX_EVENT_AGE:
        return None
    prices = (was_price, product.price) if priced else (None, None)
    stocks = (was_in_stock, product.in_stock) if stocked else (None, None)
    return ProductChange(product.item, product.sku, *prices, *stocks, stored.at)


def to_entries(rows: Iterable[Sequence[Any]]) -> tuple[CatalogEntry, ...]:
    """Return the rows that ``CATALOG_SQL`` read, as values, in the order of item and unit."""
    return tuple(
        CatalogEntry(item, sku, tuple(bundle), *more)
        for item, sku, bundle, *more in sorted(rows, key=lambda row: (row[0], row[1]))
    )


def catalog_keys(lines: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return the product ids and units by which lines (key, sku) are found in the catalog."""
    return sorted({key for line in lines for key in line if key})


def entries_for(shelf: Iterable[CatalogEntry], key: str, sku: str | None) -> list[CatalogEntry]:
    """Return the entries of one line: of its unit and its product; of every variant, where it names none."""
    return [
        row
        for row in shelf
        if row.item == sku
        or (row.item == key and (not sku or row.sku in ("", sku)))
        or (key == sku and row.sku == sku)
    ]


class CatalogIndex:
    """The entries of many lines, looked up by product and unit, so that a long order costs linear time."""

    def __init__(self, shelf: Iterable[CatalogEntry]) -> None:
        self._by_item: dict[str, list[CatalogEntry]] = {}
        self._by_sku: dict[str, list[CatalogEntry]] = {}
        self._by_pair: dict[tuple[str, str], list[CatalogEntry]] = {}
        for row in shelf:
            self._by_item.setdefault(row.item, []).append(row)
            self._by_sku.setdefault(row.sku, []).append(row)
            self._by_pair.setdefault((row.item, row.sku), []).append(row)

    def entries_for(self, key: str, sku: str | None) -> list[CatalogEntry]:
        """Return ``entries_for`` of all entries."""
        found = list(self._by_item.get(sku, ())) if sku else []
        if sku:
            found += [*self._by_pair.get((key, ""), ()), *self._by_pair.get((key, sku), ())]
        else:
            found += self._by_item.get(key, ())
        if sku and key == sku:
            found += self._by_sku.get(sku, ())
        return entries_for(sorted(set(found), key=lambda row: (row.item, row.sku)), key, sku)

    def product_for_sku(self, sku: str) -> str | None:
        """Return ``product_for_sku`` of all entries."""
        return product_for_sku(self._by_sku.get(sku, ()), sku)


def sold_out(shelf: Sequence[CatalogEntry], lines: Iterable[tuple[str, str | None]]) -> frozenset[str]:
    """Return the keys of which no line can be bought: the stock of each is known, and there is none."""
    stock: dict[str, list[bool]] = {}
    for key, sku in lines:
        in_stock = [row.in_stock for row in entries_for(shelf, key, sku) if row.in_stock is not None]
        stock.setdefault(key, []).append(bool(in_stock) and not any(in_stock))
    return frozenset(key for key, lines_sold_out in stock.items() if all(lines_sold_out))


def current_price(
    shelf: Sequence[CatalogEntry], key: str, sku: str | None, currency: str | None
) -> float | None:
    """Return what a line costs now: by its unit, else by its product, else if all variants cost the same.

    None where the feed has no price, or has it in another currency than ``currency`` (None: any currency).
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


def described_item(shelf: Iterable[CatalogEntry], key: str, sku: str | None) -> CatalogEntry | None:
    """Return what the shop's feed says of an item, by verified events only; None where it does not know it.

    Each text is that of the item's unit, else of its product, else what all variants of the product state; of
    names that differ, the words with which all of them begin. Where shops send the unit as the product's id,
    it is found as a unit. For its price see ``current_price``.
    """
    verified = [row for row in shelf if row.verified]
    by_key = entries_for(verified, key, sku)
    of_unit = [row for row in by_key if sku and sku in (row.sku, row.item)]
    if not by_key and product_for_sku(verified, key):
        of_unit = [row for row in verified if row.sku == key]
    of_product = [row for row in by_key if not row.sku]
    # What several units share is true of one that the feed does not know; one alone may be another colour.
    units = [row for row in verified if row.item == key]
    variants = by_key or of_unit or (units if len(units) > 1 else [])
    if not variants:
        return None
    texts: dict[str, Any] = {}
    for name in ("name", "category", "url", "image_url"):
        stated = [text for row in (*of_unit, *of_product) if (text := getattr(row, name))]
        every = {text for row in variants if (text := getattr(row, name))}
        shared = every.pop() if len(every) == 1 else _shared_beginning(every) if name == "name" else None
        texts[name] = stated[0] if stated else shared
    return replace((of_unit or of_product or variants)[0], **texts)


def _shared_beginning(names: Iterable[str]) -> str | None:
    """Return the words with which all names begin: "Aria lamp" of "Aria lamp – brass" and "… – steel"."""
    by_position = zip(*(name.split() for name in names), strict=False)
    shared = [words[0] for words in takewhile(lambda words: len(set(words)) == 1, by_position)]
    text = " ".join(shared).strip(" -–—,;:/|(")
    return text if len(text) >= _MIN_SHARED_LENGTH else None


def product_for_sku(shelf: Iterable[CatalogEntry], sku: str) -> str | None:
    """Return the product of which a unit is a variant; None where the feed has none, or more than one."""
    items = {row.item for row in shelf if row.sku == sku}
    return items.pop() if len(items) == 1 else None
