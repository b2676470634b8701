"""Every change of the clocks from 2026 to 2028, found by looking, and instants around it to start from."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from policy.hours.jurisdictions import Jurisdiction
from policy.hours.windows import QuietHours

MINUTE = timedelta(minutes=1)


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """Every change of the offset in 2026 to 2028, by looking at each hour, then each minute."""
    rules, found = ZoneInfo(zone), []
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    while hour.year < 2029:
        following = hour + timedelta(hours=6)
        if hour.astimezone(rules).utcoffset() != following.astimezone(rules).utcoffset():
            minute = hour
            while minute.astimezone(rules).utcoffset() == hour.astimezone(rules).utcoffset():
                minute += MINUTE
            found.append(minute)
        hour = following
    return tuple(found)


def starts_around(change: datetime) -> Iterator[datetime]:
    """Hours before and after, and just before and after."""
    for hours in (-26, -13, -3, -1, 0, 1, 9):
        yield change + timedelta(hours=hours)
    for nudge in (-MINUTE, -timedelta(microseconds=1), timedelta(seconds=59)):
        yield change + nudge


def open_by_model(hours: QuietHours | Jurisdiction, zone: str, at: datetime) -> bool:
    """Whether the hours are open, by the clock on the wall in the zone."""
    here = at.astimezone(ZoneInfo(zone))
    clock, day = here.time(), here.weekday()
    if isinstance(hours, QuietHours):
        after, before = clock >= hours.opens, clock < hours.closes
        return (after and before) if hours.opens < hours.closes else (after or before)
    windows = hours.weekdays
    if day == 5 and hours.saturday is not None:
        windows = hours.saturday
    if day == 6 and hours.sunday is not None:
        windows = hours.sunday
    inside = any(one.opens <= clock and (clock < one.closes or one.closes == time()) for one in windows)
    if hours.holidays is None or not hours.holiday_name(here.date()):
        return inside
    return inside and any(one.opens <= clock < one.closes for one in hours.holidays)
