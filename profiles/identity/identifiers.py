"""Identifier types and their strength, rules of identity, keys, normalization, and masking for display."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType

from profiles.identity import normalization
from profiles.identity.normalization import BlockedIdentifier, InvalidIdentifier, is_placeholder
from profiles.reading.text import clean_unicode

IDENTIFIER_TYPES = ("user_id", "loyalty_id", "email", "phone", "push_token", "anonymous_id", "email_sha256")
"""Strongest first."""

STRONG_TYPES = ("user_id", "loyalty_id", "email", "phone")
"""Types that identify one customer, and that the customer knows or gives. The others identify a device, or
are hashes that another system made of an address; several customers may share one."""

DEVICE_TYPES = frozenset(("push_token", "anonymous_id"))
"""Types that identify a device. Such a value cannot be guessed, and several customers may use one device."""

ADDRESS_TYPE_BY_CHANNEL = {"email": "email", "sms": "phone", "push": "push_token"}
"""Message channel → the identifier type of its addresses."""

MICROSECOND = timedelta(microseconds=1)

MAX_IDENTIFIER_LENGTH = 320
"""Characters of the longest valid email address. Only a push token may be longer."""

MAX_IDENTIFIER_BYTES = 4 * MAX_IDENTIFIER_LENGTH
"""Bytes of a value of any type in UTF-8. Together with a topic of consent it fits into one index entry."""

MAX_LENGTH_BY_TYPE = {
    kind: 1024 if kind == "push_token" else MAX_IDENTIFIER_LENGTH for kind in IDENTIFIER_TYPES
}
"""Maximum number of characters of a value, by type."""

MAX_CACHED_LENGTH = 128
"""Characters of a value of which the normal form is kept in memory."""

_NORMALIZERS: dict[str, Callable[[str, str | None], str]] = {
    "email": lambda text, _: normalization.normalize_email(text),
    "phone": normalization.normalize_phone,
    "email_sha256": lambda text, _: normalization.normalize_email_sha256(text),
}
"""Type → its normalization. A type that is missing here is an opaque, case-sensitive id; but a user id that
is an address is in small letters, as systems spell one address in several ways."""

_RANDOM_TOKEN_TYPES = ("push_token", "email_sha256")
"""Types with long random values: four characters of each end disclose nothing."""

_MAX_DISPLAY_LENGTH = 44

_RANK_BY_TYPE = {kind: rank for rank, kind in enumerate(IDENTIFIER_TYPES)}

JOIN_STRONGEST_IDENTIFIER = """
JOIN LATERAL (SELECT type, value FROM identifier WHERE profile_id = p.profile_id
  AND status <> 'quarantined' ORDER BY array_position(ARRAY['user_id', 'loyalty_id', 'email', 'phone',
    'push_token', 'anonymous_id', 'email_sha256'], type), value
  LIMIT 1) i ON true
"""
"""Joins to a profile ``p`` its strongest identifier ``i``, by which Waypost's own events name the profile."""


@dataclass(frozen=True, slots=True)
class ValueLimit:
    """The maximum number of distinct values of one type in one profile."""

    max_values: int
    period: timedelta | None = None
    """Length of the window in which values are counted, by when they were first seen; None: no window."""

    def is_exceeded_by(self, one: Sequence[int], other: Sequence[int]) -> bool:
        """Return whether the values of two profiles together exceed the limit; neither exceeds it alone.

        Both are sorted first-seen times in microseconds. The limit is exceeded when any window shorter than
        ``period`` holds more than ``max_values``. Symmetric, and stays exceeded when values are added.
        """
        if not one or not other or len(one) + len(other) <= self.max_values:
            return False
        if self.period is None:
            return True
        few, many = (one, other) if len(one) <= len(other) else (other, one)
        span = self.period // MICROSECOND
        # A window over the limit holds one of the shorter list, so only values near those matter.
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
    dict.fromkeys(IDENTIFIER_TYPES, 10) | {"user_id": 20} | dict.fromkeys(DEVICE_TYPES, 5)
)


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """The rules by which identifiers become profiles. Raises ValueError, which lists all invalid rules."""

    limits: Mapping[str, ValueLimit] = field(default_factory=lambda: _DEFAULT_LIMITS)
    """Type → how many values of it one profile may have. A type that is missing has no limit."""

    shared_by: Mapping[str, int] = field(default_factory=lambda: _DEFAULT_SHARED_BY)
    """Type → how many values of one strong type may be linked with a key of it; more quarantine the key."""

    strong: frozenset[str] = frozenset(STRONG_TYPES)
    """Types by which two profiles can be merged."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} names {kind!r}; there are {', '.join(IDENTIFIER_TYPES)}"
            for name in ("limits", "shared_by", "strong")
            for kind in sorted(getattr(self, name))
            if kind not in IDENTIFIER_TYPES
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
        """Return whether a key may merge two profiles that each have a strong key already."""
        return type_of_key(key) in self.strong


DEFAULT_IDENTITY_RULES = IdentityRules()


def identifier_key(kind: str, value: str) -> str:
    """Return the identifier as one text, ``type:value``. ``value`` is normalized."""
    return f"{kind}:{value}"


def split_key(text: str) -> tuple[str, str]:
    """Return (type, value) of a key. Raises ``InvalidIdentifier`` for a text that is not a key."""
    kind, colon, value = text.partition(":")
    if not colon or not value or kind not in IDENTIFIER_TYPES:
        known = ", ".join(IDENTIFIER_TYPES)
        raise InvalidIdentifier(f"{text[:60]!r} is no identifier; write type:value, with one of {known}")
    return kind, value


def type_of_key(key: str) -> str:
    """Return the type of a key ``type:value``."""
    return key.partition(":")[0]


def strongest_first(key: str) -> tuple[int, str]:
    """Return the sort key of an identifier key: strength of its type (unknown types last), then the key."""
    return _RANK_BY_TYPE.get(type_of_key(key), len(_RANK_BY_TYPE)), key


def email_hash_key(key: str) -> str:
    """Return the email_sha256 key that an email key implies."""
    return "email_sha256:" + hashlib.sha256(key.partition(":")[2].encode()).hexdigest()


def keys_digest(keys: Sequence[str]) -> str:
    """Return a digest of a set of identifier keys, for comparison. ``keys`` are strongest first."""
    return hashlib.sha256("\x1f".join(keys).encode()).hexdigest()


def normalize_identifier(kind: str, value: object, *, region: str | None = None) -> str:
    """Return the normal form of an identifier, under which it is stored.

    Identifiers are compared by it; for the address that a message goes to see ``read_identifier``. ``region``
    (ISO 3166 alpha-2) is used for phone numbers without a country code. Idempotent. Raises
    ``BlockedIdentifier`` for a value that identifies no profile ("null", all zeros, noreply@…) and
    ``InvalidIdentifier`` for a malformed one. Both are ValueErrors with the reason.
    """
    return read_identifier(kind, value, region=region)[0]


def read_identifier(kind: str, value: object, *, region: str | None = None) -> tuple[str, str]:
    """Return (normal form, the value as given). They differ for an email address only.

    A message goes to the address as its owner gave it, with tag, dots and letter case: some providers take
    no other spelling, and its owner sorts mail by it. Raises as ``normalize_identifier`` does.
    """
    if kind not in IDENTIFIER_TYPES:
        raise InvalidIdentifier(f"no identifier type {kind!r}; there are {', '.join(IDENTIFIER_TYPES)}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidIdentifier(f"{kind} must be a string, got {type(value).__name__}")
    text = _check_length(kind, str(value).strip())
    # Long values are read anew, so that no sender fills the memory with them.
    return (_normalize_stripped if len(text) <= MAX_CACHED_LENGTH else _normalize)(kind, text, region)


def _check_length(kind: str, text: str) -> str:
    if not text.isascii() and (size := len(text.encode(errors="replace"))) > MAX_IDENTIFIER_BYTES:
        raise InvalidIdentifier(f"{kind} has {size} bytes; at most {MAX_IDENTIFIER_BYTES}")
    if len(text) > MAX_LENGTH_BY_TYPE[kind]:
        raise InvalidIdentifier(f"{kind} is {len(text)} characters long; at most {MAX_LENGTH_BY_TYPE[kind]}")
    return text


def _normalize(kind: str, text: str, region: str | None) -> tuple[str, str]:
    normalizer = _NORMALIZERS.get(kind)
    text = clean_unicode(text, "NFKC" if normalizer else "NFC")
    if is_placeholder(text):
        raise BlockedIdentifier(
            f"{kind} {text[:40]!r} is a placeholder, which identifies no profile; "
            f"send no {kind} when there is none"
        )
    value = given = normalization.check_printable(kind, text)
    if kind == "email":
        value, given = normalization.read_email(value)
    elif normalizer:
        value = given = normalizer(value, region)
    value = _check_length(kind, value)
    if kind == "user_id" and "@" in value and normalization.is_address(value):
        value = given = value.lower()
    if value != text and is_placeholder(value):
        fault = f"{kind} {value[:40]!r} identifies no profile; send no {kind} when there is none"
        raise BlockedIdentifier(fault)
    return value, given


_normalize_stripped = lru_cache(maxsize=20_000)(_normalize)


def parse_identifier_input(text: str) -> tuple[str, str]:
    """Return (type, value) of ``type:value``, or of only the value of an email, a phone or a user_id."""
    kind, colon, value = text.strip().partition(":")
    if colon and kind in IDENTIFIER_TYPES:
        return kind, value
    bare = text.strip()
    return ("email" if "@" in bare else "phone" if bare.startswith("+") else "user_id"), bare


def sort_identifiers(identifiers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return each identifier once, sorted by type (strongest first) and value."""
    return tuple(sorted(set(identifiers), key=lambda pair: (IDENTIFIER_TYPES.index(pair[0]), pair[1])))


def implied_identifiers(identifiers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the identifiers that (type, normalized value) pairs imply: the email_sha256 of every email.

    It is the hash of the normalized address. If a system hashed another spelling (a tag, the dots of a Gmail
    address), its hash leads to no profile until an event names both.
    """
    addresses = sorted({value for kind, value in identifiers if kind == "email"})
    return tuple(("email_sha256", hashlib.sha256(each.encode()).hexdigest()) for each in addresses)


def mask_identifier(kind: str, value: str) -> str:
    """Return a value without its middle: a…@example.com, +49…78, u…11."""
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
    """Return a text without its middle if it is longer than 44 characters."""
    half = _MAX_DISPLAY_LENGTH // 2
    return text if len(text) <= _MAX_DISPLAY_LENGTH else f"{text[:half]}…{text[-half:]}"
