"""Decides whether a person has had enough marketing for now: caps over windows and calendar periods."""

from datetime import datetime, timedelta
from functools import lru_cache

from policy.durations import in_words
from policy.facts import Facts, Plan, SentFact, WaitingFact
from policy.finding import Finding, passed
from policy.limits import Cap, Limits, Period
from policy.periods import period_of, since_in_words
from policy.verdict import Channel, MessageClass, Reason
from policy.when_capped import no_slot

_REACH = {
    Period.DAY: timedelta(days=2),
    Period.WEEK: timedelta(days=8),
    Period.MONTH: timedelta(days=32),
}
"""No period is longer, whatever the clocks do in it."""


def reach(limits: Limits) -> timedelta:
    """How far back sent messages have to be known, so that every cap and every repetition can be counted."""
    return max([limits.duplicates_within, *(_length(cap) for cap in limits.caps)])


def matches(cap: Cap, message: Plan | SentFact | WaitingFact) -> bool:
    """Whether the cap is about such a message: everything it names, the message has."""
    return (
        cap.channel in (None, message.channel)
        and cap.journey in (None, message.journey)
        and cap.topic in (None, message.topic)
    )


def leaves(cap: Cap, sent_at: datetime, zone: str) -> datetime:
    """From when on a message sent at ``sent_at`` no longer counts: that instant is free of it."""
    if cap.per is not None:
        return period_of(cap.per, sent_at, zone)[1]
    return sent_at + _length(cap)


def counting(cap: Cap, facts: Facts, at: datetime) -> list[datetime]:
    """The instants from which the messages that count at ``at`` no longer will, the first one first.

    There is no upper bound: under clocks that disagree, a message stamped ahead of ``at`` was still
    sent. Ads are shown, not sent, and never count.
    """
    ends = (
        leaves(cap, sent.at, facts.zone)
        for sent in facts.sent
        if sent.channel is not Channel.ADS and matches(cap, sent)
    )
    return sorted(end for end in ends if end > at)


def counted(cap: Cap, facts: Facts, at: datetime) -> int:
    """How many messages count against the cap.

    Of a window those sent after ``at`` − window, that instant excluded; of a calendar period those sent from
    its first instant on.
    """
    return len(counting(cap, facts, at))


def is_capped(plan: Plan) -> bool:
    """Whether caps are about such a message at all: transactional ones and ads are not capped."""
    return plan.message_class is not MessageClass.TRANSACTIONAL and plan.channel is not Channel.ADS


def under_caps(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny marketing beyond any cap that matches it; put it off instead where its journey waits.

    It fits again when the oldest messages that count have left their windows or periods, under every cap.
    Transactional messages and ads are neither capped nor counted.
    """
    if not is_capped(plan):
        kind = "ads" if plan.channel is Channel.ADS else "transactional messages"
        return passed(f"{kind} are not capped")
    used = [(cap, counting(cap, facts, at)) for cap in limits.caps if matches(cap, plan)]
    full = [(cap, ends) for cap, ends in used if len(ends) >= cap.limit]
    if not full:
        return passed("; ".join(_used(cap, len(ends), facts, at) for cap, ends in used) or "no cap")
    words = "; ".join(_used(cap, len(ends), facts, at) for cap, ends in full)
    # A cap of none never has room again.
    fits = None if any(cap.limit == 0 for cap, _ in full) else max(e[len(e) - cap.limit] for cap, e in full)
    return no_slot(plan, limits, Reason.CAPPED, fits, f"cap reached: {words}")


def _length(cap: Cap) -> timedelta:
    return _REACH[cap.per] if cap.per is not None else cap.window or timedelta(0)


def _used(cap: Cap, count: int, facts: Facts, at: datetime) -> str:
    return f"{count} of {cap.limit} {said(cap, facts, at)}"


def said(cap: Cap, facts: Facts, at: datetime) -> str:
    """What the cap is about, and since when: "on email for win-back this week (since Monday …)"."""
    if cap.per:
        return f"{_about(cap)} {since_in_words(cap.per, at, facts.zone)}"
    return f"{_about(cap)} in {in_words(_length(cap))}"


@lru_cache(maxsize=1024)
def _about(cap: Cap) -> str:
    named = [
        *([f"on {cap.channel.value}"] if cap.channel else []),
        *([f"for {cap.journey}"] if cap.journey else []),
        *([f"about {cap.topic}"] if cap.topic else []),
    ]
    return " ".join(named) or "on all channels"
