"""Decides which items a person must not be shown any more, and until when a purchase keeps them away."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from policy.facts import PlannedItem, Suppression
from policy.limits import DEFAULT_WINDOW


def suppression_until(event_time: datetime, window: timedelta | None = DEFAULT_WINDOW) -> datetime | None:
    """When a purchase at ``event_time`` stops suppressing its items; None is for good.

    A suppression starts when its row commits, whenever the purchase happened, so an old purchase may
    be over as soon as it is known. A window that runs past the calendar is for good.
    """
    if window is None:
        return None
    try:
        return event_time + window
    except OverflowError:
        return None


def is_active(suppression: Suppression, at: datetime) -> bool:
    """In force at ``at``: the row exists and its end, if it has one, is still ahead.

    When it started plays no part: a purchase that a channel delivers late, or a run whose clock is
    ahead or behind, must not open a gap.
    """
    return suppression.until is None or suppression.until > at


def concerns(suppression: Suppression, item: PlannedItem) -> bool:
    """The suppression is about this item: the same product (any variant of it), or the same unit.

    A purchase known only by its stock keeping unit is compared with the item's own unit; an item
    without either identifier is never matched (and never promoted, see ``policy.relevance``).
    """
    if suppression.item and suppression.item in (item.product_id, item.sku):
        return True
    return bool(suppression.sku) and suppression.sku == item.sku


def suppressed_keys(
    items: Iterable[PlannedItem], suppressions: Iterable[Suppression], at: datetime
) -> frozenset[str]:
    """Keys of the items that must not be promoted at ``at``.

    One suppressed line takes its whole key with it: where the bought unit is known to be a variant of
    a product, by any line in ``items``, every variant of that product is suppressed.
    """
    active = [row for row in suppressions if is_active(row, at)]
    return frozenset(item.key for item in items if any(concerns(row, item) for row in active))
