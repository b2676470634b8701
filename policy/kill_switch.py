"""Decides whether an operator has stopped this channel, this journey, or everything."""

from datetime import datetime

from policy.facts import Facts, Plan
from policy.finding import Finding, denied, passed
from policy.limits import Limits
from policy.verdict import Reason


def not_switched_off(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny while a kill switch names "all", the plan's channel or its journey."""
    stopped = [
        name for name in limits.kill_switches if name and name in ("all", plan.channel.value, plan.journey)
    ]
    if stopped:
        return denied(Reason.KILL_SWITCH, f"kill switch on for {', '.join(dict.fromkeys(stopped))}")
    return passed("no kill switch")
