"""Lines of a cart after an event, comparison of items, parsing of lines, and generated cart ids. Pure."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from pydantic import ValidationError

from profiles.events import CartViewed, CheckoutStarted, Event, Item, ProductAdded, ProductRemoved
from profiles.state.bounds import MAX_QUANTITY, bound_line

CartLines = tuple[Item, ...]

GENERATED_CART_PREFIX = "cart-"
"""Prefix of the cart ids that Waypost generates."""


def apply_cart_event(lines: CartLines, event: Event) -> CartLines:
    """Return the cart's lines after a cart event; unchanged for another event."""
    match event:
        case ProductAdded():
            return _add_item(lines, event.item)
        case ProductRemoved():
            # Most shops send Product Removed without a quantity when they remove the whole line.
            whole = "quantity" not in event.model_fields_set
            return _remove_item(lines, event.item, whole=whole)
        case CheckoutStarted() | CartViewed() if event.products:
            return tuple(item for item in event.products if item.key)
        case _:
            return lines


def covers(bought: Item, other: Item) -> bool:
    """Return whether a purchase of one item suppresses the other: same product, or same sku."""
    if bought.product_id and other.product_id:
        return bought.product_id == other.product_id
    return bool({bought.key, bought.sku} & {other.key, other.sku} - {"", None})


def is_same_line(one: Item, other: Item) -> bool:
    """Return whether two lines are the same product and variant."""
    return one.key == other.key and (one.sku or other.sku) == (other.sku or one.sku)


def with_new_price(lines: CartLines, product: Item) -> CartLines:
    """Return the lines with a product's new price, if it has one."""
    if product.price is None:
        return lines
    new = {"price": product.price}
    return tuple(line.model_copy(update=new) if is_same_line(line, product) else line for line in lines)


def _add_item(lines: CartLines, item: Item) -> CartLines:
    if not item.key:
        return lines
    for position, line in enumerate(lines):
        if is_same_line(line, item):
            newer = {k: v for k, v in item.model_dump().items() if v is not None}
            newer["quantity"] = min(line.quantity + item.quantity, MAX_QUANTITY)
            return (*lines[:position], line.model_copy(update=newer), *lines[position + 1 :])
    return (*lines, item)


def _remove_item(lines: CartLines, item: Item, *, whole: bool) -> CartLines:
    after: list[Item] = []
    for line in lines:
        if is_same_line(line, item):
            left = 0 if whole else line.quantity - item.quantity
            if left > 0:
                after.append(line.model_copy(update={"quantity": left}))
        else:
            after.append(line)
    return tuple(after)


def parse_lines(rows: Iterable[object]) -> CartLines:
    """Parse stored or received rows into lines. A row that names no product is left out."""
    return tuple(item for row in rows if (item := _parse_item(row)) is not None and item.key)


def _parse_item(row: object) -> Item | None:
    if isinstance(row, dict):
        row = bound_line(row)
    try:
        return Item.model_validate(row)
    except ValidationError as error:
        if not isinstance(row, Mapping):
            return None
        # A malformed price must not hide a purchase, so only invalid fields are dropped.
        invalid = {fault["loc"][0] for fault in error.errors(include_url=False)}
        return Item.model_validate({name: value for name, value in row.items() if name not in invalid})


def generated_cart_id(event_id: UUID) -> str:
    """Return the id of a cart that starts with an event without a cart id."""
    return f"{GENERATED_CART_PREFIX}{event_id.hex}"


def is_generated_cart_id(cart_id: str | None) -> bool:
    """Return whether Waypost generated a cart's id."""
    return cart_id is not None and cart_id.startswith(GENERATED_CART_PREFIX)
