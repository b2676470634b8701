"""Decides whether a message may reach its recipient at this hour of their day, and when it may next."""

from datetime import datetime

from policy.facts import Facts, Plan
from policy.finding import Finding, deferred, denied, passed
from policy.governing_hours import Governing, governing_hours
from policy.jurisdiction import Jurisdiction
from policy.limits import Limits
from policy.open_hours import common_close, next_common_opening, spans
from policy.spread import wake_up
from policy.verdict import Reason
from policy.windows import in_words
from policy.zones import with_offset, zone_info


def in_open_hours(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Defer to the next opening of the channel by the shop's hours and by the rules of the person's place.

    See ``governing_hours`` for whose hours hold, and ``wake_up`` for how long after the opening the message
    wakes. Denies as expired where nothing opens before the plan's expiry, or within nine days.
    """
    governing = governing_hours(plan, facts, limits)
    if governing is None:
        return passed(f"no quiet hours on {plan.channel.value}")
    now = _now_in_words(governing, facts, with_offset(at))
    before = with_offset(plan.expires_at)
    opening = next_common_opening(governing.hours, governing.zones, at, before=before)
    if opening is None:
        return denied(Reason.EXPIRED, f"{now}; does not open before the expiry")
    if opening <= at:
        return passed(now)
    closes = common_close(governing.hours, governing.zones, opening, before=before)
    until = wake_up(plan, facts, limits, opening, closes)
    return deferred(Reason.QUIET_HOURS, until, f"{now}; {_next_in_words(facts, opening, until)}")


def open_until(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> datetime:
    """Until when (UTC, excluded) a message that may go at ``at`` may still arrive: never past its expiry.

    Every hour that governs the message is open all the time until then. Raises ValueError where one is
    not open at ``at``.
    """
    governing = governing_hours(plan, facts, limits)
    if governing is None:
        return plan.expires_at
    closes = common_close(governing.hours, governing.zones, at, before=plan.expires_at)
    return min(closes or plan.expires_at, plan.expires_at)


def _now_in_words(governing: Governing, facts: Facts, at: datetime) -> str:
    local = at.astimezone(zone_info(facts.zone))
    others = len(governing.zones) - 1
    zone = facts.zone
    if others > 0:
        zone += f" and {others} other zone{'s' if others > 1 else ''} of the country"
    where = f"{zone} (from {facts.zone_source})"
    if governing.places:
        where = f"{' and '.join(governing.places)}, {where}"
    today = spans(governing.hours, local.date())
    hours = f"open {in_words(today)}" if today else f"closed on {local:%A}"
    if names := {name for each in governing.hours.hours if (name := _holiday(each, local))}:
        hours += f" ({' and '.join(sorted(names))})"
    return f"{local:%H:%M} in {where}, {hours}"


def _holiday(hours: object, local: datetime) -> str | None:
    if isinstance(hours, Jurisdiction) and hours.holidays is not None:
        return hours.holiday(local.date())
    return None


def _next_in_words(facts: Facts, opening: datetime, until: datetime) -> str:
    rules = zone_info(facts.zone)
    local, waking = opening.astimezone(rules), until.astimezone(rules)
    later = f", spread out to {waking:%H:%M:%S}" if until > opening else ""
    return f"next {local:%H:%M} on {local:%A}{later}"
