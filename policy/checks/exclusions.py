"""Decides whether a person is kept out of marketing, so that its worth can be measured against them."""

from datetime import datetime, timedelta

from policy.checks.result import CheckResult, deferred, denied, passed
from policy.experiments import assign_arm
from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import MessageClass, Reason

_SHARES_PER_PERCENT = 1000
"""Shares are told apart to a thousandth of a percent."""


def not_held_out(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing to the people of the shop's holdout and of the journey's.

    Sticky by person: the two splits are independent of each other and of every experiment. Transactional
    messages reach everybody.
    """
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages reach everybody")
    for scope, percent in (("the shop", limits.holdout), (f"journey {plan.journey}", plan.holdout)):
        if percent and is_held_out(facts.person, scope, percent):
            return denied(Reason.HOLDOUT, f"among the {percent:g} % held out of {scope}")
    return passed("not held out")


def is_held_out(person: str, scope: str, percent: float) -> bool:
    """Whether a person is among the ``percent`` (0 to 100) held out of ``scope``. Else ValueError."""
    out = round(percent * _SHARES_PER_PERCENT)
    return (
        assign_arm(person, f"holdout of {scope}", {"out": out, "in": 100 * _SHARES_PER_PERCENT - out})
        == "out"
    )


HOLD_RECHECK_INTERVAL = timedelta(days=1)
"""How long a held message waits at most before it asks again; a closing event wakes it at once."""


def no_open_hold(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Defer marketing while a case that the journey declared (an open ticket, a return) is open."""
    if not facts.held:
        return passed("nothing holds it")
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages are not held")
    until = min(at + HOLD_RECHECK_INTERVAL, max(plan.expires_at, at))
    return deferred(Reason.LOWER_PRIORITY, until, f"held while {' and '.join(facts.held)} is open")
