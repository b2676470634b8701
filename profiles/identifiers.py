"""Which values identify a person, how strongly, and in which spelling."""

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from profiles import spelling
from profiles.blocked import BlockedIdentifier, is_placeholder
from profiles.spelling import InvalidIdentifier

__all__ = [
    "ADDRESS_TYPE",
    "IDENTIFIER_TYPES",
    "LONGEST",
    "MAX_LENGTH",
    "STRONG",
    "BlockedIdentifier",
    "InvalidIdentifier",
    "as_asked",
    "implied",
    "in_order",
    "key",
    "names_a_person",
    "normalise",
    "split_key",
]

IDENTIFIER_TYPES = ("user_id", "loyalty_id", "email", "phone", "push_token", "anonymous_id", "email_sha256")
"""Strongest first."""

STRONG = ("user_id", "loyalty_id", "email", "phone")
"""Types that a person gives, and that say who somebody is. The others are of a device, or of what another
system made of an address; several people may share one."""

ADDRESS_TYPE = {"email": "email", "sms": "phone", "push": "push_token"}
"""Message channel → the type of identifier that is its address."""

MAX_LENGTH = 320
"""The longest valid email address; nothing longer identifies anybody, but for a push token."""

LONGEST = {kind: 1024 if kind == "push_token" else MAX_LENGTH for kind in IDENTIFIER_TYPES}
"""Characters that a value of a type may have."""

_SPELLED: dict[str, Callable[[str, str | None], str]] = {
    "email": lambda text, _: spelling.email(text),
    "phone": spelling.phone,
    "email_sha256": lambda text, _: spelling.email_sha256(text),
}
"""How a type is spelled; a type that is not here is an opaque id, whose case counts."""

# Anchored at the @, also as it is written in a URL, so that a long text costs linear time.
# lamp@2x.png is a picture.
_EMAIL = re.compile(r"[^@\s/](?:@|%40)(?!\dx\.)[^@\s/]+\.[^@\s/]")
_PHONE = re.compile(r"(?<!\w)\+\d[\d\s().-]{5,18}\d")

_FEWEST_DIGITS = 8
"""Of a phone number with its country code; fewer are an amount or a size."""


def normalise(kind: str, value: object, *, region: str | None = None) -> str:
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
    if len(text) > LONGEST[kind]:
        raise InvalidIdentifier(f"{kind} is {len(text)} characters long; at most {LONGEST[kind]}")
    return _normalise(kind, text, region)


@lru_cache(maxsize=20_000)
def _normalise(kind: str, text: str, region: str | None) -> str:
    spelled = _SPELLED.get(kind)
    text = spelling.plain(text, "NFKC" if spelled else "NFC")
    if is_placeholder(text):
        raise BlockedIdentifier(
            f"{kind} {text[:40]!r} is a placeholder that identifies nobody; send no {kind} when there is none"
        )
    found = spelled(spelling.opaque(kind, text), region) if spelled else spelling.opaque(kind, text)
    if len(found) > LONGEST[kind]:
        raise InvalidIdentifier(f"{kind} is {len(found)} characters long; at most {LONGEST[kind]}")
    if is_placeholder(found):
        raise BlockedIdentifier(f"{kind} {found[:40]!r} identifies nobody; send no {kind} when there is none")
    return found


def key(kind: str, value: str) -> str:
    """``type:value``, the identifier as one text. ``value`` is normalised."""
    return f"{kind}:{value}"


def split_key(text: str) -> tuple[str, str]:
    """(type, value) of a key; raises ``InvalidIdentifier`` for a text that is none."""
    kind, colon, value = text.partition(":")
    if not colon or not value or kind not in IDENTIFIER_TYPES:
        known = ", ".join(IDENTIFIER_TYPES)
        raise InvalidIdentifier(f"{text[:60]!r} is no identifier; write type:value, with one of {known}")
    return kind, value


def as_asked(text: str) -> tuple[str, str]:
    """(type, value) of an identifier as a person types it: type:value, or a bare email, phone or user_id."""
    kind, colon, value = text.strip().partition(":")
    if colon and kind in IDENTIFIER_TYPES:
        return kind, value
    bare = text.strip()
    return ("email" if "@" in bare else "phone" if bare.startswith("+") else "user_id"), bare


def in_order(identifiers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each identifier once, by type (strongest first) and value."""
    return tuple(sorted(set(identifiers), key=lambda one: (IDENTIFIER_TYPES.index(one[0]), one[1])))


def implied(identifiers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What (type, normalised value) pairs say besides themselves: the email_sha256 of every email.

    It is the hash of the normalised address. A system that hashed another spelling of it (a tag, the dots of
    a Gmail address) has a hash that leads to nobody until an event names both.
    """
    addresses = sorted({value for kind, value in identifiers if kind == "email"})
    return tuple(("email_sha256", hashlib.sha256(one.encode()).hexdigest()) for one in addresses)


def names_a_person(text: str) -> bool:
    """Whether a text holds an email address or an international phone number.

    Such a text must not reach a history, nor be a key.
    """
    if _EMAIL.search(text):
        return True
    return any(sum(map(str.isdigit, found)) >= _FEWEST_DIGITS for found in _PHONE.findall(text))
