"""Durations as text: parsed from the policy file, formatted for decision details and summaries."""

import re
from datetime import timedelta
from functools import lru_cache

_UNIT_SECONDS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))

_UNIT_DURATIONS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_UNIT_ALIASES = {"week": "w", "day": "d", "hour": "h", "min": "m", "minute": "m", "second": "s"}
_COMPONENT_PATTERN = re.compile(r"\s*(\d+)(?:\.(\d{1,6}))?\s*([a-z]+)")


@lru_cache(maxsize=1024)
def format_duration(length: timedelta) -> str:
    """Format a duration in words, exact to the second: "7 days", "minus 1 hour 30 minutes", "0 seconds"."""
    seconds = int(abs(length).total_seconds())
    parts = []
    for size, unit in _UNIT_SECONDS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    words = " ".join(parts) or "0 seconds"
    return f"minus {words}" if length < timedelta() and parts else words


def parse_duration(words: str) -> timedelta:
    """Parse "25d", "12h", "90m", "2w", "730 days" or "1d 12h". The inverse of ``format_compact_duration``.

    Seconds may have a fraction. Raises ValueError for anything else, such as a number without a unit.
    """
    text = words.strip().lower()
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    length, at = timedelta(), 0
    try:
        while match := _COMPONENT_PATTERN.match(rest, at):
            count, fraction, unit = match.groups()
            letter = _UNIT_ALIASES.get(unit.removesuffix("s"), unit)
            if fraction and letter != "s":
                break
            length += int(count) * _UNIT_DURATIONS[letter]
            length += timedelta(microseconds=int((fraction or "").ljust(6, "0")))
            at = match.end()
        if at and at == len(rest):
            return sign * length
    except (KeyError, OverflowError):
        pass
    raise ValueError(f"expected a length of time such as 25d, 12h, 90m, 2w or 730 days, got {words!r}")


def format_compact_duration(length: timedelta) -> str:
    """Format a duration exactly, as in the policy file: "25d", "1d 12h", "0s"."""
    rest = abs(length)
    parts = []
    for letter in "dhm":
        count, rest = divmod(rest, _UNIT_DURATIONS[letter])
        if count:
            parts.append(f"{count}{letter}")
    if rest:
        fraction = f".{rest.microseconds:06}".rstrip("0") if rest.microseconds else ""
        parts.append(f"{rest.seconds}{fraction}s")
    return ("-" if length < timedelta() else "") + (" ".join(parts) or "0s")
