"""Narrows what is told to one journey or to one item, in any of its variants. Pure."""

from collections.abc import Iterable

from api.why.timeline import Entry
from profiles.history import DecisionView
from profiles.why_facts import Account


def variants(account: Account, wanted: str | None) -> frozenset[str] | None:
    """An item with all that is known as the same product: its units, and the product of a unit."""
    if wanted is None:
        return None
    lines = [(line.product_id, line.sku) for event in account.events.values() for line in event.lines]
    lines += [(one.item, one.sku) for one in account.bought]
    products = {wanted} | {product for product, sku in lines if sku == wanted and product}
    units = {sku for product, sku in lines if product in products and sku}
    return frozenset(products | units)


def about(entries: Iterable[Entry], *, journey: str | None, keys: frozenset[str] | None) -> list[Entry]:
    """Those that concern a journey, or any of these items; what names neither concerns everything."""
    return [
        entry
        for entry in entries
        if (journey is None or entry.journey in (None, journey))
        and (not keys or not entry.items or keys.intersection(entry.items))
    ]


def matching(decisions: Iterable[DecisionView], keys: frozenset[str] | None) -> list[DecisionView]:
    """The verdicts about any of these items; None: all."""
    return [one for one in decisions if not keys or keys.intersection((*one.items, *one.items_removed))]
