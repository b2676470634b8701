"""Every change of the clocks from 2026 to 2028, found by looking, and instants around it to start from."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

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
