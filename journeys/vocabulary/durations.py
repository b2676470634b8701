"""Durations in words: ``days(3)``, the text of a duration in rounded units, and the days of the week."""

from datetime import timedelta
from enum import IntEnum


def minutes(n: float) -> timedelta:
    """A duration in minutes."""
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    """A duration in hours."""
    return timedelta(hours=n)


def days(n: float) -> timedelta:
    """A duration in days of 24 hours."""
    return timedelta(days=n)


def weeks(n: float) -> timedelta:
    """A duration in weeks of seven days."""
    return timedelta(weeks=n)


def format_rounded_duration(length: timedelta) -> str:
    """Return a duration in at most two units: "2 days 3 h", "45 min", "12 s"."""
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            plural = "s" if unit == "day" and count > 1 else ""
            parts.append(f"{count} {unit}{plural}")
    return " ".join(parts[:2]) or "no time"


class Weekday(IntEnum):
    """Days of the week for ``sleep_until``, numbered as by ``date.weekday()``."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6
