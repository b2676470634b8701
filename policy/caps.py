"""Decides whether a person has had enough marketing for now: caps over rolling windows."""

from datetime import datetime

from policy.durations import in_words
from policy.facts import Facts, Plan
from policy.finding import Finding, denied, passed
from policy.limits import Cap, Limits
from policy.verdict import Channel, MessageClass, Reason


def counted(cap: Cap, facts: Facts, at: datetime) -> int:
    """How many messages count against the cap: those sent after ``at`` − window, that instant excluded.

    There is no upper bound: under clocks that disagree, a message stamped ahead of ``at`` was still
    sent. Ads are shown, not sent, and never count.
    """
    since = at - cap.window
    return sum(
        1
        for sent in facts.sent
        if sent.at > since and sent.channel is not Channel.ADS and cap.channel in (None, sent.channel)
    )


def under_caps(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny marketing beyond any cap of its channel or over all channels.

    Transactional messages and ads are neither capped nor counted.
    """
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages are not capped")
    if plan.channel is Channel.ADS:
        return passed("ads are not capped")
    used = [
        (cap, counted(cap, facts, at))
        for cap in limits.caps
        if cap.channel is None or cap.channel is plan.channel
    ]
    exhausted = [_in_words(cap, count) for cap, count in used if count >= cap.limit]
    if exhausted:
        return denied(Reason.CAPPED, f"cap reached: {'; '.join(exhausted)}")
    return passed("; ".join(_in_words(cap, count) for cap, count in used) or "no cap")


def _in_words(cap: Cap, count: int) -> str:
    over = cap.channel.value if cap.channel else "all channels"
    return f"{count} of {cap.limit} on {over} in {in_words(cap.window)}"
