"""Decides what becomes of a message that finds no slot: withheld, or put off until one may be free."""

from datetime import datetime

from policy.facts import Plan
from policy.finding import Finding, deferred, denied
from policy.limits import Limits, WhenCapped
from policy.verdict import Reason
from policy.zones import with_offset


def no_slot(plan: Plan, limits: Limits, reason: Reason, fits_at: datetime | None, detail: str) -> Finding:
    """Deny, or defer where the journey waits for its turn: the shop's rule first, then the journey's own.

    ``fits_at``: the first instant at which there may be a slot, as far as is known now; None: there will be
    none. One that waits and would fit only at or after its expiry is denied as expired.
    """
    if fits_at is None:
        return denied(reason, detail)
    fits = f"{detail}; fits at {fits_at.isoformat()} at the earliest"
    rule = limits.when_capped.get(plan.journey) or plan.when_capped or WhenCapped.WITHHOLD
    if rule != WhenCapped.WAIT:
        return denied(reason, fits)
    if fits_at >= with_offset(plan.expires_at):
        return denied(Reason.EXPIRED, f"{fits}, which is not before the expiry")
    return deferred(reason, fits_at, fits)
