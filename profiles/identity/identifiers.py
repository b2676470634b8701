"""Which values identify a person, how strongly, and in which spelling."""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from profiles.identity import normalization
from profiles.identity.normalization import BlockedIdentifier, InvalidIdentifier, is_placeholder

IDENTIFIER_TYPES = ("user_id", "loyalty_id", "email", "phone", "push_token", "anonymous_id", "email_sha256")
"""Strongest first."""

STRONG_TYPES = ("user_id", "loyalty_id", "email", "phone")
"""Types that a person gives, and that say who somebody is. The others are of a device, or of what another
system made of an address; several people may share one."""

ADDRESS_TYPE_BY_CHANNEL = {"email": "email", "sms": "phone", "push": "push_token"}
"""Message channel → the type of identifier that is its address."""

MAX_IDENTIFIER_LENGTH = 320
"""The longest valid email address; nothing longer identifies anybody, but for a push token."""

MAX_LENGTH_BY_TYPE = {
    kind: 1024 if kind == "push_token" else MAX_IDENTIFIER_LENGTH for kind in IDENTIFIER_TYPES
}
"""Characters that a value of a type may have."""

_NORMALIZERS: dict[str, Callable[[str, str | None], str]] = {
    "email": lambda text, _: normalization.normalize_email(text),
    "phone": normalization.normalize_phone,
    "email_sha256": lambda text, _: normalization.normalize_email_sha256(text),
}
"""How a type is spelled; a type that is not here is an opaque id, whose case counts."""

# Anchored at the @, also as it is written in a URL, so that a long text costs linear time.
# lamp@2x.png is a picture.
_EMAIL_PATTERN = re.compile(r"[^@\s/](?:@|%40)(?!\dx\.)[^@\s/]+\.[^@\s/]")

_PHONE_PATTERN = re.compile(r"(?<!\w)\+\d[\d\s().-]{5,18}\d")

_MIN_PHONE_DIGITS = 8
"""Of a phone number with its country code; fewer are an amount or a size."""


def normalize_identifier(kind: str, value: object, *, region: str | None = None) -> str:
    """The one spelling under which an identifier is kept; idempotent, and an address of it still delivers.

    ``region`` (ISO 3166 alpha-2) reads phone numbers written without a country code. Raises
    ``BlockedIdentifier`` for a value that identifies nobody ("null", all zeros, noreply@…) and
    ``InvalidIdentifier`` for a malformed one, both ValueErrors that say why.
    """
    if kind not in IDENTIFIER_TYPES:
        raise InvalidIdentifier(f"no identifier type {kind!r}; there are {', '.join(IDENTIFIER_TYPES)}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidIdentifier(f"{kind} must be a string, got {type(value).__name__}")
    text = str(value).strip()
    if len(text) > MAX_LENGTH_BY_TYPE[kind]:
        raise InvalidIdentifier(f"{kind} is {len(text)} characters long; at most {MAX_LENGTH_BY_TYPE[kind]}")
    return _normalize_stripped(kind, text, region)


@lru_cache(maxsize=20_000)
def _normalize_stripped(kind: str, text: str, region: str | None) -> str:
    spelled = _NORMALIZERS.get(kind)
    text = normalization.clean_unicode(text, "NFKC" if spelled else "NFC")
    if is_placeholder(text):
        raise BlockedIdentifier(
            f"{kind} {text[:40]!r} is a placeholder that identifies nobody; send no {kind} when there is none"
        )
    found = (
        spelled(normalization.check_printable(kind, text), region)
        if spelled
        else normalization.check_printable(kind, text)
    )
    if len(found) > MAX_LENGTH_BY_TYPE[kind]:
        raise InvalidIdentifier(f"{kind} is {len(found)} characters long; at most {MAX_LENGTH_BY_TYPE[kind]}")
    if is_placeholder(found):
        raise BlockedIdentifier(f"{kind} {found[:40]!r} identifies nobody; send no {kind} when there is none")
    return found


def identifier_key(kind: str, value: str) -> str:
    """``type:value``, the identifier as one text. ``value`` is normalised."""
    return f"{kind}:{value}"


def split_key(text: str) -> tuple[str, str]:
    """(type, value) of a key; raises ``InvalidIdentifier`` for a text that is none."""
    kind, colon, value = text.partition(":")
    if not colon or not value or kind not in IDENTIFIER_TYPES:
        known = ", ".join(IDENTIFIER_TYPES)
        raise InvalidIdentifier(f"{text[:60]!r} is no identifier; write type:value, with one of {known}")
    return kind, value


def parse_identifier_input(text: str) -> tuple[str, str]:
    """(type, value) of an identifier as a person types it: type:value, or a bare email, phone or user_id."""
    kind, colon, value = text.strip().partition(":")
    if colon and kind in IDENTIFIER_TYPES:
        return kind, value
    bare = text.strip()
    return ("email" if "@" in bare else "phone" if bare.startswith("+") else "user_id"), bare


def sort_identifiers(identifiers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each identifier once, by type (strongest first) and value."""
    return tuple(sorted(set(identifiers), key=lambda one: (IDENTIFIER_TYPES.index(one[0]), one[1])))


def implied_identifiers(identifiers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What (type, normalised value) pairs say besides themselves: the email_sha256 of every email.

    It is the hash of the normalised address. A system that hashed another spelling of it (a tag, the dots of
    a Gmail address) has a hash that leads to nobody until an event names both.
    """
    addresses = sorted({value for kind, value in identifiers if kind == "email"})
    return tuple(("email_sha256", hashlib.sha256(one.encode()).hexdigest()) for one in addresses)


def contains_email_or_phone(text: str) -> bool:
    """Whether a text holds an email address or an international phone number.

    Such a text must not reach a history, nor be a key.
    """
    if _EMAIL_PATTERN.search(text):
        return True
    return any(sum(map(str.isdigit, found)) >= _MIN_PHONE_DIGITS for found in _PHONE_PATTERN.findall(text))


TYPES_BY_STRENGTH = ("user_id", "loyalty_id", "email", "phone", "push_token", "anonymous_id", "email_sha256")
"""Identifier types, strongest first."""

"""Types whose values a person knows or is given; the others name a device or a hash, and are weak."""

DEVICE_TYPES = frozenset(("push_token", "anonymous_id"))
"""Types of a device: nobody can guess such a value, and many people may use what it names."""

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ValueLimit:
    """The most distinct values of one type that one person may have."""

    max_values: int
    period: timedelta | None = None
    """Counted over every span shorter than this, by when the values were first seen; None: for ever."""

    def is_exceeded_by(self, one: Sequence[int], other: Sequence[int]) -> bool:
        """Whether two people's values, neither over the limit alone, are too many for one person.

        Both are first-seen times in microseconds, sorted. Broken when any span shorter than ``within``
        holds more than ``most`` (values exactly ``within`` apart are not in one span). Symmetric, depends
        on the two lists only, and once broken stays broken whatever is added to either.
        """
        if not one or not other or len(one) + len(other) <= self.max_values:
            return False
        if self.period is None:
            return True
        few, many = (one, other) if len(one) <= len(other) else (other, one)
        span = self.period // MICROSECOND
        # A span that is too full holds one of the few, so only their neighbourhood matters.
        near = many[bisect_right(many, few[0] - span) : bisect_left(many, few[-1] + span)]
        times = sorted([*few, *near])
        return any(last - first < span for first, last in zip(times, times[self.max_values :], strict=False))


_DEFAULT_LIMITS = MappingProxyType(
    {
        "user_id": ValueLimit(1),
        "loyalty_id": ValueLimit(5, timedelta(days=365)),
        "email": ValueLimit(5, timedelta(days=365)),
        "phone": ValueLimit(5, timedelta(days=365)),
        "push_token": ValueLimit(10, timedelta(days=30)),
        "anonymous_id": ValueLimit(10, timedelta(days=7)),
    }
)

_DEFAULT_SHARED_BY = MappingProxyType(
    {
        "user_id": 20,
        "loyalty_id": 10,
        "email": 10,
        "phone": 10,
        "push_token": 5,
        "anonymous_id": 5,
        "email_sha256": 10,
    }
)


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """By what identifiers become people; raises ValueError that names every rule that makes no sense."""

    limits: Mapping[str, ValueLimit] = field(default_factory=lambda: _DEFAULT_LIMITS)
    """Type → how many values of it one person may have; a type that is not named has no limit."""

    shared_by: Mapping[str, int] = field(default_factory=lambda: _DEFAULT_SHARED_BY)
    """Type → the most values of one strong type that may be linked with one key before it is nobody's."""

    strong: frozenset[str] = frozenset(STRONG_TYPES)
    """Types that two people can be joined by."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} names {kind!r}; there are {', '.join(TYPES_BY_STRENGTH)}"
            for name, kinds in (
                ("limits", self.limits),
                ("shared_by", self.shared_by),
                ("strong", self.strong),
            )
            for kind in sorted(kinds)
            if kind not in TYPES_BY_STRENGTH
        ]
        for kind, limit in self.limits.items():
            if limit.max_values < 1:
                faults.append(f"limits: {kind} must allow at least 1, got {limit.max_values}")
            if limit.period is not None and limit.period <= timedelta():
                faults.append(f"limits: {kind} must count over a span longer than 0, got {limit.period}")
        faults += [
            f"shared_by: {kind} must allow at least 1, got {most}"
            for kind, most in self.shared_by.items()
            if most < 1
        ]
        if faults:
            raise ValueError("these identity rules make no sense: " + "; ".join(faults))

    def is_strong(self, key: str) -> bool:
        """Whether a key may join two people who each have a strong key already."""
        return type_of_key(key) in self.strong


DEFAULT_IDENTITY_RULES = IdentityRules()

_RANK_BY_TYPE = {kind: rank for rank, kind in enumerate(TYPES_BY_STRENGTH)}


def type_of_key(key: str) -> str:
    """The type of a key "type:value"."""
    return key.partition(":")[0]


def strongest_first(key: str) -> tuple[int, str]:
    """Sort key of keys: by priority of their type (an unknown type is the weakest), then by value."""
    return _RANK_BY_TYPE.get(type_of_key(key), len(_RANK_BY_TYPE)), key


def email_hash_key(key: str) -> str:
    """The email_sha256 key that an email key implies."""
    return "email_sha256:" + sha256(key.partition(":")[2].encode()).hexdigest()


_RANDOM_TOKEN_TYPES = ("push_token", "email_sha256")
"""Long random texts: four letters of each end give nothing away."""

_MAX_DISPLAY_LENGTH = 44


def mask_identifier(kind: str, value: str) -> str:
    """One value without its middle: a…@example.com, +49…78, u…11."""
    if kind == "email":
        name, _, domain = value.rpartition("@")
        return f"{name[:1]}…@{truncate_middle(domain)}"
    if kind == "phone":
        return f"{value[:3]}…{value[-2:]}"
    if kind in _RANDOM_TOKEN_TYPES and len(value) >= 16:
        return f"{value[:4]}…{value[-4:]}"
    last = min(2, (len(value) - 1) // 2)
    return f"{value[:1]}…{value[len(value) - last :]}"


def truncate_middle(text: str) -> str:
    """A text without its middle, where it is too long for a line."""
    half = _MAX_DISPLAY_LENGTH // 2
    return text if len(text) <= _MAX_DISPLAY_LENGTH else f"{text[:half]}…{text[-half:]}"


JOIN_STRONGEST_IDENTIFIER = """
JOIN LATERAL (SELECT type, value FROM identifier WHERE profile_id = p.profile_id
  AND status <> 'quarantined' ORDER BY array_position(ARRAY['user_id', 'loyalty_id', 'email', 'phone',
    'push_token', 'anonymous_id', 'email_sha256'], type), value
  LIMIT 1) i ON true
"""
"""Joins to a profile ``p`` the identifier ``i`` by which Waypost's own events name the person."""


def keys_digest(keys: Sequence[str]) -> str:
    """What tells one set of identifiers from another; ``keys`` the strongest first."""
    return hashlib.sha256("\x1f".join(keys).encode()).hexdigest()


def redact_addresses(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without any text that reads as an address: histories carry ids, not people."""
    return {name: _redact_value(value) for name, value in values.items()}


def _redact_value(value: Any) -> Any:
    match value:
        case str():
            return None if contains_email_or_phone(value) else value
        case dict():
            return redact_addresses(value)
        case list():
            return [_redact_value(one) for one in value]
        case _:
            return value
