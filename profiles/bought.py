"""What an order's lines are, and how far and how long each of them suppresses: by the shop's rules, and by
its feed where the order itself does not say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from profiles.carts import as_items, covers
from profiles.events import Item
from profiles.shelf import SHELF, OnShelf, about, names_of, product_of, shelf_of
from profiles.taken import Bought, Taken

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
