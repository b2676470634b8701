"""Caps and priority once more, as plainly as they can be said: local dates, loops and counting."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from policy.facts import Facts, Plan, SentFact, WaitingFact
from policy.limits import Cap, Limits


def model_period(per: str, at: datetime, zone: str) -> Any:
    """The name of the day, week or month by the wall; good where no clock goes back over midnight."""
    day = at.astimezone(ZoneInfo(zone)).date()
    return {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month)}[per]


def model_concerns(cap: Cap, message: Plan | SentFact | WaitingFact) -> bool:
    """All that the cap names, the message has."""
    named = [(cap.channel, message.channel), (cap.journey, message.journey), (cap.topic, message.topic)]
    return all(wanted is None or wanted == has for wanted, has in named)


def model_used(cap: Cap, facts: Facts, at: datetime) -> int:
    """Messages that take a slot at an instant."""
    used = 0
    for sent in facts.sent:
        if sent.channel == "ads" or not model_concerns(cap, sent):
            continue
        if cap.window is not None:
            used += at - sent.at < cap.window
        else:
            then, now = (model_period(str(cap.per), moment, facts.zone) for moment in (sent.at, at))
            used += then >= now
    return used


def model_full(cap: Cap, plan: Plan, facts: Facts, at: datetime) -> bool:
    """The cap concerns the plan and has no room."""
    return model_concerns(cap, plan) and model_used(cap, facts, at) >= cap.limit


def model_yields(cap: Cap, plan: Plan, facts: Facts, limits: Limits, at: datetime) -> bool:
    """The cap has room, and those who go first want all of it while the plan would still be counted."""
    if not model_concerns(cap, plan) or model_full(cap, plan, facts, at):
        return False
    ours = (-limits.priorities.get(plan.journey, 0), -plan.value)
    planned = Facts(sent=(SentFact(plan.channel, at, plan.journey, plan.topic),), zone=facts.zone)
    wanted = 0
    for one in facts.waiting:
        alive = one.expires_at > at and at - one.until < timedelta(hours=1)
        theirs = (-limits.priorities.get(one.journey, 0), -one.value)
        came_first = plan.since is None or [one.since, one.message_id] < [plan.since, plan.message_id]
        goes_first = theirs < ours or (theirs == ours and came_first)
        if alive and goes_first and model_concerns(cap, one) and model_used(cap, planned, one.until):
            wanted += 1
    return wanted >= cap.limit - model_used(cap, facts, at)
