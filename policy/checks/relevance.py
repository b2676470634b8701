"""Decides whether a message still makes sense: the run lives, the time is not up, items are left."""

from collections.abc import Collection, Sequence
from datetime import datetime

from policy.checks.result import CheckResult, denied, passed
from policy.checks.suppression import is_active, item_attributes, parts_bought, suppressed_items
from policy.durations import format_duration
from policy.facts import Facts, Plan, PlannedItem, SentFact
from policy.hours.time_zones import require_offset
from policy.limits import Limits
from policy.verdict import MessageClass, Reason


def run_is_active(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny unless the run is running: an ended one has said its last, a stuck one may have missed events."""
    if facts.run_state == "running":
        return passed("the run is running")
    return denied(Reason.RUN_ENDED, f"the run is {facts.run_state}")


def not_expired(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny from ``expires_at`` on, that instant included."""
    if require_offset(at) < require_offset(plan.expires_at):
        return passed(f"expires at {plan.expires_at.isoformat()}")
    return denied(Reason.EXPIRED, f"expired at {plan.expires_at.isoformat()}")


def has_items_left(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Take out what was bought, sold out or left the cart; deny when nothing is left to promote.

    The finding's ``kept`` is a sub-sequence of the planned keys. With nothing left the reason is
    ``purchased`` if a purchase took anything out, else ``out_of_stock`` if the shop has none left, else
    ``run_ended`` (an empty cart is the end of its run). An item with neither product nor stock keeping
    unit cannot be compared with purchases, so it is taken out; it has no key and appears in neither list.
    Items of a cart that is not on file are all taken out.
    """
    if plan.promoting is None:
        return passed("promotes nothing")
    bought = suppressed_items(plan.promoting, facts.suppressions, at, facts.shelf, facts.cart or ())
    keys = [item.key for item in plan.promoting if item.key]
    in_cart = _keys_in_cart(plan, facts)
    gone = facts.out_of_stock
    kept = tuple(key for key in keys if key not in bought and key in in_cart and key not in gone)
    removed = tuple(dict.fromkeys(key for key in keys if key not in kept))
    detail = f"{len(kept)} of {len(plan.promoting)} item(s) left"
    because = [
        *(f"{key} suppressed{_parenthesize(bought[key])}" for key in removed if key in bought),
        *(f"{key} not in the cart" for key in removed if key not in bought and key not in in_cart),
        *(f"{key} out of stock" for key in removed if key not in bought and key in in_cart),
    ]
    if len(keys) < len(plan.promoting):
        because.append(f"{len(plan.promoting) - len(keys)} without product or sku")
    because += _describe_partial_bundles(plan.promoting, kept, facts, at)
    if because:
        detail = f"{detail}: {', '.join(because)}"
    reason = None if kept else _no_items_reason(keys, bought, in_cart & gone)
    return CheckResult(detail, reason, kept=kept, removed=removed)


def _no_items_reason(keys: list[str], bought: Collection[str], gone: frozenset[str]) -> Reason:
    if any(key in bought for key in keys):
        return Reason.PURCHASED
    return Reason.OUT_OF_STOCK if any(key in gone for key in keys) else Reason.RUN_ENDED


def _parenthesize(why: str) -> str:
    return f" ({why})" if why else ""


def _describe_partial_bundles(
    items: Sequence[PlannedItem], kept: Collection[str], facts: Facts, at: datetime
) -> list[str]:
    """A bundle of which only some parts were bought may still be promoted, and the record says so."""
    active = [row for row in facts.suppressions if is_active(row, at)]
    if not active or not facts.shelf:
        return []
    counts = {
        item.key: parts_bought(item_attributes(item, facts.shelf), active)
        for item in items
        if item.key in kept
    }
    return [f"{key} kept: {some} of its {all_} parts bought" for key, (some, all_) in counts.items() if some]


def _keys_in_cart(plan: Plan, facts: Facts) -> frozenset[str]:
    """Planned keys that the cart still holds; all of them where the plan is about no cart."""
    items = plan.promoting or ()
    if plan.cart_id is None:
        return frozenset(item.key for item in items)
    lines = facts.cart or ()
    keys = {line.key for line in lines}
    units = {line.sku for line in lines if line.sku}
    return frozenset(item.key for item in items if item.key in keys or item.sku in units)


def is_not_duplicate(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing that another run of the person has sent of late: the same template, and no other items.

    So one person who turns out to be two profiles, or has two carts with one lamp, is reminded of it once,
    on whatever channel. What promotes nothing is no concern of this check, and neither is what the same run
    sends: its story decides on that. Where nothing is left to promote, there is nothing to say again.
    """
    window = limits.duplicates_within
    if plan.message_class is MessageClass.TRANSACTIONAL or not plan.promoting or not window:
        return passed("nothing to compare with")
    same = [one for one in facts.sent if _is_repeat_by_other_run(one, plan) and one.at > at - window]
    kept = set(has_items_left(plan, facts, limits, at).kept) if same else set()
    told = next((one for one in same if kept and kept <= set(one.items)), None)
    if told:
        detail = f"{plan.template} about the same items went by {told.channel.value}"
        from_run = f"from another run of {told.journey}, on {told.at.isoformat()}"
        return denied(Reason.DUPLICATE, f"{detail} {from_run}")
    return passed(f"not said by another run in {format_duration(window)}")


def _is_repeat_by_other_run(one: SentFact, plan: Plan) -> bool:
    return bool(one.template) and one.template == plan.template and not plan.key.startswith(f"{one.run}/")
