"""Checks whether a profile is excluded from marketing: by a holdout, or by an open hold."""

from datetime import datetime, timedelta

from policy.checks.result import CheckResult, deferred, denied, passed
from policy.experiments import assign_arm
from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import MessageClass, Reason

_SHARES_PER_PERCENT = 1000
"""Resolution of a holdout's size: a thousandth of a percent."""

HOLD_RECHECK_INTERVAL = timedelta(days=1)
"""Longest wait of a held message until its next attempt; the event that closes the hold wakes it at once."""


def not_held_out(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing to profiles in the shop's holdout or in the journey's.

    Sticky by profile. The two splits are independent of each other and of every experiment. Transactional
    messages are not held out.
    """
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages reach everybody")
    for scope, percent in (("the shop", limits.holdout), (f"journey {plan.journey}", plan.holdout)):
        if percent and is_held_out(facts.person, scope, percent):
            return denied(Reason.HOLDOUT, f"among the {percent:g} % held out of {scope}")
    return passed("not held out")


def is_held_out(person: str, scope: str, percent: float) -> bool:
    """Return whether a profile is in the holdout of ``scope``.

    ``percent`` is the holdout's size, from 0 to 100. Raises ValueError for any other size.
    """
    out = round(percent * _SHARES_PER_PERCENT)
    weights = {"out": out, "in": 100 * _SHARES_PER_PERCENT - out}
    return assign_arm(person, f"holdout of {scope}", weights) == "out"


def no_open_hold(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Defer marketing while a hold that the journey declares (an open ticket, a return) is open."""
    if not facts.held:
        return passed("nothing holds it")
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages are not held")
    # The closed list of reasons has none for holds; the detail names the hold.
    until = min(at + HOLD_RECHECK_INTERVAL, max(plan.expires_at, at))
    return deferred(Reason.LOWER_PRIORITY, until, f"held while {' and '.join(facts.held)} is open")
