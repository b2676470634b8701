"""What orders and refunds change: purchases, suppressions, carts. Pure, but for reading the catalog."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from profiles.commerce.catalog import (
    SELECT_CATALOG,
    CatalogIndex,
    catalog_keys,
    to_entries,
)
from profiles.commerce.reversals import has_unidentified_products, ordered_items, to_returns
from profiles.events import Item
from profiles.state import bounds
from profiles.state.cart import covers
from profiles.state.event_records import EventSortKey, OrderLine, StoredEvent, id_text
from profiles.state.profile_state import ProfileState, Reversal
from profiles.state.unit_of_work import Row, UnitOfWork

ORDER_COMPLETED = "Order Completed"

ORDER_UPDATED = "Order Updated"

REVERSAL_EVENT_TYPES = ("Order Refunded", "Order Cancelled")

LINES_LEFT_OUT = "lines"
"""Code of an unverified order of which lines suppress nothing."""

_LINES_PROBLEM = (
    f"of an unverified order {bounds.MAX_KEPT_UNVERIFIED_LINES} lines are kept, and "
    f"{bounds.MAX_KEPT_UNVERIFIED_LINES_OF_PROFILE} a year for a profile: its other lines empty carts "
    "and suppress nothing; send orders with a server key"
)

VARIANT_SCOPE, PRODUCT_SCOPE = "variant", "product"

ALREADY_EXPIRED = datetime(1970, 1, 1, tzinfo=UTC)
"""End of a suppression with a window of zero: before the now of any run, whatever its clock."""


class ItemSuppressionRule(Protocol):
    """The policy's rule for a bought item."""

    @property
    def window(self) -> timedelta | None:
        """How long the purchase suppresses, from its event time; zero: not at all; None: permanently."""

    @property
    def scope(self) -> str:
        """variant, product, group or category."""


SuppressionRuleLookup = Callable[[str | None, str | None, str | None, str | None], ItemSuppressionRule]
"""(product, sku, category, group) of a bought item → the rule that applies."""


@dataclass(frozen=True, slots=True)
class UniformSuppressionRule:
    """One window for every product."""

    window: timedelta | None
    scope: str = PRODUCT_SCOPE


def is_purchase(stored: StoredEvent) -> bool:
    """Return whether an event states what was bought: an order, or a change of one with its products."""
    name = stored.incoming.type
    return name == ORDER_COMPLETED or (
        name == ORDER_UPDATED and isinstance(stored.incoming.properties.get("products"), list)
    )


def apply_purchase(
    person: ProfileState, stored: StoredEvent, own_cart: str | None, changes: UnitOfWork
) -> tuple[str, ...]:
    """Record a purchase, which suppresses by ``stored.order_lines``. Returns the ids of the changed carts.

    Where a line cannot be read, it is not known what was bought: all carts of the profile are emptied. The
    event has a problem for it then, from ``profiles.reading``.
    """
    order_id = _order_id(stored.incoming.properties)
    for row, line in _add_suppressions(person, stored, changes):
        item = line.item
        row |= {"name": item.name, "price": item.price, "quantity": item.quantity, "returned": 0}
        row |= {"channel": stored.incoming.channel, "time": stored.incoming.time, "at": stored.at}
        changes.inserts["purchase"].append(row)
    if order_id is not None and any(refund.order_id == order_id for refund in person.refunds):
        # A refund arrived before its purchase, or before another report of it.
        changes.recounted_orders.add((person.profile_id, order_id))
    return _remove_from_carts(person, stored, own_cart, changes)


def apply_shared_purchase(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> tuple[str, ...]:
    """Suppress the items of another profile's order for a profile that the order also names.

    The items are not promoted to this profile either, because it may be the buyer. The purchase is recorded
    for the order's own profile only. Returns the ids of the carts it changed.
    """
    _add_suppressions(person, stored, changes)
    person.advance_cart_position(stored.sort_key)
    return _remove_from_carts(person, stored, None, changes)


def apply_refund(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Lift suppressions after a refund or a cancellation: of the listed products, or of the whole order.

    A refund that lists no products and states less than the order's total returns nothing: it is not known
    what it is for. An unverified event undoes no verified purchase, so that no page can have an owned item
    promoted. One that two systems report counts once: see ``profiles.commerce.reversals``.
    """
    incoming = stored.incoming
    refund = Reversal(incoming.type, incoming.properties, incoming.verified, incoming.source, stored.at)
    order_id = refund.order_id
    if order_id is None:
        changes.add_problem(stored.event_id, "", "order_id is missing: no purchase could be undone")
        return
    if any(known.order_id == order_id for known in person.refunds):
        changes.recounted_orders.add((person.profile_id, order_id))
    else:
        changes.returns += to_returns(person.profile_id, refund)
    person.refunds.append(refund)


def takes_out_on_arrival(stored: StoredEvent) -> bool:
    """Return whether a purchase takes its items out of what lies in the carts when it arrives.

    It does if its suppression of an item is over on arrival: a till with a clock far behind would else
    leave in the cart what was just bought. A purchase that suppresses need not.
    """
    return is_purchase(stored) and bool(_unsuppressed_lines(stored))


def arrival_key(stored: StoredEvent) -> EventSortKey:
    """Return the place of a purchase among the events by its arrival."""
    _, rank, source, number = stored.sort_key
    return stored.at, rank, source, number


def take_out_on_arrival(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> tuple[str, ...]:
    """Take the items that a purchase of the past no longer suppresses out of all carts.

    Returns the ids of the carts that changed.
    """
    return _take_lines_out(person, stored, _unsuppressed_lines(stored), changes)


async def resolve_order_lines(
    connection: Any, events: Sequence[StoredEvent], rule_for: SuppressionRuleLookup
) -> list[StoredEvent]:
    """Return the events, with ``order_lines`` set on orders. One statement if there is an order, else none.

    Reads the catalog inside the caller's transaction, so that a line with a unit alone gets the product that
    the feed has for it.
    """
    items = {
        stored.event_id: ordered_items(stored.incoming.properties) for stored in events if is_purchase(stored)
    }
    if not any(items.values()):
        return list(events)
    names = catalog_keys((item.key, item.sku) for of_order in items.values() for item in of_order)
    rows = map(orjson.loads, await connection.fetchval(SELECT_CATALOG, names))
    shelf = CatalogIndex(to_entries(rows))

    def resolved(stored: StoredEvent) -> StoredEvent:
        time, ordered = stored.incoming.time, items[stored.event_id]
        return replace(
            stored, order_lines=tuple(_resolve_line(item, shelf, rule_for, time) for item in ordered)
        )

    return [resolved(stored) if stored.event_id in items else stored for stored in events]


def order_lines(stored: StoredEvent) -> tuple[OrderLine, ...]:
    """Return an order's resolved lines; where they were not resolved, the lines of the event."""
    if stored.order_lines is not None:
        return stored.order_lines
    return tuple(OrderLine(item) for item in ordered_items(stored.incoming.properties))


def restore_order_lines(
    properties: Mapping[str, Any], kept: Mapping[str, Sequence[str | None]]
) -> tuple[OrderLine, ...]:
    """Return a past order's lines as they were resolved on arrival.

    ``kept``: line → item, scope and end of its suppression.
    """
    restored = []
    for line, item in enumerate(ordered_items(properties)):
        key, scope, until = kept.get(str(line), (None, None, None))
        if key and not item.product_id and key != item.sku:
            item = item.model_copy(update={"product_id": key})
        ends_at = datetime.fromisoformat(until) if until else None
        restored.append(OrderLine(item, scope or PRODUCT_SCOPE, until=ends_at))
    return tuple(restored)


def is_same_item(bought: OrderLine, line: Item) -> bool:
    """Return whether a cart's line is what was bought: any variant of it, except with the scope variant."""
    if bought.scope == VARIANT_SCOPE and bought.item.sku and line.sku:
        return bought.item.sku == line.sku
    return covers(bought.item, line)


class BoughtItems:
    """The items of an order, in which a cart's line is looked up by ``is_same_item`` in constant time."""

    def __init__(self, bought: Sequence[OrderLine]) -> None:
        variants = [each.item for each in bought if each.scope == VARIANT_SCOPE and each.item.sku]
        others = [each.item for each in bought if not (each.scope == VARIANT_SCOPE and each.item.sku)]
        self._variants = {item.sku for item in variants}
        self._others, self._all = _ItemKeys(others), _ItemKeys([*others, *variants])

    def __contains__(self, line: Item) -> bool:
        # Of two variants that both have a unit, the unit decides.
        if line.sku:
            return line.sku in self._variants or line in self._others
        return line in self._all


class _ItemKeys:
    """The keys of bought items, by which ``covers`` is looked up."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._products = {item.product_id for item in items if item.product_id}
        self._keys = {key for item in items for key in (item.key, item.sku) if key}
        self._keys_without_product = {
            key for item in items if not item.product_id for key in (item.key, item.sku) if key
        }

    def __contains__(self, line: Item) -> bool:
        if line.product_id and line.product_id in self._products:
            return True
        keys = self._keys_without_product if line.product_id else self._keys
        return line.key in keys or line.sku in keys


def _has_unread_lines(stored: StoredEvent) -> bool:
    """Return whether an order has lines that cannot be read, or none at all."""
    lines = order_lines(stored)
    return not lines or has_unidentified_products(stored.incoming.properties, lines)


def _order_id(properties: Mapping[str, Any]) -> str | None:
    return id_text(properties, "order_id")


def _line_rows(person: ProfileState, stored: StoredEvent) -> Iterator[tuple[Row, OrderLine]]:
    """Yield the columns that a purchase and a suppression have in common, with the line of the order."""
    order: Row = {"event_id": stored.event_id, "profile_id": person.profile_id}
    order["order_id"] = _order_id(stored.incoming.properties)
    for number, line in enumerate(order_lines(stored)):
        # A line without pieces, as one of a return is, was not bought.
        if line.item.quantity > 0:
            yield {**order, "line": number, "item": line.item.key, "sku": line.item.sku}, line


def _add_suppressions(
    person: ProfileState, stored: StoredEvent, changes: UnitOfWork
) -> list[tuple[Row, OrderLine]]:
    """Add what an order suppresses. Returns the lines that are kept, with the columns of ``_line_rows``.

    Of an unverified order a bounded number is kept, since a sender with the public key can name any profile.
    What is verified is always kept, and not counted.
    """
    rows = list(_line_rows(person, stored))
    if not stored.incoming.verified:
        known = person.kept_unverified_lines + changes.unverified_lines[person.profile_id]
        room = max(0, bounds.MAX_KEPT_UNVERIFIED_LINES_OF_PROFILE - known)
        kept = rows[: min(room, bounds.MAX_KEPT_UNVERIFIED_LINES)]
        changes.unverified_lines[person.profile_id] += len(kept)
        if len(kept) < len(rows) and not changes.left_out[stored.event_id, LINES_LEFT_OUT]:
            changes.leave_out(stored.event_id, "", LINES_LEFT_OUT, _LINES_PROBLEM)
        rows = kept
    for row, line in rows:
        suppressed = {"until": line.until, "scope": line.scope, "of": line.of, "parts": list(line.parts)}
        changes.inserts["suppression"].append({**row, **suppressed, "reason": "purchased"})
    return rows


def _unsuppressed_lines(stored: StoredEvent) -> list[OrderLine]:
    return [
        line
        for line in order_lines(stored)
        if line.item.quantity > 0
        and line.until is not None
        and line.until <= stored.at
        # A line that the shop never suppresses stays in the cart, unless the purchase is history.
        and (line.until > ALREADY_EXPIRED or stored.is_history)
    ]


def _take_lines_out(
    person: ProfileState, stored: StoredEvent, lines: Sequence[OrderLine], changes: UnitOfWork
) -> tuple[str, ...]:
    bought, changed = BoughtItems(lines), []
    for cart in sorted(person.carts.values(), key=lambda cart: cart.cart_id):
        left = tuple(line for line in cart.lines if line not in bought)
        if cart.closed_at is None and left != cart.lines:
            cart.lines, cart.closed_at = left, None if left else stored.at
            changed.append(cart.cart_id)
            changes.save_cart(person, cart)
    return tuple(changed)


def _remove_from_carts(
    person: ProfileState, stored: StoredEvent, own_cart: str | None, changes: UnitOfWork
) -> tuple[str, ...]:
    bought, changed = BoughtItems([line for line in order_lines(stored) if line.item.quantity > 0]), []
    has_unread_lines = _has_unread_lines(stored)
    for cart in sorted(person.carts.values(), key=lambda cart: cart.cart_id):
        left = () if has_unread_lines else tuple(line for line in cart.lines if line not in bought)
        if cart.closed_at is not None or (left == cart.lines and cart.cart_id != own_cart):
            continue
        cart.lines = left
        cart.closed_at = None if left else stored.at
        changed.append(cart.cart_id)
        changes.save_cart(person, cart)
    return tuple(changed)


def _resolve_line(
    item: Item, shelf: CatalogIndex, rule_of: SuppressionRuleLookup, time: datetime
) -> OrderLine:
    if not item.product_id and item.sku and (product := shelf.product_for_sku(item.sku)):
        item = item.model_copy(update={"product_id": product})
    entries = sorted(
        shelf.entries_for(item.key, item.sku), key=lambda row: (row.sku != item.sku, row.sku != "")
    )
    category = item.category or next((row.category for row in entries if row.category), None)
    group = item.group or next((row.item_group for row in entries if row.item_group), None)
    parts = next((row.bundle for row in entries if row.bundle), ())
    rule = rule_of(item.product_id, item.sku, category, group)
    of = {"variant": item.sku, "group": group, "category": category}.get(rule.scope)
    # Without a value for the scope, the purchase covers the product.
    scope = str(rule.scope) if of else PRODUCT_SCOPE
    return OrderLine(item, scope, of, _suppressed_until(time, rule.window), parts)


def _suppressed_until(time: datetime, window: timedelta | None) -> datetime | None:
    if window == timedelta():
        return ALREADY_EXPIRED
    try:
        return None if window is None else time + window
    except OverflowError:
        # A window that ends after the last date is permanent.
        return None
