"""Suggestions: items that a profile viewed and has not bought, else items bought together with its own."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.commerce.catalog import SELECT_CATALOG, catalog_keys, described_item, to_entries
from profiles.commerce.orders import is_same_item
from profiles.db.locks import SELECT_RUN_PROFILE
from profiles.events import Item
from profiles.state.cart import parse_lines
from profiles.state.event_records import OrderLine

_SELECT_VIEWED_PRODUCTS = """
SELECT properties::text AS row, verified FROM event
WHERE profile_id = $1 AND type IN ('Product Viewed', 'Product Added') AND at <= $2
  AND superseded_by IS NULL
ORDER BY at DESC, event_id DESC LIMIT 50
"""

_SELECT_BOUGHT_TOGETHER = """
SELECT jsonb_build_object('product_id', other.item, 'sku', min(other.sku))::text AS row, false AS verified
FROM purchase own JOIN purchase same ON same.item = own.item AND same.profile_id <> own.profile_id
JOIN purchase other ON other.event_id = same.event_id AND other.item <> own.item
WHERE own.profile_id = $1 GROUP BY other.item ORDER BY count(*) DESC, other.item LIMIT 50
"""

_SELECT_SUPPRESSIONS = """
SELECT item, sku, scope, of, parts FROM suppression
WHERE profile_id = $1 AND lifted_at IS NULL AND (until IS NULL OR until > $2)
"""


async def suggest_items(connection: Any, run_id: UUID, *, limit: int, at: datetime) -> tuple[Item, ...]:
    """Return at most ``limit`` items, the best first. The gate checks them before a message is sent.

    Only items with a name that a message may show: one that a verified event of the profile or the shop's
    feed stated. Of other people's orders no words are taken: identity tokens make a customer's own events
    verified.
    """
    profile_id = await connection.fetchval(SELECT_RUN_PROFILE, run_id)
    bought = [_to_order_line(row) for row in await connection.fetch(_SELECT_SUPPRESSIONS, profile_id, at)]
    found: dict[str, Item] = {}
    for query, arguments in (
        (_SELECT_VIEWED_PRODUCTS, (profile_id, at)),
        (_SELECT_BOUGHT_TOGETHER, (profile_id,)),
    ):
        if len(found) >= limit:
            break
        rows = await connection.fetch(query, *arguments)
        items = [
            item for row in rows for item in parse_lines([orjson.loads(row["row"])], verified=row["verified"])
        ]
        names = catalog_keys((item.key, item.sku) for item in items)
        shelf = to_entries(map(orjson.loads, await connection.fetchval(SELECT_CATALOG, names)))
        for item in items:
            known = described_item(shelf, item.key, item.sku)
            has_name = bool(item.content_verified and item.name) or bool(known and known.name)
            if has_name and not any(_covers_item(line, item) for line in bought):
                found.setdefault(item.key, item.model_copy(update={"quantity": 1}))
    return tuple(found.values())[:limit]


def _to_order_line(row: Any) -> OrderLine:
    # A receipt with the unit alone names no product.
    product = None if row["item"] == row["sku"] else row["item"]
    item = Item(product_id=product, sku=row["sku"])
    return OrderLine(item, row["scope"], row["of"], parts=tuple(row["parts"]))


def _covers_item(bought: OrderLine, item: Item) -> bool:
    """Return whether a purchase covers an item, by the item's own fields; the gate reads the catalog too."""
    kind = {"category": item.category, "group": item.group}.get(bought.scope)
    alike = bool(kind and bought.of) and str(kind).casefold() == str(bought.of).casefold()
    return alike or item.key in bought.parts or is_same_item(bought, item)
