"""Lines of carts and orders, in the forms that systems send them. Pure.

A list may stand under another name, inside another object, as an object of numbered lines, as one line, or as
JSON in a text. The id of a product may stand under the names that shops, tag managers and pixels use.
"""

from collections.abc import Mapping
from typing import Any

import orjson

CONTAINERS = (
    *("products", "items", "line_items", "lineItems", "contents", "content", "order_items", "orderItems"),
    *("cart_items", "cartItems", "basket_items", "order_lines", "orderLines", "lines", "product_list"),
    *("productList", "order_products", "basket", "articles", "Items", "Products", "LineItems", "positions"),
    *("product_ids", "productIds", "content_ids", "contentIds", "skus", "product", "item"),
)
"""Names of the list of products, in the order in which they are looked for."""

_WRAPPERS = (
    "ecommerce",
    "purchase",
    "order",
    "cart",
    "checkout",
    "data",
    "transaction",
    "Order",
    "Cart",
    "add",
)
"""Names of objects in which the list may stand, one in the other."""

_INNER_LISTS = (
    *("nodes", "edges", "items", "products", "item", "product", "line_item", "lineItem", "line", "data"),
    *("line_items", "lineItems", "value", "Item", "Product"),
)
"""Names under which an object that is no line has its lines, as GraphQL, and XML as JSON, have them."""

PRODUCT_ID_ALIASES = (
    *("productId", "productID", "ProductID", "ProductId", "item_id", "itemId", "product_code", "productCode"),
    *("content_id", "contentId", "item_number", "article_number", "articleNumber", "prod_id", "Product ID"),
)

SKU_ALIASES = (
    *("SKU", "Sku", "variant_id", "variantId", "variantID", "VariantID", "variation_id", "variationId"),
    *("item_sku", "product_sku", "productSku", "variant_sku", "merchandiseId", "merchandise_id", "SKU ID"),
)

_LAST_ID_ALIASES = ("id", "ID", "Id", "gtin", "ean", "barcode", "upc", "mpn")
"""Names that stand for the product only where nothing else does: ``id`` may also be that of the line."""

_NESTED_PRODUCTS = ("product", "item", "variant", "merchandise", "node", "article")
"""Names of the object in a line that describes its product."""

FIELD_ALIASES = {
    "quantity": ("qty", "Quantity", "Qty", "QTY", "item_quantity", "product_quantity"),
    "price": ("item_price", "itemPrice", "unit_price", "unitPrice", "product_price", "Price", "ItemPrice"),
    "name": ("item_name", "itemName", "product_name", "productName", "title", "ProductName", "Name"),
    "variant": ("item_variant", "variant_title", "variantTitle"),
    "category": ("item_category", "product_category", "Category"),
    "brand": ("item_brand", "vendor", "Brand"),
    "currency": ("currency_code", "currencyCode"),
}
"""Field of a line → other names for it, which are read where the field itself is missing."""

ALIAS_NAMES = frozenset(
    (
        *PRODUCT_ID_ALIASES,
        *SKU_ALIASES,
        *_LAST_ID_ALIASES,
        *_NESTED_PRODUCTS,
        *(alias for aliases in FIELD_ALIASES.values() for alias in aliases),
    )
)

_ID_NAMES = frozenset(("product_id", "sku", *PRODUCT_ID_ALIASES, *SKU_ALIASES, *_LAST_ID_ALIASES))

_MAX_JSON_LENGTH = 60_000
"""Characters of a list that is sent as a text."""

_MAX_DEPTH = 4


def find_lines(properties: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return (name, value) of the first list of products that is not empty; of an empty one, if all are.

    None if no name of one occurs. A name that holds null holds nothing. The name of a list inside an object
    is the path to it, with slashes.
    """
    return _find(properties, "", 0)


def _find(properties: Mapping[str, Any], prefix: str, depth: int) -> tuple[str, Any] | None:
    empty: tuple[str, Any] | None = None
    for name in CONTAINERS:
        value = properties.get(name)
        if value is None or (name != "products" and not _may_hold_lines(value)):
            continue
        if value not in ([], {}, ""):
            return f"{prefix}{name}", value
        empty = empty or (f"{prefix}{name}", value)
    if depth < _MAX_DEPTH:
        for name in _WRAPPERS:
            inner = properties.get(name)
            if isinstance(inner, dict) and (found := _find(inner, f"{prefix}{name}/", depth + 1)):
                if found[1] not in ([], {}, ""):
                    return found
                empty = empty or found
    return empty


def _may_hold_lines(value: Any) -> bool:
    # The number of the items, or the name of the product, may stand under these names too.
    return isinstance(value, list | dict) or (isinstance(value, str) and value.lstrip()[:1] in ("[", "{"))


def to_lines(value: Any, depth: int = 0) -> list[Any] | None:
    """Return the lines that a value holds, whatever its form; None where it cannot be read.

    A line that is no object stays as it is.
    """
    if isinstance(value, list):
        if not any(isinstance(each, list) or (isinstance(each, dict) and "node" in each) for each in value):
            return value
        # A list in a list, and GraphQL's edges.
        flat = [each["node"] if isinstance(each, dict) and "node" in each else each for each in value]
        return flat[0] if len(flat) == 1 and isinstance(flat[0], list) else flat
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, str):
        return _lines_from_text(value, depth)
    if not isinstance(value, dict):
        return None
    if not value:
        return []
    if any(name in value for name in _ID_NAMES):
        return [value]
    for name in _INNER_LISTS:
        inner = value.get(name)
        if isinstance(inner, list) or (isinstance(inner, dict) and len(value) == 1):
            return to_lines(inner, depth + 1)
    if all(isinstance(each, dict) for each in value.values()):
        keyed = sorted(value.items(), key=lambda pair: (not pair[0].isdecimal(), _number(pair[0])))
        return [
            each if _has_id(each) or key.isdecimal() else {"product_id": key, **each} for key, each in keyed
        ]
    if all(type(each) in (int, float) for each in value.values()):
        # Product ids with their numbers of pieces.
        return [{"product_id": key, "quantity": count} for key, count in value.items()]
    return [value] if any(name in value for name in _NESTED_PRODUCTS) else None


def _number(key: str) -> int:
    return int(key) if key.isdecimal() and len(key) < 10 else 0


def _has_id(line: Mapping[str, Any]) -> bool:
    return any(name in line for name in (*_ID_NAMES, *_NESTED_PRODUCTS))


def _lines_from_text(text: str, depth: int) -> list[Any] | None:
    bare = text.strip()
    if not bare:
        return []
    if bare[0] not in '[{"' or len(bare) > _MAX_JSON_LENGTH:
        return None
    try:
        parsed = orjson.loads(bare)
    except orjson.JSONDecodeError:
        return None
    # JSON in JSON is a text again.
    return to_lines(parsed, depth + 1)


def id_to_line(value: Any, name: str) -> Any:
    """Return an id in a list such as ``product_ids`` or ``skus`` as a line of one piece."""
    is_id = isinstance(value, str | int | float) and not isinstance(value, bool)
    return {"sku" if name.endswith("skus") else "product_id": value} if is_id else value


def is_list_of_ids(name: str) -> bool:
    """Return whether ``find_lines`` found a list that holds ids in place of lines."""
    return name.endswith(("skus", "_ids", "Ids"))


def read_line(line: Any, *, is_whole_event: bool = False) -> Any:
    """Return a line with its fields under the names of ``Item``; the same object where it has them.

    ``is_whole_event``: the properties of an event with one product, of which ``id`` need not be the product.
    Anything that is no object is returned as it is: it cannot be read.
    """
    if not isinstance(line, dict):
        return line
    if ALIAS_NAMES.isdisjoint(line):
        return line
    read = dict(line)
    for name, aliases in FIELD_ALIASES.items():
        if read.get(name) is None:
            _take(read, name, line, aliases)
    has_product, has_unit = _has(read, "product_id"), _has(read, "sku")
    if not has_product:
        has_product = _take(read, "product_id", line, PRODUCT_ID_ALIASES)
    if not has_unit:
        has_unit = _take(read, "sku", line, SKU_ALIASES)
    for name in _NESTED_PRODUCTS:
        inner = line.get(name)
        if not isinstance(inner, dict):
            continue
        nested = read_line(inner)
        for field in ("sku",) if name in ("variant", "merchandise") and not has_unit else ():
            # The id of a variant is that of the unit.
            has_unit = _take(read, field, nested, ("sku", "product_id"))
            deeper = inner.get("product")
            nested = read_line(deeper) if isinstance(deeper, dict) else {}
        if not has_product:
            has_product = _take(read, "product_id", nested, ("product_id", "sku"))
        for field in ("name", "price", "category", "brand"):
            if read.get(field) is None:
                _take(read, field, nested, (field,))
        if read.get(name) is inner:
            del read[name]
    if not has_product and not has_unit and not is_whole_event:
        _take(read, "product_id", line, _LAST_ID_ALIASES)
    return read


def _has(line: Mapping[str, Any], name: str) -> bool:
    return line.get(name) not in (None, "")


def _take(into: dict[str, Any], name: str, line: Mapping[str, Any], aliases: tuple[str, ...]) -> bool:
    """Set a field from the first of its aliases that has a value. Return whether there was one."""
    value = next((line[alias] for alias in aliases if line.get(alias) not in (None, "")), None)
    if value is not None:
        into[name] = value
    return value is not None
