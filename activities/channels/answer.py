"""A provider's HTTP answer: how long it says to wait, and what of its words may be kept."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

BODY_LIMIT = 64 * 1024
"""Bytes read of an answer; providers are untrusted input (OWASP API10)."""

UNTOLD_WAIT = timedelta(seconds=10)
"""Wait after a 429 that names no time."""

LONGEST_WAIT = timedelta(hours=1)
"""A provider's clock that is far off must not park a message for ever."""

_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;]+|\+?\d(?:[\s().-]{0,2}\d){6,}")
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_DETAIL_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and at most ``BODY_LIMIT`` bytes of body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    whole: bool = True
    """False: the body was cut off, by the provider or by the limit."""


def told_to_wait(headers: Mapping[str, str], now: datetime) -> timedelta:
    """Tell how long a 429 asks for, between one second and ``LONGEST_WAIT``.

    Reads ``X-RateLimit-Reset`` (SendGrid: epoch seconds), then ``Retry-After`` (RFC 9110: seconds or
    a date); ``UNTOLD_WAIT`` where neither is there or readable. Rounds up: no call before the reset.
    """
    for wait in (_until_reset(headers, now), _retry_after(headers, now)):
        if wait is not None:
            return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)
    return UNTOLD_WAIT


def without_addresses(words: str) -> str:
    """Take mail addresses and numbers long enough to be a phone out of a provider's words.

    Details of failures are kept in Temporal histories, where no address belongs, and in Postgres,
    which takes neither NUL nor half a surrogate pair: what cannot be printed becomes a space.
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in words)
    return _ADDRESS.sub("[address]", " ".join(printable.split()))[:_DETAIL_LIMIT]


def _until_reset(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    seconds = _number(headers.get("x-ratelimit-reset"))
    return None if seconds is None else timedelta(seconds=math.ceil(seconds - now.timestamp()))


def _retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return timedelta(seconds=math.ceil(seconds))
    if value is None:
        return None
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


def _number(value: str | None) -> float | None:
    """Read a plain decimal number of seconds; None for anything else, and for absurd sizes."""
    return float(value) if value and _SECONDS.fullmatch(value) else None
