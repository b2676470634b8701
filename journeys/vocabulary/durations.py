"""Lengths of time that read like words."""

from datetime import timedelta


def minutes(n: float) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    """So many hours."""
    return timedelta(hours=n)


def days(n: float) -> timedelta:
    """So many times 24 hours."""
    return timedelta(days=n)


def weeks(n: float) -> timedelta:
    """So many times seven days."""
    return timedelta(weeks=n)


def format_rounded_duration(length: timedelta) -> str:
    """A length as an operator reads it: "2 days 3 h", "45 min", "12 s"."""
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            plural = "s" if unit == "day" and count > 1 else ""
            parts.append(f"{count} {unit}{plural}")
    return " ".join(parts[:2]) or "no time"
