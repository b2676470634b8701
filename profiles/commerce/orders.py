"""What an order changes: purchases, suppressions and carts; and what undoing it lifts. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from profiles.commerce.catalog import SHELF, OnShelf, about, names_of, product_of, shelf_of
from profiles.events import Item
from profiles.state.cart import as_items, covers
from profiles.state.event_records import Bought, Taken
from profiles.state.profile_state import Person
from profiles.state.unit_of_work import Changes, Row

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


ORDER = "Order Completed"

VARIANT, PRODUCT = "variant", "product"

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when a purchase suppresses that does not: before the now of any run, whatever its clock."""

_SHELF = f"SELECT {SHELF.format('$1')}"


class ItemRule(Protocol):
    """What the shop says of a purchase."""

    @property
    def window(self) -> timedelta | None:
        """How long it suppresses, from its event time; zero: not at all; None: for good."""

    @property
    def scope(self) -> str:
        """variant, product, group or category."""


Asked = Callable[[str | None, str | None, str | None, str | None], ItemRule]
"""(product, sku, category, group) of what was bought → the rule that fits it."""


@dataclass(frozen=True, slots=True)
class PlainRule:
    """One window for every product."""

    window: timedelta | None
    scope: str = PRODUCT


async def read_orders(connection: Any, takens: Sequence[Taken], rule_of: Asked) -> list[Taken]:
    """The events, the orders among them with their lines read; one statement where there is any order.

    Asks the feed inside the caller's transaction, so that what a receipt calls by its unit alone is known as
    the product that the feed has it as.
    """
    lines = [item for taken in takens if taken.incoming.type == ORDER
             for item in products_of(taken.incoming.properties)]  # fmt: skip
    if not lines:
        return list(takens)
    names = names_of((item.key, item.sku) for item in lines)
    shelf = shelf_of(map(orjson.loads, await connection.fetchval(_SHELF, names)))
    return [
        replace(taken, bought=read(taken, shelf, rule_of)) if taken.incoming.type == ORDER else taken
        for taken in takens
    ]


def read(taken: Taken, shelf: Sequence[OnShelf], rule_of: Asked) -> tuple[Bought, ...]:
    """An order's lines as the shop's rules have them. Pure but for ``rule_of``, which is too."""
    return tuple(
        _line(item, shelf, rule_of, taken.incoming.time) for item in products_of(taken.incoming.properties)
    )


def lines_of(taken: Taken) -> tuple[Bought, ...]:
    """An order's lines as they were read; as they stand where nobody has."""
    if taken.bought is not None:
        return taken.bought
    return tuple(Bought(item) for item in products_of(taken.incoming.properties))


def read_again(properties: Mapping[str, Any], kept: Mapping[str, Sequence[str | None]]) -> tuple[Bought, ...]:
    """A past order's lines as they were read when it came in. ``kept``: line → item and scope."""
    again = []
    for line, item in enumerate(products_of(properties)):
        key, scope = kept.get(str(line), (None, None))
        if key and not item.product_id and key != item.sku:
            item = item.model_copy(update={"product_id": key})
        again.append(Bought(item, scope or PRODUCT))
    return tuple(again)


def products_of(properties: Mapping[str, Any]) -> tuple[Item, ...]:
    """The products of an order event; one flat product counts as well."""
    products = properties.get("products")
    return as_items(products if isinstance(products, list) else [properties])


def takes(bought: Bought, line: Item) -> bool:
    """Whether a line of a cart is what was bought: any variant of it, but where the shop tells them apart."""
    if bought.scope == VARIANT and bought.item.sku and line.sku:
        return bought.item.sku == line.sku
    return covers(bought.item, line)


def _line(item: Item, shelf: Sequence[OnShelf], rule_of: Asked, time: datetime) -> Bought:
    if not item.product_id and item.sku and (product := product_of(shelf, item.sku)):
        item = item.model_copy(update={"product_id": product})
    told = sorted(about(shelf, item.key, item.sku), key=lambda row: (row.sku != item.sku, row.sku != ""))
    category = item.category or next((row.category for row in told if row.category), None)
    group = item.group or next((row.item_group for row in told if row.item_group), None)
    parts = next((row.bundle for row in told if row.bundle), ())
    rule = rule_of(item.product_id, item.sku, category, group)
    of = {"variant": item.sku, "group": group, "category": category}.get(rule.scope)
    # What cannot be told apart counts as the product.
    scope = str(rule.scope) if of else PRODUCT
    return Bought(item, scope, of, _until(time, rule.window), parts)


def _until(time: datetime, window: timedelta | None) -> datetime | None:
    if window == timedelta():
        return NEVER
    try:
        return None if window is None else time + window
    except OverflowError:
        # A window that runs past the calendar is for good.
        return None
