"""Decides which items a person must not be shown any more, and until when a purchase keeps them away."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from policy.facts import PlannedItem, Shelved, Suppression
from policy.limits import DEFAULT_WINDOW, Scope
from policy.shelf import Known, folded, known


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


def suppressed(
    items: Sequence[PlannedItem],
    suppressions: Iterable[Suppression],
    at: datetime,
    shelf: Sequence[Shelved] = (),
    beside: Iterable[PlannedItem] = (),
) -> dict[str, str]:
    """Keys of the items that must not be promoted at ``at``, and why where that is not plain; else "".

    One suppressed line takes its whole key with it: where the bought unit is known to be a variant of a
    product, by any line in ``items`` or ``beside`` them (the cart), every variant is suppressed. Of scope
    variant only the lines in ``items`` count. A bundle is suppressed once every part of it was bought.
    """
    active = [row for row in suppressions if is_active(row, at)]
    if not active:
        return {}
    reaching = [row for row in active if row.scope is not Scope.VARIANT]
    found: dict[str, str] = {}
    for item, rows in (*((item, active) for item in items), *((item, reaching) for item in beside)):
        about = known(item, shelf)
        reasons = [why for row in rows if item.key and (why := _why(row, about)) is not None]
        bought, parts = parts_bought(about, active)
        if parts and bought == parts:
            reasons.append("every part of it was bought")
        if reasons:
            # That it was bought itself, which needs no words, is the best reason.
            found[item.key] = min(found.get(item.key, reasons[0]), *reasons, key=len)
    return found


def parts_bought(bundle: Known, active: Iterable[Suppression]) -> tuple[int, int]:
    """How many parts of a bundle were bought, and how many it has; (0, 0) for what is no bundle.

    A part counts as bought in any variant, by itself or as a part of another bundle.
    """
    names = {name for row in active for name in (row.item, row.sku, *row.parts) if name}
    parts = dict.fromkeys(bundle.parts)
    return sum(part in names for part in parts), len(parts)


def _why(row: Suppression, about: Known) -> str | None:
    """Why a suppression is about an item: "" where it is simply that one, None where it is not.

    The product (any variant of it) or the same unit; of scope variant the same unit alone, and an item
    planned without its unit, which may be that one. Of scope group or category also whatever is of the same,
    by the plan's own word or the feed's. A bundle's suppression is about its parts. An item without product
    and unit is never matched (and never promoted, see ``policy.relevance``).
    """
    if _is_the_same(row, about):
        return ""
    if row.scope is Scope.GROUP and folded(row.of) & about.groups:
        return f"of the group {row.of}, of which {row.item} was bought"
    if row.scope is Scope.CATEGORY and folded(row.of) & about.categories:
        return f"of the category {row.of}, of which {row.item} was bought"
    names = {*about.products, about.item.sku} - {None, ""}
    if names & {*row.parts}:
        return f"a part of {row.item}, which was bought"
    return None


def _is_the_same(row: Suppression, about: Known) -> bool:
    item = about.item
    names = {*about.products, item.sku} - {None, ""}
    if row.scope is Scope.VARIANT:
        unit = row.of or row.sku
        return unit == item.sku if item.sku else row.item in about.products or unit in about.variants
    if row.item in names or (bool(row.sku) and row.sku == item.sku):
        return True
    # A receipt knew the unit alone, and the feed tells by now whose it is.
    return bool(row.sku) and row.item == row.sku and row.sku in about.variants
