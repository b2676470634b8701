"""Checks frequency caps and priority: caps over rolling windows and calendar periods, and how the slots that
are left are reserved for messages of higher priority."""

from datetime import date, datetime, time, timedelta
from functools import lru_cache

from policy.checks.first_contacts import address_denial
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
"""Upper bounds of the periods' lengths, with clock changes in them."""

_DAY = timedelta(days=1)

SLOT_RESERVATION = timedelta(hours=1)
"""How long after its ``until`` a deferred message keeps its slot. Its run tries again before that."""

YIELD_RETRY_DELAY = timedelta(minutes=5)
"""How long after the ``until`` of a message with priority the message that yielded tries again."""


def required_history(limits: Limits) -> timedelta:
    """Return how far back sent messages must be read for all caps and for duplicates."""
    return max([limits.duplicates_within, *(_cap_length(cap) for cap in limits.caps)])


def cap_applies(cap: Cap, message: Plan | SentFact | WaitingFact) -> bool:
    """Return whether the message matches the cap's channel, journey and topic, where these are set."""
    return (
        cap.channel in (None, message.channel)
        and cap.journey in (None, message.journey)
        and cap.topic in (None, message.topic)
    )


def counts_until(cap: Cap, sent_at: datetime, zone: str) -> datetime:
    """Return the instant from which a message sent at ``sent_at`` no longer counts (included)."""
    if cap.per is not None:
        return period_bounds(cap.per, sent_at, zone)[1]
    return sent_at + _cap_length(cap)


def slot_release_times(cap: Cap, facts: Facts, at: datetime) -> list[datetime]:
    """Return, in order, the instants from which the messages that count at ``at`` no longer count.

    A message with a time after ``at`` counts as well, since clocks may differ. Ads never count.
    """
    ends = (
        counts_until(cap, sent.at, facts.zone)
        for sent in facts.sent
        if sent.channel is not Channel.ADS and cap_applies(cap, sent)
    )
    return sorted(end for end in ends if end > at)


def count_used_slots(cap: Cap, facts: Facts, at: datetime) -> int:
    """Return how many messages count against the cap.

    For a window: those sent after ``at`` − window, that instant excluded. For a calendar period: those sent
    from its first instant on.
    """
    return len(slot_release_times(cap, facts, at))


def is_subject_to_caps(plan: Plan) -> bool:
    """Return whether caps apply to the message: transactional messages and ads are not capped."""
    return plan.message_class is not MessageClass.TRANSACTIONAL and plan.channel is not Channel.ADS


def under_caps(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing that exceeds a cap; defer it where the policy or its journey says "wait".

    It is deferred until enough messages no longer count, under every cap. Transactional messages and ads are
    neither capped nor counted. But an address that only pages have named gets few messages a day of any kind.
    """
    if (denial := address_denial(facts)) is not None:
        return denial
    if not is_subject_to_caps(plan):
        kind = "ads" if plan.channel is Channel.ADS else "transactional messages"
        return passed(f"{kind} are not capped")
    used = [(cap, slot_release_times(cap, facts, at)) for cap in limits.caps if cap_applies(cap, plan)]
    full = [(cap, ends) for cap, ends in used if len(ends) >= cap.limit]
    if not full:
        return passed("; ".join(_describe_usage(cap, len(ends), facts, at) for cap, ends in used) or "no cap")
    words = "; ".join(_describe_usage(cap, len(ends), facts, at) for cap, ends in full)
    # A cap with limit 0 never has a slot.
    fits = None if any(cap.limit == 0 for cap, _ in full) else max(e[len(e) - cap.limit] for cap, e in full)
    return on_cap_reached(plan, limits, Reason.CAPPED, fits, f"cap reached: {words}")


def _cap_length(cap: Cap) -> timedelta:
    return _MAX_PERIOD_LENGTHS[cap.per] if cap.per is not None else cap.window or timedelta(0)


def _describe_usage(cap: Cap, count: int, facts: Facts, at: datetime) -> str:
    return f"{count} of {cap.limit} {describe_cap(cap, facts, at)}"


def describe_cap(cap: Cap, facts: Facts, at: datetime) -> str:
    """Describe the cap and its period: "on email for win-back this week (since Monday …)"."""
    if cap.per:
        return f"{_describe_cap_scope(cap)} {describe_period(cap.per, at, facts.zone)}"
    return f"{_describe_cap_scope(cap)} in {format_duration(_cap_length(cap))}"


@lru_cache(maxsize=1024)
def _describe_cap_scope(cap: Cap) -> str:
    scope = {"on": cap.channel and cap.channel.value, "for": cap.journey, "about": cap.topic}
    return " ".join(f"{word} {name}" for word, name in scope.items() if name) or "on all channels"


def on_cap_reached(
    plan: Plan, limits: Limits, reason: Reason, fits_at: datetime | None, detail: str
) -> CheckResult:
    """Deny, or defer where the policy says "wait", or else the plan does.

    ``fits_at`` is the earliest instant at which there may be a slot; None: there will be none. A message to
    be deferred to its expiry or later is denied as expired.
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


def period_bounds(per: CalendarPeriod, at: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return the first instant of the period around ``at``, and of the next period (both UTC).

    A day begins at its first midnight in the zone, or at the clock change that skips midnight. So a day may
    last 23 or 25 hours, and every instant is in exactly one day. Weeks begin on Monday. Raises ValueError for
    an unknown zone and for ``at`` without an offset.
    """
    first = _first_day_of_period(per, require_offset(at).astimezone(zone_info(zone)).date())
    following = _first_day_of_next_period(per, first)
    start, end = _start_of_day(first, zone), _start_of_day(following, zone)
    while end <= at:  # pragma: no mutate: the first instant of a period is never an end
        # The clocks went back over midnight: the local date is the day before, but the new day has begun.
        following = _first_day_of_next_period(per, following)
        start, end = end, _start_of_day(following, zone)
    return start, end


def describe_period(per: CalendarPeriod, at: datetime, zone: str) -> str:
    """Describe the period around ``at`` for details: "this week (since Monday 00:00 Europe/Berlin)"."""
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
        case CalendarPeriod.DAY:  # pragma: no mutate: the loop from the first of the month ends here too
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


def has_priority(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing where deferred messages of higher rank need all free slots of a cap.

    The rank is the priority of the journey in ``limits``, then the value, then the time of the first request.
    It is a strict order, so no two messages yield to each other. A deferred message counts where the cap
    matches it, its ``until`` is before the planned message would no longer count, it has not expired, and its
    reservation has not lapsed. Full caps are left to ``under_caps``.
    """
    if not is_subject_to_caps(plan):
        return passed("not capped, so it yields to nobody")
    waiting = [message for message in facts.waiting if _holds_reservation(message, at)]
    ahead = [message for message in waiting if outranks(message, plan, limits)]
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
    # If all the messages due until then were withheld, one slot would be left for this message.
    turns = [sorted(message.until for message in rivals)[len(rivals) - free] for _, free, rivals in tight]
    fits = max(at, *turns) + YIELD_RETRY_DELAY
    return on_cap_reached(plan, limits, Reason.LOWER_PRIORITY, fits, words)


def outranks(deferred_message: WaitingFact, plan: Plan, limits: Limits) -> bool:
    """Return whether a deferred message ranks before the planned one: a strict order over all messages."""
    deferred_rank = (limits.priorities.get(deferred_message.journey, 0), deferred_message.value)
    planned_rank = (limits.priorities.get(plan.journey, 0), plan.value)
    if deferred_rank != planned_rank:
        return deferred_rank > planned_rank
    first_request = (deferred_message.since, deferred_message.message_id)
    return plan.since is None or first_request < (plan.since, plan.message_id)


def _holds_reservation(message: WaitingFact, at: datetime) -> bool:
    return at < message.expires_at and at < message.until + SLOT_RESERVATION


def _competing_messages(cap: Cap, ahead: list[WaitingFact], facts: Facts, at: datetime) -> list[WaitingFact]:
    counted_until = counts_until(cap, at, facts.zone)
    return [message for message in ahead if cap_applies(cap, message) and message.until < counted_until]


def _describe_reserved_slots(
    cap: Cap, free: int, rivals: list[WaitingFact], facts: Facts, at: datetime
) -> str:
    names = ", ".join(dict.fromkeys(message.journey for message in rivals))
    slots = "the slot" if free == 1 else f"the {free} slots"
    usage = f"{slots} left of {cap.limit} {describe_cap(cap, facts, at)}"
    return f"{usage}: {len(rivals)} of {names} waiting go first"
