"""Checks whether a message is still relevant: the run, the expiry, the items, and duplicates."""

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
    """Deny unless the run is running. A stuck run may have missed events."""
    if facts.run_state == "running":
        return passed("the run is running")
    return denied(Reason.RUN_ENDED, f"the run is {facts.run_state}")


def not_expired(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny from ``expires_at`` on (included)."""
    if require_offset(at) < require_offset(plan.expires_at):
        return passed(f"expires at {plan.expires_at.isoformat()}")
    return denied(Reason.EXPIRED, f"expired at {plan.expires_at.isoformat()}")


def has_items_left(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Remove items that are suppressed, out of stock or no longer in the cart; deny where none is left.

    ``kept`` is a sub-sequence of the planned keys. The reason of a denial is ``purchased`` if a suppression
    removed any item, else ``out_of_stock`` if one is, else ``run_ended`` (an empty cart ends its run). An
    item without product and unit cannot be compared, so it is removed and is in neither list. Of a cart that
    is not on file, all items are removed.
    """
    if plan.promoting is None:
        return passed("promotes nothing")
    bought = suppressed_items(plan.promoting, facts.suppressions, at, facts.shelf, facts.cart or ())
    keys = [item.key for item in plan.promoting if item.key]
    in_cart = _keys_in_cart(plan, facts)
    sold_out = facts.out_of_stock
    kept = tuple(key for key in keys if key not in bought and key in in_cart and key not in sold_out)
    removed = tuple(dict.fromkeys(key for key in keys if key not in kept))
    detail = f"{len(kept)} of {len(plan.promoting)} item(s) left"
    removals = [
        *(f"{key} suppressed ({bought[key]})".removesuffix(" ()") for key in removed if key in bought),
        *(f"{key} not in the cart" for key in removed if key not in bought and key not in in_cart),
        *(f"{key} out of stock" for key in removed if key not in bought and key in in_cart),
    ]
    if len(keys) < len(plan.promoting):
        removals.append(f"{len(plan.promoting) - len(keys)} without product or sku")
    removals += _describe_partial_bundles(plan.promoting, kept, facts, at)
    if removals:
        detail = f"{detail}: {', '.join(removals)}"
    reason = None if kept else _no_items_reason(keys, bought, in_cart & sold_out)
    return CheckResult(detail, reason, kept=kept, removed=removed)


def _no_items_reason(keys: list[str], bought: Collection[str], sold_out: frozenset[str]) -> Reason:
    if any(key in bought for key in keys):
        return Reason.PURCHASED
    return Reason.OUT_OF_STOCK if any(key in sold_out for key in keys) else Reason.RUN_ENDED


def _describe_partial_bundles(
    items: Sequence[PlannedItem], kept: Collection[str], facts: Facts, at: datetime
) -> list[str]:
    """Describe the kept bundles of which some parts were bought; these may still be promoted."""
    active = [row for row in facts.suppressions if is_active(row, at)]
    if not active or not facts.shelf:
        return []
    bundles = {item.key: item_attributes(item, facts.shelf) for item in items if item.key in kept}
    counts = {key: parts_bought(bundle, active) for key, bundle in bundles.items()}
    return [f"{key} kept: {some} of its {all_} parts bought" for key, (some, all_) in counts.items() if some]


def _keys_in_cart(plan: Plan, facts: Facts) -> frozenset[str]:
    """Return the planned keys that are still in the cart; all of them where the plan names no cart."""
    items = plan.promoting or ()
    if plan.cart_id is None:
        return frozenset(item.key for item in items)
    lines = facts.cart or ()
    keys = {line.key for line in lines}
    units = {line.sku for line in lines if line.sku}
    return frozenset(item.key for item in items if item.key in keys or item.sku in units)


def is_not_duplicate(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing that another run of the profile has sent recently: the same template, no further items.

    This covers merged profiles, and two carts with the same item, on all channels. Messages that promote
    nothing pass, and repetitions within one run, on which its story decides.
    """
    window = limits.duplicates_within
    if plan.message_class is MessageClass.TRANSACTIONAL or not plan.promoting or not window:
        return passed("nothing to compare with")
    same = [sent for sent in facts.sent if _is_repeat_by_other_run(sent, plan) and sent.at > at - window]
    kept = set(has_items_left(plan, facts, limits, at).kept) if same else set()
    repeat = next((sent for sent in same if kept and kept <= set(sent.items)), None)
    if repeat:
        detail = f"{plan.template} about the same items went by {repeat.channel.value}"
        from_run = f"from another run of {repeat.journey}, on {repeat.at.isoformat()}"
        return denied(Reason.DUPLICATE, f"{detail} {from_run}")
    return passed(f"not said by another run in {format_duration(window)}")


def _is_repeat_by_other_run(sent: SentFact, plan: Plan) -> bool:
    return bool(sent.template) and sent.template == plan.template and not plan.key.startswith(f"{sent.run}/")
