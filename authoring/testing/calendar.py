"""The days of a test: where its calendar starts, and how an instant is written for a shopper."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DEFAULT_TIMEZONE = "Europe/Berlin"
"""Where shoppers live unless a test says otherwise."""


def first_monday(year: int, month: int) -> date:
    """The first Monday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=-first.weekday() % 7)


DEFAULT_START = datetime.combine(
    first_monday(datetime.now(UTC).year + 1, 6), time(12), ZoneInfo(DEFAULT_TIMEZONE)
).astimezone(UTC)
"""Noon in Berlin on the first Monday of next June: the same weekday, hour and offset whenever a test runs.
It lies ahead because a run cannot start in Temporal's past."""


def day_number(at: datetime, start: datetime, zone: str) -> int:
    """The day of the story, counted from 1 by the shopper's own midnight."""
    rules = ZoneInfo(zone)
    return (at.astimezone(rules).date() - start.astimezone(rules).date()).days + 1


def format_day_time(at: datetime, start: datetime, zone: str) -> str:
    """ "day 2 09:00", by the shopper's clock."""
    return f"day {day_number(at, start, zone)} {at.astimezone(ZoneInfo(zone)):%H:%M}"


def next_time_of_day(now: datetime, wanted: time, zone: str) -> datetime:
    """The next instant after ``now`` at which the clock in ``zone`` shows ``wanted``."""
    local = now.astimezone(ZoneInfo(zone))
    found = local.replace(
        hour=wanted.hour, minute=wanted.minute, second=wanted.second, microsecond=wanted.microsecond
    )
    if found <= local:
        found = (found + timedelta(days=1)).replace(fold=0)
    return found.astimezone(UTC)
