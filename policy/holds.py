"""Decides whether marketing has to wait because something more important is going on with the person."""

from datetime import datetime, timedelta

from policy.facts import Facts, Plan
from policy.finding import Finding, deferred, passed
from policy.limits import Limits
from policy.verdict import MessageClass, Reason

LOOK_AGAIN = timedelta(days=1)
"""How long a held message waits at most before it asks again; a closing event wakes it at once."""


def nothing_holds(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Defer marketing while a case that the journey declared (an open ticket, a return) is open."""
    if not facts.held:
        return passed("nothing holds it")
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages are not held")
    until = min(at + LOOK_AGAIN, max(plan.expires_at, at))
    return deferred(Reason.LOWER_PRIORITY, until, f"held while {' and '.join(facts.held)} is open")
