"""Calendar of a test: its start, and instants in a shopper's local time."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DEFAULT_TIMEZONE = "Europe/Berlin"
"""Zone of shoppers, unless a test sets another."""


def first_monday(year: int, month: int) -> date:
    """Return the first Monday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=-first.weekday() % 7)


DEFAULT_START = datetime.combine(
    first_monday(datetime.now(UTC).year + 1, 6), time(12), ZoneInfo(DEFAULT_TIMEZONE)
).astimezone(UTC)
"""Noon in Berlin on the first Monday of next June: the same weekday, hour and offset whenever a test runs. It
lies in the future because a run cannot start in Temporal's past."""


def day_number(at: datetime, start: datetime, zone: str) -> int:
    """Return the day of the test, counted from 1, with days that begin at the shopper's midnight."""
    rules = ZoneInfo(zone)
    return (at.astimezone(rules).date() - start.astimezone(rules).date()).days + 1


def format_day_time(at: datetime, start: datetime, zone: str) -> str:
    """Return an instant in the shopper's zone, such as "day 2 09:00"."""
    return f"day {day_number(at, start, zone)} {at.astimezone(ZoneInfo(zone)):%H:%M}"


def next_time_of_day(now: datetime, wanted: time, zone: str) -> datetime:
    """Return the next instant after ``now`` at which clocks in ``zone`` show ``wanted``."""
    local = now.astimezone(ZoneInfo(zone))
    wanted_at = local.replace(
        hour=wanted.hour, minute=wanted.minute, second=wanted.second, microsecond=wanted.microsecond
    )
    if wanted_at <= local:
        wanted_at = (wanted_at + timedelta(days=1)).replace(fold=0)
    return wanted_at.astimezone(UTC)
