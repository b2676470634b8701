"""Decides whether a channel is open at an instant in the recipient's zone, and when it opens next."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policy.facts import Facts, Plan
from policy.finding import Finding, deferred, denied, passed
from policy.limits import Limits, QuietHours
from policy.verdict import Channel, Reason
from policy.zones import offset_change, with_offset, zone_info

_DAY = timedelta(days=1)
_FAR = timedelta(days=9)


def is_open(hours: QuietHours, zone: str, at: datetime) -> bool:
    """Whether the wall clock in ``zone`` is in the window at ``at``: ``opens`` included, ``closes`` not.

    A window may cross midnight (opens 22:00, closes 06:00). Where both ends are equal it is open round
    the clock. Raises ValueError for an unknown zone and for ``at`` without an offset.
    """
    return _holds(hours, with_offset(at).astimezone(zone_info(zone)).time())


def next_opening(hours: QuietHours, zone: str, at: datetime) -> datetime:
    """The first instant (UTC) not before ``at`` at which the window is open; ``at`` itself if it is.

    Right across clock changes: a skipped opening time opens at the moment of the change, and clocks
    that go back into the window open it again. Raises ValueError for an unknown zone and for
    ``at`` without an offset.
    """
    return _first_instant(hours, zone_info(zone), at, wanted=True)


def closes_at(hours: QuietHours, zone: str, at: datetime) -> datetime | None:
    """The end (UTC, excluded) of the window that is open at ``at``; None where it never closes.

    A provider's validity period that ends here never delivers into quiet hours. Where clocks go back
    over the closing time, the first of the two is the end. Raises ValueError for an unknown zone, for
    ``at`` without an offset, and where the window is not open then.
    """
    if not is_open(hours, zone, at):
        raise ValueError(
            f"expected an instant in the window {_in_words(hours)} of {zone}, got {at.isoformat()}; "
            "ask for next_opening first"
        )
    if hours.opens == hours.closes:
        return None
    return _first_instant(hours, zone_info(zone), at, wanted=False)


def in_open_hours(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    """Defer a message of either class to the next opening of its channel in the person's zone.

    Denies as expired where the window opens only at or after the plan's expiry. Ads have no quiet
    hours; other channels have those that the limits name.
    """
    hours = limits.quiet_hours.get(plan.channel)
    if hours is None or plan.channel is Channel.ADS:
        return passed(f"no quiet hours on {plan.channel.value}")
    zones = facts.zones or (facts.zone,)
    local = with_offset(at).astimezone(zone_info(facts.zone))
    now = f"{local:%H:%M} in {_zones_in_words(facts)} (from {facts.zone_source}), open {_in_words(hours)}"
    opening = next_common_opening(hours, zones, at, before=with_offset(plan.expires_at))
    if opening is None:
        return denied(Reason.EXPIRED, f"{now}; does not open before the expiry")
    if opening <= at:
        return passed(now)
    return deferred(Reason.QUIET_HOURS, opening, f"{now}; opens at {opening.isoformat()}")


def next_common_opening(
    hours: QuietHours, zones: Sequence[str], at: datetime, *, before: datetime
) -> datetime | None:
    """The first instant (UTC) not before ``at`` at which the window is open in every zone.

    ``at`` itself where it is; None where none lies before ``before``, or within nine days: zones too far
    apart may never agree.
    """
    limit = min(before, at + _FAR)
    now = at
    while True:
        latest = max(next_opening(hours, zone, now) for zone in zones)
        if latest <= now:
            return now
        if latest >= limit:
            return None
        now = latest


def common_close(hours: QuietHours, zones: Sequence[str], at: datetime) -> datetime | None:
    """The first end (UTC, excluded) of the windows open at ``at`` in these zones; None: they never close.

    Raises ValueError where one of them is not open then.
    """
    ends = [end for zone in zones if (end := closes_at(hours, zone, at)) is not None]
    return min(ends, default=None)


def _zones_in_words(facts: Facts) -> str:
    others = len(facts.zones) - 1
    return facts.zone if others < 1 else f"{facts.zone} and {others} other zones of the country"


def _holds(hours: QuietHours, clock: time) -> bool:
    if hours.opens < hours.closes:
        return hours.opens <= clock < hours.closes
    return clock >= hours.opens or clock < hours.closes


def _first_instant(hours: QuietHours, zone: ZoneInfo, at: datetime, *, wanted: bool) -> datetime:
    # Between two changes of the offset the wall clock runs evenly, so the next edge is arithmetic; at a
    # change the clock jumps, so the question is put again there.
    edge = _since_midnight(hours.opens if wanted else hours.closes)
    now = with_offset(at).astimezone(UTC)
    while True:
        clock = now.astimezone(zone).time()
        if _holds(hours, clock) is wanted:
            return now
        candidate = now + (edge - _since_midnight(clock)) % _DAY
        change = offset_change(zone, now, candidate)
        if change is None:
            return candidate
        now = change


def _since_midnight(clock: time) -> timedelta:
    return timedelta(
        hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond
    )


def _in_words(hours: QuietHours) -> str:
    return f"{hours.opens:%H:%M} to {hours.closes:%H:%M}"
