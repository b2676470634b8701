"""Decides whether a message would only say again what another run has just said to the person."""

from datetime import datetime

from policy.durations import in_words
from policy.facts import Facts, Plan, SentFact
from policy.finding import Finding, denied, passed
from policy.limits import Limits
from policy.relevance import items_left
from policy.verdict import MessageClass, Reason


def says_something_new(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny marketing that another run of the person has sent of late: the same template, and no other items.

    So one person who turns out to be two profiles, or has two carts with one lamp, is reminded of it once,
    on whatever channel. What promotes nothing is no concern of this check, and neither is what the same run
    sends: its story decides on that. Where nothing is left to promote, there is nothing to say again.
    """
    window = limits.duplicates_within
    if plan.message_class is MessageClass.TRANSACTIONAL or not plan.promoting or not window:
        return passed("nothing to compare with")
    same = [one for one in facts.sent if _is_of_another_run(one, plan) and one.at > at - window]
    kept = set(items_left(plan, facts, limits, at).kept) if same else set()
    told = next((one for one in same if kept and kept <= set(one.items)), None)
    if told:
        detail = f"{plan.template} about the same items went by {told.channel.value}"
        from_run = f"from another run of {told.journey}, on {told.at.isoformat()}"
        return denied(Reason.DUPLICATE, f"{detail} {from_run}")
    return passed(f"not said by another run in {in_words(window)}")


def _is_of_another_run(one: SentFact, plan: Plan) -> bool:
    return bool(one.template) and one.template == plan.template and not plan.key.startswith(f"{one.run}/")
