"""Decides whether a message leaves the last slots of a cap to more important ones that wait for theirs."""

from datetime import datetime, timedelta

from policy.caps import counted, is_capped, leaves, matches, said
from policy.facts import Facts, Plan, WaitingFact
from policy.finding import Finding, passed
from policy.limits import Cap, Limits
from policy.verdict import Reason
from policy.when_capped import no_slot

ITS_TURN = timedelta(hours=1)
"""How long after its time a waiting message still has its slot kept; its run has asked by then, if ever."""

AFTER_ITS_TURN = timedelta(minutes=5)
"""How long after another's time a message that yielded to it asks again; by then the other has asked."""


def yields_to_nobody(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Deny marketing where a cap has no more slots left than more important messages wait for.

    More important is the higher priority of the journey in ``limits``, then the higher value, then who came
    first. Two messages always agree on which of them that is, so no two of them yield to each other. One
    that waits counts where the cap matches it, its time comes while this message would still count, and it
    has neither expired nor let its turn pass. A cap that is full is not this check's concern: nobody could
    be yielded to.
    """
    if not is_capped(plan):
        return passed("not capped, so it yields to nobody")
    ahead = [one for one in facts.waiting if _still_waits(one, at) and outranks(one, plan, limits)]
    tight = [
        (cap, free, rivals)
        for cap in limits.caps
        if matches(cap, plan)
        and (free := cap.limit - counted(cap, facts, at)) > 0
        and free <= len(rivals := _rivals(cap, ahead, facts, at))
    ]
    if not tight:
        others = f"; {len(facts.waiting)} waiting" if facts.waiting else ""
        return passed(f"nothing more important needs the slot{others}")
    words = "; ".join(_in_words(cap, free, rivals, facts, at) for cap, free, rivals in tight)
    # Had all of those been withheld who come up until then, one slot would be left for this message.
    turns = [sorted(one.until for one in rivals)[len(rivals) - free] for _, free, rivals in tight]
    fits = max(at, *turns) + AFTER_ITS_TURN
    return no_slot(plan, limits, Reason.LOWER_PRIORITY, fits, words)


def outranks(one: WaitingFact, plan: Plan, limits: Limits) -> bool:
    """Whether a waiting message goes before the planned one: a strict order over all messages."""
    theirs = (limits.priorities.get(one.journey, 0), one.value)
    ours = (limits.priorities.get(plan.journey, 0), plan.value)
    if theirs != ours:
        return theirs > ours
    return plan.since is None or (one.since, one.message_id) < (plan.since, plan.message_id)


def _still_waits(one: WaitingFact, at: datetime) -> bool:
    return at < one.expires_at and at < one.until + ITS_TURN


def _rivals(cap: Cap, ahead: list[WaitingFact], facts: Facts, at: datetime) -> list[WaitingFact]:
    gone = leaves(cap, at, facts.zone)
    return [one for one in ahead if matches(cap, one) and one.until < gone]


def _in_words(cap: Cap, free: int, rivals: list[WaitingFact], facts: Facts, at: datetime) -> str:
    names = ", ".join(dict.fromkeys(one.journey for one in rivals))
    slots = "the slot" if free == 1 else f"the {free} slots"
    return f"{slots} left of {cap.limit} {said(cap, facts, at)}: {len(rivals)} of {names} waiting go first"
