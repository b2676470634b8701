"""Decides whether an operator has stopped this channel, this journey, this template, or everything."""

from datetime import datetime, timedelta

from policy.facts import Facts, Plan
from policy.finding import Finding, deferred, denied, passed
from policy.limits import Limits
from policy.stop import Stop, StopKind
from policy.verdict import Reason

LOOK_AGAIN = timedelta(minutes=5)
"""How long a stopped message waits before it passes the whole gate again, within the first hour of a stop."""
LONGEST_LOOK = timedelta(hours=1)

_PATIENCE = 12
"""A stop is looked at again after a twelfth of its age, so that one of days costs a run little."""


def not_switched_off(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Defer while a switch names the plan's channel, journey or template, or everything.

    Somebody who flips a switch for ten minutes does not want the sends of ten minutes lost, so a switch of
    the database defers, at most until the plan's expiry; a message that is still stopped then is withheld.
    A name in the limits is a decision of the deployment, and withholds at once.
    """
    names = ("all", plan.channel.value, plan.journey, plan.template)
    stopped = [name for name in limits.kill_switches if name and name in names]
    if stopped:
        return denied(Reason.KILL_SWITCH, f"kill switch on for {', '.join(dict.fromkeys(stopped))}")
    stops = [stop for stop in facts.stopped if _names(stop, plan)]
    if not stops:
        return passed("no kill switch")
    said = ", ".join(
        f"{stop.words} is stopped since {stop.since.isoformat(' ', 'minutes')}" for stop in stops
    )
    if at >= plan.expires_at:
        return denied(Reason.KILL_SWITCH, f"{said}, and the message has expired")
    age = at - min(stop.since for stop in stops)
    wait = min(max(age / _PATIENCE, LOOK_AGAIN), LONGEST_LOOK)
    return deferred(Reason.KILL_SWITCH, min(at + wait, plan.expires_at), said)


def _names(stop: Stop, plan: Plan) -> bool:
    match stop.kind:
        case StopKind.ALL:
            return True
        case StopKind.CHANNEL:
            return stop.name == plan.channel.value
        case StopKind.JOURNEY:
            return stop.name == plan.journey
        case StopKind.TEMPLATE:
            return stop.name == plan.template
    raise ValueError(f"expected a kind of stop, got {stop.kind!r}")
