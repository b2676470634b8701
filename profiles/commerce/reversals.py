"""Refunds and cancellations of one order, as several systems report them: each piece comes back once. Pure.

A shop, an ERP system and a payment provider report one refund, each in an event of its own. Reports with
the same ``refund_id``, ``return_id`` or ``cancellation_id`` are one fact. Those without such an id cannot
be distinguished, so they are counted by account: what one source says in events of one type adds up, and of
several accounts the greatest number of pieces counts, line by line. A line that is cancelled and then
refunded is returned once. Too few returned pieces leave an item suppressed that is not owned; too many
would promote an owned one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from profiles.events import Item
from profiles.state.cart import parse_lines
from profiles.state.profile_state import Reversal

ALL_FACTS = "facts"
"""Account of the facts with an id, whichever source reports them."""


def to_returns(profile_id: UUID, reversal: Reversal, account: str = "") -> list[dict[str, Any]]:
    """Return the rows for ``APPLY_RETURNS``: one for each product of a reversal, or one for the whole order.

    None for a reversal of products that cannot be read.
    """
    whole: dict[str, Any] = {
        "profile_id": profile_id,
        "order_id": reversal.order_id,
        "verified": reversal.verified,
    }
    whole |= {"at": reversal.at, "account": account}
    items = ordered_items(reversal.properties)
    if not items:
        unread = has_unidentified_products(reversal.properties, items)
        return [] if unread else [{**whole, "amount": reversal.amount}]
    return [
        {**whole, "item": item.key, "sku": item.sku, "quantity": _stated_quantity(item)} for item in items
    ]


def to_distinct_returns(profile_id: UUID, reversals: Iterable[Reversal]) -> list[dict[str, Any]]:
    """Return the rows for ``APPLY_RETURNS`` of all reversals of a profile, with each fact counted once.

    ``reversals``: in the order of their arrival. The result does not depend on it, except that of two reports
    of one fact by one source the later one stands.
    """
    facts: dict[tuple[str | None, str], list[Reversal]] = {}
    rows = []
    for reversal in reversals:
        if reversal.order_id is None:
            continue
        if reversal.fact_id is None:
            rows += to_returns(profile_id, reversal, _account(reversal))
        else:
            facts.setdefault((reversal.order_id, reversal.fact_id), []).append(reversal)
    for reports in facts.values():
        counted = _most_exact(reports)
        for trusted in (True, False):
            if among := [report for report in counted if report.verified is trusted]:
                rows += to_returns(profile_id, among[-1], ALL_FACTS)
        latest = {_account(report): report for report in counted}
        for account, report in latest.items():
            rows += to_returns(profile_id, report, account)
    return rows


def ordered_items(properties: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the products of an order event. A single product in the properties themselves counts as well."""
    products = properties.get("products")
    # What a channel states about its own trustworthiness does not count.
    return parse_lines(products if isinstance(products, list) else [properties], verified=False)


def has_unidentified_products(properties: Mapping[str, Any], items: Sequence[object]) -> bool:
    """Return whether an event lists products of which not all could be read as ``items``."""
    products = properties.get("products")
    return isinstance(products, list) and len(items) < len(products)


def _account(reversal: Reversal) -> str:
    return f"{reversal.type}/{reversal.verified}/{reversal.source}"


def _most_exact(reports: Sequence[Reversal]) -> list[Reversal]:
    """Return the reports of one fact that name products; all of them where none does.

    A report of less trust takes nothing away from one of greater trust.
    """
    exact = [report for report in reports if ordered_items(report.properties)]
    is_exactly_known = any(report.verified for report in exact)
    if not exact:
        return list(reports)
    return [report for report in reports if report in exact or (report.verified and not is_exactly_known)]


def _stated_quantity(item: Item) -> int | None:
    return item.quantity if "quantity" in item.model_fields_set else None
