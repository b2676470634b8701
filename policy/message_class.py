"""Decides whether a message is what its class says: the class sets which rules it has to pass."""

from datetime import datetime

from policy.facts import Facts, Plan
from policy.finding import Finding, denied, passed
from policy.limits import Limits
from policy.verdict import Channel, MessageClass, Reason


def class_fits(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny a plan that would slip past the rules for marketing, or past an opt-out.

    A transactional message passes without consent and without caps, so it may promote nothing (a mail
    that promotes is marketing, whatever else it says) and cannot be an ad. A marketing message cannot
    go under the topic "transactional", which people leave on when they opt out of marketing.
    """
    if plan.message_class is MessageClass.MARKETING:
        if plan.topic == "transactional":
            return denied(
                Reason.CONTENT, 'marketing under the topic "transactional": give the template its own topic'
            )
        return passed("marketing")
    if plan.promoting:
        return denied(
            Reason.CONTENT,
            f"transactional, but promotes {len(plan.promoting)} item(s): promote in a marketing template",
        )
    if plan.channel is Channel.ADS:
        return denied(Reason.CONTENT, "transactional, but an ad: ads are marketing")
    return passed("transactional")
