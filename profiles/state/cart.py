"""Lines of a cart after an event, comparison of items, parsing of lines, and generated cart ids. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from profiles.events import (
    CartViewed,
    CheckoutStarted,
    Event,
    Item,
    ProductAdded,
    ProductRemoved,
    channel_content,
)
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
        case CheckoutStarted() | CartViewed() if "products" in event.model_fields_set:
            # The cart as a whole: an empty list, and a line without pieces, empty it.
            named = [item for item in event.products if item.key]
            listed = [_listed_line(lines, item) for item in named if item.quantity > 0]
            return tuple(listed) if named or not event.products else lines
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
    """Return the lines with a product's new price, if it has one.

    A price that no verified event stated leaves a verified line unchanged.
    """
    if product.price is None:
        return lines
    new = {"price": product.price}
    return tuple(
        line.model_copy(update=new)
        if is_same_line(line, product) and (product.content_verified or not line.content_verified)
        else line
        for line in lines
    )


def _add_item(lines: CartLines, item: Item) -> CartLines:
    if not item.key or item.quantity <= 0:
        return lines
    for position, line in enumerate(lines):
        if is_same_line(line, item):
            total = min(line.quantity + item.quantity, MAX_QUANTITY)
            newer = _newer_line(line, item).model_copy(update={"quantity": total})
            return (*lines[:position], newer, *lines[position + 1 :])
    return (*lines, item)


def _listed_line(lines: CartLines, item: Item) -> Item:
    """Return a line of a list that replaces the cart's lines."""
    if item.content_verified:
        return item
    verified = (line for line in lines if line.content_verified and is_same_line(line, item))
    line = next(verified, None)
    return item if line is None else _newer_line(line, item)


def _newer_line(line: Item, item: Item) -> Item:
    """Return a line as a newer event states it, with the event's quantity.

    Between events that are both verified, or both not, the newer value of each field counts. What no verified
    event stated never replaces, and never completes, what one did.
    """
    if item.content_verified and not line.content_verified:
        return item.model_copy(update={"sku": item.sku or line.sku})
    if line.content_verified and not item.content_verified:
        return line.model_copy(update={"sku": line.sku or item.sku, "quantity": item.quantity})
    newer = {name: value for name, value in item.model_dump().items() if value is not None}
    return line.model_copy(update=newer)


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


def parse_lines(rows: Iterable[object], *, verified: bool | None = None) -> CartLines:
    """Parse rows into lines. A row that names no product is left out.

    ``verified``: whether a channel's rows come from a verified event; None: stored rows, which carry it.
    """
    context = None if verified is None else channel_content(verified=verified)
    return tuple(item for row in rows if (item := _parse_item(row, context)) is not None and item.key)


def _parse_item(row: object, context: Mapping[str, Any] | None) -> Item | None:
    if isinstance(row, dict):
        row = bound_line(row)
    try:
        return Item.model_validate(row, context=context)
    except ValidationError as error:
        if not isinstance(row, Mapping):
            return None
        # A malformed price must not hide a purchase, so only invalid fields are dropped.
        invalid = {fault["loc"][0] for fault in error.errors(include_url=False)}
        valid = {name: value for name, value in row.items() if name not in invalid}
        return Item.model_validate(valid, context=context)


def generated_cart_id(event_id: UUID) -> str:
    """Return the id of a cart that starts with an event without a cart id."""
    return f"{GENERATED_CART_PREFIX}{event_id.hex}"


def is_generated_cart_id(cart_id: str | None) -> bool:
    """Return whether Waypost generated a cart's id."""
    return cart_id is not None and cart_id.startswith(GENERATED_CART_PREFIX)


def generated_event_id(cart_id: str) -> UUID | None:
    """Return the id of the event that a cart began with, if Waypost generated the cart's id from it."""
    try:
        return UUID(cart_id.removeprefix(GENERATED_CART_PREFIX)) if is_generated_cart_id(cart_id) else None
    except ValueError:
        return None
