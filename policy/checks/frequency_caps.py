"""Decides whether a person has had enough marketing for now: caps over windows and calendar periods."""

from datetime import date, datetime, time, timedelta
from functools import lru_cache

from policy.checks.result import CheckResult, deferred, denied, passed
from policy.durations import format_duration
from policy.facts import Facts, Plan, SentFact, WaitingFact
from policy.hours.time_zones import local_to_utc, require_offset, zone_info
from policy.limits import CalendarPeriod, Cap, CapReachedAction, Limits
from policy.verdict import Channel, MessageClass, Reason

_MAX_PERIOD_LENGTHS = {
    CalendarPeriod.DAY: timedelta(days=2),
    CalendarPeriod.WEEK: timedelta(days=8),
    CalendarPeriod.MONTH: timedelta(days=32),
}
"""No period is longer, whatever the clocks do in it."""


def required_history(limits: Limits) -> timedelta:
    """How far back sent messages have to be known, so that every cap and every repetition can be counted."""
    return max([limits.duplicates_within, *(_cap_length(cap) for cap in limits.caps)])


def cap_applies(cap: Cap, message: Plan | SentFact | WaitingFact) -> bool:
    """Whether the cap is about such a message: everything it names, the message has."""
    return (
        cap.channel in (None, message.channel)
        and cap.journey in (None, message.journey)
        and cap.topic in (None, message.topic)
    )


def counts_until(cap: Cap, sent_at: datetime, zone: str) -> datetime:
    """From when on a message sent at ``sent_at`` no longer counts: that instant is free of it."""
    if cap.per is not None:
        return period_bounds(cap.per, sent_at, zone)[1]
    return sent_at + _cap_length(cap)


def slot_release_times(cap: Cap, facts: Facts, at: datetime) -> list[datetime]:
    """The instants from which the messages that count at ``at`` no longer will, the first one first.

    There is no upper bound: under clocks that disagree, a message stamped ahead of ``at`` was still
    sent. Ads are shown, not sent, and never count.
    """
    ends = (
        counts_until(cap, sent.at, facts.zone)
        for sent in facts.sent
        if sent.channel is not Channel.ADS and cap_applies(cap, sent)
    )
    return sorted(end for end in ends if end > at)


def count_used_slots(cap: Cap, facts: Facts, at: datetime) -> int:
    """How many messages count against the cap.

    Of a window those sent after ``at`` − window, that instant excluded; of a calendar period those sent from
    its first instant on.
    """
    return len(slot_release_times(cap, facts, at))


def is_subject_to_caps(plan: Plan) -> bool:
    """Whether caps are about such a message at all: transactional ones and ads are not capped."""
    return plan.message_class is not MessageClass.TRANSACTIONAL and plan.channel is not Channel.ADS


def under_caps(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing beyond any cap that matches it; put it off instead where its journey waits.

    It fits again when the oldest messages that count have left their windows or periods, under every cap.
    Transactional messages and ads are neither capped nor counted.
    """
    if not is_subject_to_caps(plan):
        kind = "ads" if plan.channel is Channel.ADS else "transactional messages"
        return passed(f"{kind} are not capped")
    used = [(cap, slot_release_times(cap, facts, at)) for cap in limits.caps if cap_applies(cap, plan)]
    full = [(cap, ends) for cap, ends in used if len(ends) >= cap.limit]
    if not full:
        return passed("; ".join(_describe_usage(cap, len(ends), facts, at) for cap, ends in used) or "no cap")
    words = "; ".join(_describe_usage(cap, len(ends), facts, at) for cap, ends in full)
    # A cap of none never has room again.
    fits = None if any(cap.limit == 0 for cap, _ in full) else max(e[len(e) - cap.limit] for cap, e in full)
    return on_cap_reached(plan, limits, Reason.CAPPED, fits, f"cap reached: {words}")


def _cap_length(cap: Cap) -> timedelta:
    return _MAX_PERIOD_LENGTHS[cap.per] if cap.per is not None else cap.window or timedelta(0)


def _describe_usage(cap: Cap, count: int, facts: Facts, at: datetime) -> str:
    return f"{count} of {cap.limit} {describe_cap(cap, facts, at)}"


def describe_cap(cap: Cap, facts: Facts, at: datetime) -> str:
    """What the cap is about, and since when: "on email for win-back this week (since Monday …)"."""
    if cap.per:
        return f"{_describe_cap_scope(cap)} {describe_period(cap.per, at, facts.zone)}"
    return f"{_describe_cap_scope(cap)} in {format_duration(_cap_length(cap))}"


@lru_cache(maxsize=1024)
def _describe_cap_scope(cap: Cap) -> str:
    named = [
        *([f"on {cap.channel.value}"] if cap.channel else []),
        *([f"for {cap.journey}"] if cap.journey else []),
        *([f"about {cap.topic}"] if cap.topic else []),
    ]
    return " ".join(named) or "on all channels"


def on_cap_reached(
    plan: Plan, limits: Limits, reason: Reason, fits_at: datetime | None, detail: str
) -> CheckResult:
    """Deny, or defer where the journey waits for its turn: the shop's rule first, then the journey's own.

    ``fits_at``: the first instant at which there may be a slot, as far as is known now; None: there will be
    none. One that waits and would fit only at or after its expiry is denied as expired.
    """
    if fits_at is None:
        return denied(reason, detail)
    fits = f"{detail}; fits at {fits_at.isoformat()} at the earliest"
    rule = limits.when_capped.get(plan.journey) or plan.when_capped or CapReachedAction.WITHHOLD
    if rule != CapReachedAction.WAIT:
        return denied(reason, fits)
    if fits_at >= require_offset(plan.expires_at):
        return denied(Reason.EXPIRED, f"{fits}, which is not before the expiry")
    return deferred(reason, fits_at, fits)


_DAY = timedelta(days=1)


def period_bounds(per: CalendarPeriod, at: datetime, zone: str) -> tuple[datetime, datetime]:
    """The period around ``at``: its first instant, and the first one of the next (both UTC).

    A day begins when its first midnight comes round in the zone, or at the change of the clocks where there
    is none; so it may last 23 or 25 hours, and every instant is in exactly one. Weeks begin on Monday.
    Raises ValueError for an unknown zone and for ``at`` without an offset.
    """
    first = _first_day_of_period(per, require_offset(at).astimezone(zone_info(zone)).date())
    start, end = (
        _start_of_day(first, zone),
        _start_of_day(following := _first_day_of_next_period(per, first), zone),
    )
    while end <= at:
        # Clocks that went back over midnight: it is yesterday again by the wall, and the day has begun.
        following = _first_day_of_next_period(per, following)
        start, end = end, _start_of_day(following, zone)
    return start, end


def describe_period(per: CalendarPeriod, at: datetime, zone: str) -> str:
    """The period around ``at``, for details: "this week (since Monday 00:00 Europe/Berlin)"."""
    start, _ = period_bounds(per, at, zone)
    local = start.astimezone(zone_info(zone))
    since = f"{local:%H:%M} {zone}"
    match per:
        case CalendarPeriod.DAY:
            return f"today (since {since})"
        case CalendarPeriod.WEEK:
            return f"this week (since {local:%A} {since})"
        case _:
            return f"this month (since {local.day} {local:%B} {since})"


def _start_of_day(day: date, zone: str) -> datetime:
    return local_to_utc(day, time(), zone)


def _first_day_of_period(per: CalendarPeriod, day: date) -> date:
    match per:
        case CalendarPeriod.DAY:
            return day
        case CalendarPeriod.WEEK:
            return day - day.weekday() * _DAY
        case _:
            return day.replace(day=1)


def _first_day_of_next_period(per: CalendarPeriod, first: date) -> date:
    match per:
        case CalendarPeriod.DAY:
            return first + _DAY
        case CalendarPeriod.WEEK:
            return first + 7 * _DAY
        case _:
            return (first + 31 * _DAY).replace(day=1)


SLOT_RESERVATION = timedelta(hours=1)
"""How long after its time a waiting message still has its slot kept; its run has asked by then, if ever."""

YIELD_RETRY_DELAY = timedelta(minutes=5)
"""How long after another's time a message that yielded to it asks again; by then the other has asked."""


def has_priority(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing where a cap has no more slots left than more important messages wait for.

    More important is the higher priority of the journey in ``limits``, then the higher value, then who came
    first. Two messages always agree on which of them that is, so no two of them yield to each other. One
    that waits counts where the cap matches it, its time comes while this message would still count, and it
    has neither expired nor let its turn pass. A cap that is full is not this check's concern: nobody could
    be yielded to.
    """
    if not is_subject_to_caps(plan):
        return passed("not capped, so it yields to nobody")
    ahead = [one for one in facts.waiting if _holds_reservation(one, at) and outranks(one, plan, limits)]
    tight = [
        (cap, free, rivals)
        for cap in limits.caps
        if cap_applies(cap, plan)
        and (free := cap.limit - count_used_slots(cap, facts, at)) > 0
        and free <= len(rivals := _competing_messages(cap, ahead, facts, at))
    ]
    if not tight:
        others = f"; {len(facts.waiting)} waiting" if facts.waiting else ""
        return passed(f"nothing more important needs the slot{others}")
    words = "; ".join(_describe_reserved_slots(cap, free, rivals, facts, at) for cap, free, rivals in tight)
    # Had all of those been withheld who come up until then, one slot would be left for this message.
    turns = [sorted(one.until for one in rivals)[len(rivals) - free] for _, free, rivals in tight]
    fits = max(at, *turns) + YIELD_RETRY_DELAY
    return on_cap_reached(plan, limits, Reason.LOWER_PRIORITY, fits, words)


def outranks(deferred_message: WaitingFact, plan: Plan, limits: Limits) -> bool:
    """Whether a waiting message goes before the planned one: a strict order over all messages."""
    theirs = (limits.priorities.get(deferred_message.journey, 0), deferred_message.value)
    ours = (limits.priorities.get(plan.journey, 0), plan.value)
    if theirs != ours:
        return theirs > ours
    return plan.since is None or (deferred_message.since, deferred_message.message_id) < (
        plan.since,
        plan.message_id,
    )


def _holds_reservation(one: WaitingFact, at: datetime) -> bool:
    return at < one.expires_at and at < one.until + SLOT_RESERVATION


def _competing_messages(cap: Cap, ahead: list[WaitingFact], facts: Facts, at: datetime) -> list[WaitingFact]:
    gone = counts_until(cap, at, facts.zone)
    return [one for one in ahead if cap_applies(cap, one) and one.until < gone]


def _describe_reserved_slots(
    cap: Cap, free: int, rivals: list[WaitingFact], facts: Facts, at: datetime
) -> str:
    names = ", ".join(dict.fromkeys(one.journey for one in rivals))
    slots = "the slot" if free == 1 else f"the {free} slots"
    return f"{slots} left of {cap.limit} {describe_cap(cap, facts, at)}: {len(rivals)} of {names} waiting go first"
