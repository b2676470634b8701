"""What an order changes: purchases, suppressions, carts and audiences; and what undoing it lifts. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from profiles.carts import as_items, covers, without
from profiles.changes import Changes, Row
from profiles.events import Item
from profiles.person import Person
from profiles.taken import Taken

UNDOING = ("Order Refunded", "Order Cancelled")


def purchase(
    person: Person, taken: Taken, own_cart: str | None, changes: Changes, window: timedelta | None
) -> tuple[str, ...]:
    """Keep what was bought; it suppresses from COMMIT until its event time plus ``window`` (None: for good).

    Returns the ids of the carts it changed.
    """
    bought = products_of(taken.incoming.properties)
    order_id = _text(taken.incoming.properties.get("order_id"))
    _keep(person, taken, bought, order_id, _until(taken.incoming.time, window), changes)
    if not bought or _unnamed(taken.incoming.properties, bought):
        changes.problem(taken.event_id, "", "a product without product_id and sku cannot be suppressed")
    for undoing, verified in person.undone_orders:
        # The refund came before its purchase.
        if order_id is not None and _text(undoing.get("order_id")) == order_id:
            _lift(person, taken, undoing, order_id, changes, verified=verified, only_this=True)
    return _take_out(person, taken, own_cart, bought, changes)


def take_out(
    person: Person, taken: Taken, changes: Changes, window: timedelta | None = None
) -> tuple[str, ...]:
    """What somebody bought whose order also names this person, without the two being one.

    It is not promoted to them either, for it may have been them; the purchase itself is not theirs. Returns
    the ids of the carts it changed.
    """
    bought = products_of(taken.incoming.properties)
    order_id = _text(taken.incoming.properties.get("order_id"))
    until = _until(taken.incoming.time, window)
    for row in _rows(person, taken, bought, order_id):
        changes.inserts["suppression"].append({**row, "until": until, "reason": "purchased"})
    person.reach(taken.place)
    return _take_out(person, taken, None, bought, changes)


def _take_out(
    person: Person, taken: Taken, own_cart: str | None, bought: Sequence[Item], changes: Changes
) -> tuple[str, ...]:
    places = [(member, Item(product_id=member.item, sku=member.sku)) for member in person.audiences]
    leaving = [member for member, place in places if any(covers(item, place) for item in bought)]
    changes.leave(person, leaving, "purchased")
    return _shrink_carts(person, taken, own_cart, bought, changes)


def undo(person: Person, taken: Taken, changes: Changes) -> None:
    """A refund or a cancellation lifts suppressions: the listed products', or the whole order's.

    An unverified one undoes no verified purchase: nobody is promoted what they own because a page said so.
    """
    order_id = _text(taken.incoming.properties.get("order_id"))
    if order_id is None:
        changes.problem(taken.event_id, "", "order_id is missing: no purchase could be undone")
        return
    if _unnamed(taken.incoming.properties, products_of(taken.incoming.properties)):
        changes.problem(
            taken.event_id, "", "a product without product_id and sku cannot be found in the order"
        )
    _lift(person, taken, taken.incoming.properties, order_id, changes, verified=taken.incoming.verified)


def products_of(properties: Mapping[str, Any]) -> tuple[Item, ...]:
    """The products of an order event; one flat product counts as well."""
    products = properties.get("products")
    return as_items(products if isinstance(products, list) else [properties])


def _unnamed(properties: Mapping[str, Any], items: Sequence[Item]) -> bool:
    products = properties.get("products")
    return isinstance(products, list) and len(items) < len(products)


def _until(time: datetime, window: timedelta | None) -> datetime | None:
    try:
        return None if window is None else time + window
    except OverflowError:
        # A window that runs past the calendar is for good.
        return None


def _rows(person: Person, taken: Taken, bought: Sequence[Item], order_id: str | None) -> list[Row]:
    """What a purchase and a suppression have in common, a row an item."""
    return [
        {
            "event_id": taken.event_id,
            "line": line,
            "profile_id": person.profile_id,
            "order_id": order_id,
            "item": item.key,
            "sku": item.sku,
        }
        for line, item in enumerate(bought)
    ]


def _keep(
    person: Person,
    taken: Taken,
    bought: Sequence[Item],
    order_id: str | None,
    until: datetime | None,
    changes: Changes,
) -> None:
    rows = _rows(person, taken, bought, order_id)
    for row, item in zip(rows, bought, strict=True):
        changes.inserts["suppression"].append({**row, "until": until, "reason": "purchased"})
        row |= {"name": item.name, "price": item.price, "quantity": item.quantity, "returned": 0}
        row |= {"channel": taken.incoming.channel, "time": taken.incoming.time, "at": taken.at}
        changes.inserts["purchase"].append(row)


def _lift(
    person: Person,
    taken: Taken,
    undoing: Mapping[str, Any],
    order_id: str,
    changes: Changes,
    *,
    verified: bool,
    only_this: bool = False,
) -> None:
    whole: dict[str, Any] = {"profile_id": person.profile_id, "order_id": order_id, "at": taken.at}
    whole["verified"] = verified
    if only_this:
        whole["event_id"] = taken.event_id
    items = products_of(undoing)
    changes.undone.extend(
        {**whole, "item": item.key, "sku": item.sku, "quantity": item.quantity} for item in items
    )
    if not items and not _unnamed(undoing, items):
        changes.undone.append(whole)


def _shrink_carts(
    person: Person, taken: Taken, own_cart: str | None, bought: Sequence[Item], changes: Changes
) -> tuple[str, ...]:
    changed: list[str] = []
    for cart in sorted(person.carts.values(), key=lambda cart: cart.cart_id):
        left = without(cart.lines, bought)
        if cart.closed_at is not None:
            continue
        if left == cart.lines and cart.cart_id != own_cart:
            continue
        cart.lines = left
        cart.closed_at = None if left else taken.at
        changed.append(cart.cart_id)
        changes.keep_cart(person, cart)
    return tuple(changed)


def _text(value: object) -> str | None:
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    return None
