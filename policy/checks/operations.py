"""Checks operational limits: kill switches, circuit breakers and provider budgets."""

from datetime import datetime, timedelta
from zlib import crc32

from policy.checks.first_contacts import describe_usage, hourly_deferral
from policy.checks.result import CheckResult, deferred, denied, passed
from policy.facts import ActiveKillSwitch, Facts, Plan, StopKind
from policy.limits import Limits
from policy.verdict import Channel, Reason

MIN_RECHECK_INTERVAL = timedelta(minutes=5)
"""Shortest wait of a stopped message until it passes the whole gate again."""

MAX_RECHECK_INTERVAL = timedelta(hours=1)
"""Longest wait of a stopped message."""

_RECHECK_AGE_DIVISOR = 12
"""A stopped message waits a twelfth of the stop's age, so a long stop costs a run few attempts."""

BUDGET_WINDOW = timedelta(minutes=1)

UNVERIFIED_BUDGET_SHARE = 0.8
"""Share of a provider's budget that runs without a verified event use at most. The rest is for the others."""


def no_kill_switch(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Defer while a kill switch names the plan's channel, journey or template, or everything.

    A switch of the database is temporary, so it defers until the plan's expiry. A message that is still
    stopped then is withheld. A name in the limits is a decision of the deployment, and withholds at once.
    """
    names = ("all", plan.channel.value, plan.journey, plan.template)
    stopped = [name for name in limits.kill_switches if name and name in names]
    if stopped:
        return denied(Reason.KILL_SWITCH, f"kill switch on for {', '.join(dict.fromkeys(stopped))}")
    stops = [stop for stop in facts.stopped if _applies_to(stop, plan)]
    if not stops:
        return passed("no kill switch")
    detail = ", ".join(
        f"{stop.description} is stopped since {stop.since.isoformat(' ', 'minutes')}" for stop in stops
    )
    if at >= plan.expires_at:
        return denied(Reason.KILL_SWITCH, f"{detail}, and the message has expired")
    age = at - min(stop.since for stop in stops)
    wait = min(max(age / _RECHECK_AGE_DIVISOR, MIN_RECHECK_INTERVAL), MAX_RECHECK_INTERVAL)
    return deferred(Reason.KILL_SWITCH, min(at + wait, plan.expires_at), detail)


def _applies_to(stop: ActiveKillSwitch, plan: Plan) -> bool:
    names = {
        StopKind.ALL: stop.name,
        StopKind.CHANNEL: plan.channel.value,
        StopKind.JOURNEY: plan.journey,
        StopKind.TEMPLATE: plan.template,
    }
    return stop.name == names[stop.kind]


def provider_available(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Defer while the circuit breaker of the channel's provider is open, or its budget per minute is used up.

    Applies to both message classes, since it is the provider's limit. Defers at most until the plan's expiry.
    So does an hourly limit of messages that unverified events have caused. Of the budget, runs that no
    verified event started use ``UNVERIFIED_BUDGET_SHARE``.
    Raises ValueError where there is a budget and the claims were not counted.
    """
    channel = plan.channel
    if channel is Channel.ADS:
        return passed("ads have no provider here")
    open_until = facts.breaker_open_until
    if open_until is not None and open_until > at:
        until = open_until.isoformat()
        detail = f"the provider of {channel.value} failed over and over; left alone until {until}"
        return deferred(Reason.PROVIDER_BUDGET, min(open_until, max(plan.expires_at, at)), detail)
    if (deferral := hourly_deferral(plan, facts, at)) is not None:
        return deferral
    budget = limits.budgets.get(channel)
    if budget is None:
        return passed(f"no budget on {channel.value}{describe_usage(facts)}")
    if facts.claims_last_minute is None:
        raise ValueError(f"expected the claims of the last minute on {channel.value}, got none: count them")
    most, limit = budget.per_minute, str(budget.per_minute)
    if not facts.run_verified and most > 1:
        most = max(1, int(most * UNVERIFIED_BUDGET_SHARE))
        limit = f"{most} (of {budget.per_minute}, as only a page has started this run)"
    detail = f"{facts.claims_last_minute} of {limit} on {channel.value} in the last minute"
    if facts.claims_last_minute < most:
        return passed(f"{detail}{describe_usage(facts)}")
    # The next attempts are spread over a minute by profile, so that they do not come at once.
    wait = BUDGET_WINDOW * (1 + crc32(facts.person.encode()) % 60 / 60)
    return deferred(Reason.PROVIDER_BUDGET, min(at + wait, max(plan.expires_at, at)), detail)
