"""Where calendar days, weeks and months begin and end in a zone, as instants."""

from datetime import date, datetime, time, timedelta

from policy.limits import Period
from policy.zones import instant_of, with_offset, zone_info

_DAY = timedelta(days=1)


def period_of(per: Period, at: datetime, zone: str) -> tuple[datetime, datetime]:
    """The period around ``at``: its first instant, and the first one of the next (both UTC).

    A day begins when its first midnight comes round in the zone, or at the change of the clocks where there
    is none; so it may last 23 or 25 hours, and every instant is in exactly one. Weeks begin on Monday.
    Raises ValueError for an unknown zone and for ``at`` without an offset.
    """
    first = _first_day(per, with_offset(at).astimezone(zone_info(zone)).date())
    start, end = _begins(first, zone), _begins(following := _next(per, first), zone)
    while end <= at:
        # Clocks that went back over midnight: it is yesterday again by the wall, and the day has begun.
        following = _next(per, following)
        start, end = end, _begins(following, zone)
    return start, end


def since_in_words(per: Period, at: datetime, zone: str) -> str:
    """The period around ``at``, for details: "this week (since Monday 00:00 Europe/Berlin)"."""
    start, _ = period_of(per, at, zone)
    local = start.astimezone(zone_info(zone))
    since = f"{local:%H:%M} {zone}"
    match per:
        case Period.DAY:
            return f"today (since {since})"
        case Period.WEEK:
            return f"this week (since {local:%A} {since})"
        case _:
            return f"this month (since {local.day} {local:%B} {since})"


def _begins(day: date, zone: str) -> datetime:
    return instant_of(day, time(), zone)


def _first_day(per: Period, day: date) -> date:
    match per:
        case Period.DAY:
            return day
        case Period.WEEK:
            return day - day.weekday() * _DAY
        case _:
            return day.replace(day=1)


def _next(per: Period, first: date) -> date:
    match per:
        case Period.DAY:
            return first + _DAY
        case Period.WEEK:
            return first + 7 * _DAY
        case _:
            return (first + 31 * _DAY).replace(day=1)
