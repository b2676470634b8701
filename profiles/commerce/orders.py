"""What an order changes: purchases, suppressions and carts; and what undoing it lifts. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from profiles.commerce.catalog import (
    CATALOG_SQL,
    CatalogEntry,
    catalog_keys,
    entries_for,
    product_for_sku,
    to_entries,
)
from profiles.events import Item
from profiles.state.cart import covers, parse_lines
from profiles.state.event_records import OrderLine, StoredEvent
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import Row, UnitOfWork

REVERSAL_EVENT_TYPES = ("Order Refunded", "Order Cancelled")


def apply_purchase(
    person: ProfileState, taken: StoredEvent, own_cart: str | None, changes: UnitOfWork
) -> tuple[str, ...]:
    """Keep what was bought; it suppresses from COMMIT, as long and as far as ``taken.bought`` says.

    Returns the ids of the carts it changed.
    """
    bought = order_lines(taken)
    order_id = _text_or_none(taken.incoming.properties.get("order_id"))
    _add_purchases(person, taken, bought, order_id, changes)
    if not bought or _has_unidentified_products(taken.incoming.properties, bought):
        changes.add_problem(taken.event_id, "", "a product without product_id and sku cannot be suppressed")
    for undoing, verified in person.refunds:
        # The refund came before its purchase.
        if order_id is not None and _text_or_none(undoing.get("order_id")) == order_id:
            _add_returns(person, taken, undoing, order_id, changes, verified=verified, only_this=True)
    return _remove_from_carts(person, taken, own_cart, bought, changes)


def apply_shared_purchase(person: ProfileState, taken: StoredEvent, changes: UnitOfWork) -> tuple[str, ...]:
    """What somebody bought whose order also names this person, without the two being one.

    It is not promoted to them either, for it may have been them; the purchase itself is not theirs. Returns
    the ids of the carts it changed.
    """
    bought = order_lines(taken)
    _add_suppressions(
        person, taken, bought, _text_or_none(taken.incoming.properties.get("order_id")), changes
    )
    person.advance_cart_position(taken.sort_key)
    return _remove_from_carts(person, taken, None, bought, changes)


def apply_refund(person: ProfileState, taken: StoredEvent, changes: UnitOfWork) -> None:
    """A refund or a cancellation lifts suppressions: the listed products', or the whole order's.

    An unverified one undoes no verified purchase: nobody is promoted what they own because a page said so.
    """
    order_id = _text_or_none(taken.incoming.properties.get("order_id"))
    if order_id is None:
        changes.add_problem(taken.event_id, "", "order_id is missing: no purchase could be undone")
        return
    if _has_unidentified_products(taken.incoming.properties, ordered_items(taken.incoming.properties)):
        changes.add_problem(
            taken.event_id, "", "a product without product_id and sku cannot be found in the order"
        )
    _add_returns(
        person, taken, taken.incoming.properties, order_id, changes, verified=taken.incoming.verified
    )


def _has_unidentified_products(properties: Mapping[str, Any], items: Sequence[object]) -> bool:
    products = properties.get("products")
    return isinstance(products, list) and len(items) < len(products)


def _line_rows(
    person: ProfileState, taken: StoredEvent, bought: Sequence[OrderLine], order_id: str | None
) -> list[Row]:
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


def _add_suppressions(
    person: ProfileState,
    taken: StoredEvent,
    bought: Sequence[OrderLine],
    order_id: str | None,
    changes: UnitOfWork,
) -> None:
    for row, one in zip(_line_rows(person, taken, bought, order_id), bought, strict=True):
        reach = {"until": one.until, "scope": one.scope, "of": one.of, "parts": list(one.parts)}
        changes.inserts["suppression"].append({**row, **reach, "reason": "purchased"})


def _add_purchases(
    person: ProfileState,
    taken: StoredEvent,
    bought: Sequence[OrderLine],
    order_id: str | None,
    changes: UnitOfWork,
) -> None:
    _add_suppressions(person, taken, bought, order_id, changes)
    for row, one in zip(_line_rows(person, taken, bought, order_id), bought, strict=True):
        item = one.item
        row |= {"name": item.name, "price": item.price, "quantity": item.quantity, "returned": 0}
        row |= {"channel": taken.incoming.channel, "time": taken.incoming.time, "at": taken.at}
        changes.inserts["purchase"].append(row)


def _add_returns(
    person: ProfileState,
    taken: StoredEvent,
    reversal: Mapping[str, Any],
    order_id: str,
    changes: UnitOfWork,
    *,
    verified: bool,
    only_this: bool = False,
) -> None:
    whole: dict[str, Any] = {"profile_id": person.profile_id, "order_id": order_id, "at": taken.at}
    whole["verified"] = verified
    if only_this:
        whole["event_id"] = taken.event_id
    items = ordered_items(reversal)
    for item in items:
        told = item.quantity if "quantity" in item.model_fields_set else None
        changes.returns.append({**whole, "item": item.key, "sku": item.sku, "quantity": told})
    if not items and not _has_unidentified_products(reversal, items):
        changes.returns.append(whole)


def _remove_from_carts(
    person: ProfileState,
    taken: StoredEvent,
    own_cart: str | None,
    bought: Sequence[OrderLine],
    changes: UnitOfWork,
) -> tuple[str, ...]:
    changed: list[str] = []
    for cart in sorted(person.carts.values(), key=lambda cart: cart.cart_id):
        left = tuple(line for line in cart.lines if not any(is_same_item(one, line) for one in bought))
        if cart.closed_at is not None:
            continue
        if left == cart.lines and cart.cart_id != own_cart:
            continue
        cart.lines = left
        cart.closed_at = None if left else taken.at
        changed.append(cart.cart_id)
        changes.save_cart(person, cart)
    return tuple(changed)


def _text_or_none(value: object) -> str | None:
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    return None


ORDER_COMPLETED = "Order Completed"

VARIANT_SCOPE, PRODUCT_SCOPE = "variant", "product"

ALREADY_EXPIRED = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when a purchase suppresses that does not: before the now of any run, whatever its clock."""

_SELECT_CATALOG = f"SELECT {CATALOG_SQL.format('$1')}"


class ItemSuppressionRule(Protocol):
    """What the shop says of a purchase."""

    @property
    def window(self) -> timedelta | None:
        """How long it suppresses, from its event time; zero: not at all; None: for good."""

    @property
    def scope(self) -> str:
        """variant, product, group or category."""


SuppressionRuleLookup = Callable[[str | None, str | None, str | None, str | None], ItemSuppressionRule]
"""(product, sku, category, group) of what was bought → the rule that fits it."""


@dataclass(frozen=True, slots=True)
class UniformSuppressionRule:
    """One window for every product."""

    window: timedelta | None
    scope: str = PRODUCT_SCOPE


async def resolve_order_lines(
    connection: Any, events: Sequence[StoredEvent], rule_for: SuppressionRuleLookup
) -> list[StoredEvent]:
    """The events, the orders among them with their lines read; one statement where there is any order.

    Asks the feed inside the caller's transaction, so that what a receipt calls by its unit alone is known as
    the product that the feed has it as.
    """
    lines = [item for taken in events if taken.incoming.type == ORDER_COMPLETED
             for item in ordered_items(taken.incoming.properties)]  # fmt: skip
    if not lines:
        return list(events)
    names = catalog_keys((item.key, item.sku) for item in lines)
    shelf = to_entries(map(orjson.loads, await connection.fetchval(_SELECT_CATALOG, names)))
    return [
        replace(taken, order_lines=resolve_lines(taken, shelf, rule_for))
        if taken.incoming.type == ORDER_COMPLETED
        else taken
        for taken in events
    ]


def resolve_lines(
    taken: StoredEvent, shelf: Sequence[CatalogEntry], rule_for: SuppressionRuleLookup
) -> tuple[OrderLine, ...]:
    """An order's lines as the shop's rules have them. Pure but for ``rule_of``, which is too."""
    return tuple(
        _resolve_line(item, shelf, rule_for, taken.incoming.time)
        for item in ordered_items(taken.incoming.properties)
    )


def order_lines(taken: StoredEvent) -> tuple[OrderLine, ...]:
    """An order's lines as they were read; as they stand where nobody has."""
    if taken.order_lines is not None:
        return taken.order_lines
    return tuple(OrderLine(item) for item in ordered_items(taken.incoming.properties))


def restore_order_lines(
    properties: Mapping[str, Any], kept: Mapping[str, Sequence[str | None]]
) -> tuple[OrderLine, ...]:
    """A past order's lines as they were read when it came in. ``kept``: line → item and scope."""
    again = []
    for line, item in enumerate(ordered_items(properties)):
        key, scope = kept.get(str(line), (None, None))
        if key and not item.product_id and key != item.sku:
            item = item.model_copy(update={"product_id": key})
        again.append(OrderLine(item, scope or PRODUCT_SCOPE))
    return tuple(again)


def ordered_items(properties: Mapping[str, Any]) -> tuple[Item, ...]:
    """The products of an order event; one flat product counts as well."""
    products = properties.get("products")
    return parse_lines(products if isinstance(products, list) else [properties])


def is_same_item(bought: OrderLine, line: Item) -> bool:
    """Whether a line of a cart is what was bought: any variant of it, but where the shop tells them apart."""
    if bought.scope == VARIANT_SCOPE and bought.item.sku and line.sku:
        return bought.item.sku == line.sku
    return covers(bought.item, line)


def _resolve_line(
    item: Item, shelf: Sequence[CatalogEntry], rule_of: SuppressionRuleLookup, time: datetime
) -> OrderLine:
    if not item.product_id and item.sku and (product := product_for_sku(shelf, item.sku)):
        item = item.model_copy(update={"product_id": product})
    told = sorted(
        entries_for(shelf, item.key, item.sku), key=lambda row: (row.sku != item.sku, row.sku != "")
    )
    category = item.category or next((row.category for row in told if row.category), None)
    group = item.group or next((row.item_group for row in told if row.item_group), None)
    parts = next((row.bundle for row in told if row.bundle), ())
    rule = rule_of(item.product_id, item.sku, category, group)
    of = {"variant": item.sku, "group": group, "category": category}.get(rule.scope)
    # What cannot be told apart counts as the product.
    scope = str(rule.scope) if of else PRODUCT_SCOPE
    return OrderLine(item, scope, of, _suppressed_until(time, rule.window), parts)


def _suppressed_until(time: datetime, window: timedelta | None) -> datetime | None:
    if window == timedelta():
        return ALREADY_EXPIRED
    try:
        return None if window is None else time + window
    except OverflowError:
        # A window that runs past the calendar is for good.
        return None
