"""Which values identify a person, and in which spelling."""

import re
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

IDENTIFIER_TYPES = ("user_id", "loyalty_id", "email", "phone", "anonymous_id")
"""Strongest first."""

ADDRESS_TYPE = {"email": "email", "sms": "phone"}
"""Message channel → the type of identifier that is its address."""

MAX_LENGTH = 320
"""The longest valid email address; nothing longer identifies anybody."""

_BLOCKED = frozenset(
    (
        *("null", "none", "nil", "undefined", "nan", "n/a", "na", "unknown", "anonymous", "guest", "test"),
        *("void", "-1", "true", "false", "[object object]"),
        *("guest@guest.com", "test@test.com", "none@none.com", "noreply@noreply.com"),
    )
)
_NOTHING = re.compile(r"[0\-\s._]*")
# Anchored at the @, also as it is written in a URL, so that a long text costs linear time.
# lamp@2x.png is a picture.
_EMAIL = re.compile(r"[^@\s/](?:@|%40)(?!\dx\.)[^@\s/]+\.[^@\s/]")
_PHONE = re.compile(r"(?<!\w)\+\d[\d\s().-]{5,18}\d")

_FEWEST_DIGITS = 8
"""Of a phone number with its country code; fewer are an amount or a size."""


def normalise(kind: str, value: object, *, region: str | None = None) -> str:
    """The one spelling under which an identifier is kept; idempotent.

    ``region`` (ISO 3166 alpha-2) reads phone numbers written without a country code. Raises ValueError
    saying why when the value is malformed or identifies nobody ("null", all zeros).
    """
    if kind not in IDENTIFIER_TYPES:
        raise ValueError(f"no identifier type {kind!r}; there are {', '.join(IDENTIFIER_TYPES)}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{kind} must be a string, got {type(value).__name__}")
    return _normalise(kind, str(value).strip(), region)


@lru_cache(maxsize=20_000)
def _normalise(kind: str, text: str, region: str | None) -> str:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"{kind} is {len(text)} characters long; at most {MAX_LENGTH}")
    if text.lower() in _BLOCKED or _NOTHING.fullmatch(text):
        raise ValueError(f"{kind} {text[:40]!r} is a placeholder that identifies nobody")
    if not text.isprintable():
        raise ValueError(f"{kind} has characters that do not print")
    if kind == "email":
        return _email(text)
    if kind == "phone":
        return _phone(text, region)
    return text


def _email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError(f"email is not an address: {error}") from None


def _phone(text: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"phone is not a number (write it as +49151…): {error}") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("phone has a wrong number of digits for its country (write it as +49151…)")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def names_a_person(text: str) -> bool:
    """Whether a text holds an email address or an international phone number.

    Such a text must not reach a history, nor be a key.
    """
    if _EMAIL.search(text):
        return True
    return any(sum(map(str.isdigit, found)) >= _FEWEST_DIGITS for found in _PHONE.findall(text))
