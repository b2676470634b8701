"""What an order changes: purchases, suppressions and carts; and what undoing it lifts. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from profiles.bought import lines_of, products_of, takes
from profiles.changes import Changes, Row
from profiles.person import Person
from profiles.taken import Bought, Taken

UNDOING = ("Order Refunded", "Order Cancelled")


def purchase(person: Person, taken: Taken, own_cart: str | None, changes: Changes) -> tuple[str, ...]:
    """Keep what was bought; it suppresses from COMMIT, as long and as far as ``taken.bought`` says.

    Returns the ids of the carts it changed.
    """
    bought = lines_of(taken)
    order_id = _text(taken.incoming.properties.get("order_id"))
    _keep(person, taken, bought, order_id, changes)
    if not bought or _unnamed(taken.incoming.properties, bought):
        changes.problem(taken.event_id, "", "a product without product_id and sku cannot be suppressed")
    for undoing, verified in person.undone_orders:
        # The refund came before its purchase.
        if order_id is not None and _text(undoing.get("order_id")) == order_id:
            _lift(person, taken, undoing, order_id, changes, verified=verified, only_this=True)
    return _shrink_carts(person, taken, own_cart, bought, changes)


def take_out(person: Person, taken: Taken, changes: Changes) -> tuple[str, ...]:
    """What somebody bought whose order also names this person, without the two being one.

    It is not promoted to them either, for it may have been them; the purchase itself is not theirs. Returns
    the ids of the carts it changed.
    """
    bought = lines_of(taken)
    _suppress(person, taken, bought, _text(taken.incoming.properties.get("order_id")), changes)
    person.reach(taken.place)
    return _shrink_carts(person, taken, None, bought, changes)


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


def _unnamed(properties: Mapping[str, Any], items: Sequence[object]) -> bool:
    products = properties.get("products")
    return isinstance(products, list) and len(items) < len(products)


def _rows(person: Person, taken: Taken, bought: Sequence[Bought], order_id: str | None) -> list[Row]:
    """What a purchase and a suppression have in common, a row an item."""
    return [
        {
            "event_id": taken.event_id,
            "line": line,
            "profile_id": person.profile_id,
            "order_id": order_id,
            "item": one.item.key,
            "sku": one.item.sku,
        }
        for line, one in enumerate(bought)
    ]


def _suppress(
    person: Person, taken: Taken, bought: Sequence[Bought], order_id: str | None, changes: Changes
) -> None:
    for row, one in zip(_rows(person, taken, bought, order_id), bought, strict=True):
        reach = {"until": one.until, "scope": one.scope, "of": one.of, "parts": list(one.parts)}
        changes.inserts["suppression"].append({**row, **reach, "reason": "purchased"})


def _keep(
    person: Person, taken: Taken, bought: Sequence[Bought], order_id: str | None, changes: Changes
) -> None:
    _suppress(person, taken, bought, order_id, changes)
    for row, one in zip(_rows(person, taken, bought, order_id), bought, strict=True):
        item = one.item
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
    for item in items:
        told = item.quantity if "quantity" in item.model_fields_set else None
        changes.undone.append({**whole, "item": item.key, "sku": item.sku, "quantity": told})
    if not items and not _unnamed(undoing, items):
        changes.undone.append(whole)


def _shrink_carts(
    person: Person, taken: Taken, own_cart: str | None, bought: Sequence[Bought], changes: Changes
) -> tuple[str, ...]:
    changed: list[str] = []
    for cart in sorted(person.carts.values(), key=lambda cart: cart.cart_id):
        left = tuple(line for line in cart.lines if not any(takes(one, line) for one in bought))
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
