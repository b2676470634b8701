"""Reads one plain value of a policy: a number, a word, a time of day, a length of time."""

import json
import math
import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from enum import Enum
from typing import Any

from policy.durations import length_of

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def plain(hint: Any, raw: Any) -> Any:
    """A value of a plain type. Raises ValueError that says what was expected."""
    match hint, raw:
        case (_, str()) if raw in values_of(hint):
            return next(each for each in hint if str(each.value) == raw)
        case (_, bool()) if hint is bool:
            return raw
        case (_, bool()):
            pass
        case (_, int()) if hint is int:
            return raw
        case (_, int() | float()) if hint is float and math.isfinite(raw):
            return float(raw)
        case (_, str()) if hint is str and raw.strip():
            return raw
        case (_, datetime()):
            if hint is datetime:
                return raw
        case (_, date()) if hint is date:
            return raw
        case (_, time()) if hint is time:
            return raw
        case (_, str()) if hint is time:
            return _clock(raw)
        case (_, str()) if hint is timedelta:
            return _length(raw)
    raise ValueError(expected(hint))


def _clock(words: str) -> time:
    found = _CLOCK.fullmatch(words.strip())
    if found:
        hour, minute, second = (int(part or 0) for part in found.groups())
        if (hour, minute, second) == (24, 0, 0):
            return time(0)
        if hour < 24 and minute < 60 and second < 60:
            return time(hour, minute, second)
    raise ValueError(expected(time))


def _length(words: str) -> timedelta:
    try:
        return length_of(words)
    except ValueError:
        raise ValueError(expected(timedelta)) from None


def expected(hint: Any) -> str:
    """What a value of this type looks like."""
    if is_enum(hint):
        return one_of(values_of(hint))
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        time: 'a time of day from "00:00" to "24:00", such as "08:00"',
        timedelta: 'a length of time with its unit, such as "25d", "12h", "90m" or "2w"',
        date: "a date such as 2026-11-27",
        datetime: "a time with its offset such as 2026-11-27T08:00:00+01:00",
    }.get(hint, f"a value that this reader knows, not {hint}")


def spelling(words: Any, known: Iterable[str]) -> str:
    """What was perhaps meant, as a question; empty where nothing is close."""
    close = get_close_matches(words, list(known), n=1) if isinstance(words, str) else []
    return f"did you mean {close[0]!r}?" if close else ""


def is_enum(hint: Any) -> bool:
    """Whether a type has a closed list of values."""
    return isinstance(hint, type) and issubclass(hint, Enum)


def values_of(hint: Any) -> list[str]:
    """The words of an enum; none for any other type."""
    return [str(each.value) for each in hint] if is_enum(hint) else []


def one_of(values: Iterable[Any]) -> str:
    """A choice, in words."""
    return f"one of {listed(values)}"


def listed(values: Iterable[Any]) -> str:
    """Names, one after the other."""
    return ", ".join(str(value) for value in values)


def shown(raw: Any) -> str:
    """What came, as it was written."""
    match raw:
        case None:
            return "nothing"
        case dict():
            return "a table"
        case list():
            return f"a list of {len(raw)}"
        case str() | bool():
            return json.dumps(raw, ensure_ascii=False)
    return str(raw)
