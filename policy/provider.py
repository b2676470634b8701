"""Decides whether the provider of a channel can take a message now: its budget, and its breaker."""

from datetime import datetime, timedelta
from zlib import crc32

from policy.facts import Facts, Plan
from policy.finding import Finding, deferred, passed
from policy.limits import Limits
from policy.verdict import Channel, Reason

BUDGET_WINDOW = timedelta(minutes=1)


def provider_takes_it(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Defer while the channel's provider is left alone after failures, or has had its minute's budget.

    Both classes of message, as it is the provider's limit; never beyond the plan's expiry. Raises ValueError
    where there is a budget and nobody counted.
    """
    channel = plan.channel
    if channel is Channel.ADS:
        return passed("ads have no provider here")
    open_until = facts.breaker_open_until
    if open_until is not None and open_until > at:
        said = (
            f"the provider of {channel.value} failed over and over; left alone until {open_until.isoformat()}"
        )
        return deferred(Reason.PROVIDER_BUDGET, min(open_until, max(plan.expires_at, at)), said)
    budget = limits.budgets.get(channel)
    if budget is None:
        return passed(f"no budget on {channel.value}")
    if facts.claims_last_minute is None:
        raise ValueError(f"expected the claims of the last minute on {channel.value}, got none: count them")
    said = f"{facts.claims_last_minute} of {budget.per_minute} on {channel.value} in the last minute"
    if facts.claims_last_minute < budget.per_minute:
        return passed(said)
    # People come back spread over a minute, or all of them would ask again at once.
    wait = BUDGET_WINDOW * (1 + crc32(facts.person.encode()) % 60 / 60)
    return deferred(Reason.PROVIDER_BUDGET, min(at + wait, max(plan.expires_at, at)), said)
