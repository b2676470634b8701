"""Decides whether there is still somebody to reach: not erased, with an address that takes messages."""

from datetime import datetime

from policy.facts import Facts, Plan
from policy.finding import Finding, denied, passed
from policy.limits import Limits
from policy.verdict import Channel, Reason


def not_erased(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny for a profile that was erased; nothing, of either class, is sent to it again."""
    if facts.erased:
        return denied(Reason.ERASED, "the profile was erased")
    return passed("the profile is on file")


def address_works(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny without an address, after a hard bounce, and after a complaint, for either class of message.

    An ad platform matches people by itself, so bounces and complaints do not concern it. A problem
    that has no name here denies as well.
    """
    if not facts.has_address:
        return denied(Reason.NO_ADDRESS, f"no {plan.channel.value} address on file")
    if plan.channel is Channel.ADS or facts.address_problem is None:
        return passed(f"{plan.channel.value} address on file")
    if facts.address_problem == "bounced":
        return denied(Reason.BOUNCED, "the address bounced for good")
    if facts.address_problem == "complained":
        return denied(Reason.COMPLAINED, "the person reported a message as spam")
    return denied(Reason.NO_ADDRESS, "the address has a problem of an unknown kind")
