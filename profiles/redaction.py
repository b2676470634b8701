"""Decides which texts hold an email address or a phone number, in any spelling, and takes them out.

Workflow ids, payloads of runs, errors and log lines pass through here. Pure and linear.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import phonenumbers

PLACEHOLDER = "[address]"
"""What ``redact_text`` writes in the place of an address."""

TEXT_LEFT_OUT = "[a text with an address, left out]"
"""What ``redact_text`` returns for a text in which it cannot locate the address, such as an encoded one."""

# The text between two @ is scanned once. lamp@2x.png is the name of an image.
_EMAIL = re.compile(r"[^@\s/]@(?!\dx\.)[^@\s/]{1,253}\.[^@\s/.]")

_SEPARATORS = r"[\s().\-/\u2010-\u2015\u2212]{0,3}"

_PLUS_NUMBER = re.compile(rf"\+{_SEPARATORS}\d(?:{_SEPARATORS}\d){{6,17}}")

# An order number or GTIN may begin with 00 too: phonenumbers decides about what this finds.
_ZEROS_NUMBER = re.compile(rf"(?<![\w.,])00{_SEPARATORS}[1-9](?:{_SEPARATORS}\d){{7,14}}(?!\w)")

_PHONE_URI = re.compile(
    rf"(?:\b(?:tel|sms|callto|whatsapp|phone):(?://)?|\bwa\.me/){_SEPARATORS}\+?\d(?:{_SEPARATORS}\d){{6,17}}",
    re.IGNORECASE,
)

_MIN_PHONE_DIGITS = 8
"""Digits of a phone number with its country code. Fewer digits are an amount or a size."""

_MAX_CANDIDATES = 50
"""Numbers of a text that are looked up. A text with more of them is taken for a list of phone numbers."""

_HINTS = ("@", "%", "+", "00", "&", "\\", ":", "wa.me/", "(at)", "[at]", "{at}")
"""An ASCII text without any of these holds no address, unless it is base64."""


def _base64_words(alphabet: str) -> re.Pattern[str]:
    """Return the pattern of base64 of nine or more bytes below 128. Other words rarely fit it."""
    four = f"[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][{alphabet}]"
    return re.compile(rf"(?<![{alphabet}])(?:{four}){{3,}}[{alphabet}]{{0,3}}")


_BASE64_WORDS = (_base64_words("A-Za-z0-9+/"), _base64_words("A-Za-z0-9_-"))
"""In the standard alphabet, and in the URL-safe one, in which a slash ends a word."""

# %2540 and %252540 are %40, encoded once and twice more. All levels are undone in one pass.
_REPEATED_PERCENT = re.compile(r"%(?:25)+(?=[0-9A-Fa-f]{2})")

_ESCAPED_CHARACTER = re.compile(r"\\(?:u00|x)(40|2b)", re.IGNORECASE)

_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")

_WRITTEN_AT = re.compile(r"[ \t]?(?:\(at\)|\[at\]|\{at\})[ \t]?", re.IGNORECASE)

_WRITTEN_DOT = re.compile(r"[ \t]?(?:\(dot\)|\[dot\]|\{dot\})[ \t]?", re.IGNORECASE)

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_FULL_STOPS = str.maketrans({"\u3002": ".", "\u2795": "+"})

_MAX_DECODING_ROUNDS = 3

_MAX_CACHED_LENGTH = 256

_PERSONAL_FIELDS = frozenset(
    (
        *("firstname", "lastname", "fullname", "givenname", "familyname", "middlename", "surname"),
        *("username", "customername", "birthday", "dateofbirth", "street", "address", "shippingaddress"),
        *("billingaddress", "email", "emailaddress", "phone", "phonenumber", "mobile", "telephone"),
    )
)
"""Names of fields with texts that tell of a person in any form, in lower case without separators."""

_NAME_SEPARATORS = re.compile(r"[\W_]+")

_MAX_ADDRESS_LENGTH = 330

# For texts of errors, where only the address is replaced. Cut to a length before they are matched.
_EMAIL_IN_TEXT = re.compile(r"[^\s<>\"'(),;:=&?/@\\]{1,64}(?:@|%40)[^\s<>\"'(),;&@\\]{1,253}", re.IGNORECASE)

_PHONE_IN_TEXT = re.compile(rf"(?:\+|%2B){_SEPARATORS}\d(?:{_SEPARATORS}\d){{6,17}}", re.IGNORECASE)


def contains_email_or_phone(text: str) -> bool:
    """Return whether a text contains an email address or an international phone number, in any spelling.

    Such a text must not reach a Temporal history and must not be a key. Read as well: percent-encoding at any
    depth, HTML and backslash escapes, full-width and other compatible characters, digits of any script,
    invisible characters, ``ada(at)example.com``, ``00`` before a country code, tel: and wa.me links, and
    base64 of such a text. A number without a plus sign, ``00`` or a link is no phone number: order numbers
    and GTINs look the same. After ``00``, numbers that exist in their country are, unless they are an EAN-13.
    """
    if len(text) <= _MAX_CACHED_LENGTH:
        return _is_personal_cached(text)
    return _is_personal(text)


def redact_addresses(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for a Temporal history: every text with an address is None, also in nested values.

    An entry with an address in its name is left out; a field such as ``first_name`` is None.
    """
    return {
        name: None if isinstance(value, str) and _is_personal_field(name) else redact_value(value)
        for name, value in values.items()
        if not contains_email_or_phone(name)
    }


def redact_value(value: Any) -> Any:
    """Return a value with None for each text in it that reads as an email address or a phone number."""
    match value:
        case str():
            return None if contains_email_or_phone(value) else value
        case dict():
            return redact_addresses(value)
        case list() | tuple():
            return [redact_value(element) for element in value]
        case _:
            return value


def redact_text(text: str, max_length: int = 500) -> str:
    """Return a message for operators, at most ``max_length`` characters, with ``PLACEHOLDER`` for addresses.

    Fails closed: a text that still holds an address, in another spelling, becomes ``TEXT_LEFT_OUT``.
    """
    cut = text[: max_length + 2 * _MAX_ADDRESS_LENGTH]
    if len(cut) < len(text):
        # An address that the cut went through could not be recognized.
        cut = cut.rpartition(" ")[0] or cut[:-_MAX_ADDRESS_LENGTH]
    if not contains_email_or_phone(cut):
        return cut[:max_length]
    cut = _PHONE_IN_TEXT.sub(PLACEHOLDER, _EMAIL_IN_TEXT.sub(PLACEHOLDER, cut))
    return TEXT_LEFT_OUT if contains_email_or_phone(cut) else cut[:max_length]


@lru_cache(maxsize=8192)
def _is_personal_cached(text: str) -> bool:
    return _is_personal(text)


def _is_personal(text: str) -> bool:
    if text.isascii() and not any(hint in text for hint in _HINTS):
        return _holds_base64_address(text)
    if _holds_address(text):
        return True
    decoded = _decode(text)
    return (decoded != text and _holds_address(decoded)) or _holds_base64_address(decoded)


def _decode(text: str) -> str:
    """Undo what a text may be encoded with. Bounded: encodings inside one another are undone three deep."""
    for _ in range(_MAX_DECODING_ROUNDS):
        before = text
        if not text.isascii():
            text = _INVISIBLE.sub("", text)
            if not unicodedata.is_normalized("NFKC", text):
                text = unicodedata.normalize("NFKC", text)
            text = _FOREIGN_DIGIT.sub(_ascii_digit, text.translate(_FULL_STOPS))
        if "%" in text:
            text = unquote(_REPEATED_PERCENT.sub("%", text))
        if "&" in text:
            text = html.unescape(text)
        if "\\" in text:
            text = _ESCAPED_CHARACTER.sub(lambda found: chr(int(found[1], 16)), text)
        if text == before:
            break
    return _WRITTEN_DOT.sub(".", _WRITTEN_AT.sub("@", text))


def _ascii_digit(found: re.Match[str]) -> str:
    return str(unicodedata.decimal(found[0]))


def _holds_address(text: str) -> bool:
    if "@" in text and _EMAIL.search(text):
        return True
    if "+" in text and _holds_plus_number(text):
        return True
    if "00" in text and _holds_existing_number(text):
        return True
    return (":" in text or "wa.me/" in text) and _PHONE_URI.search(text) is not None


def _holds_plus_number(text: str) -> bool:
    for count, found in enumerate(_PLUS_NUMBER.finditer(text)):
        digits = _digits(found[0])
        if len(digits) < _MIN_PHONE_DIGITS:
            continue
        # A plus inside a word may join two parts of an id: c-1+12345678.
        inside_word = found.start() > 0 and text[found.start() - 1].isalnum()
        if not inside_word or count >= _MAX_CANDIDATES or _exists(digits):
            return True
    return False


def _holds_existing_number(text: str) -> bool:
    if _is_ean_13(text):
        return False
    return any(
        count >= _MAX_CANDIDATES or _exists(_digits(found[0])[2:])
        for count, found in enumerate(_ZEROS_NUMBER.finditer(text))
    )


def _is_ean_13(text: str) -> bool:
    """Return whether a text is 13 digits with the check digit of an EAN-13.

    Articles with North American codes begin with 00, and many would be existing numbers of 001 too.
    """
    if len(text) != 13 or not (text.isascii() and text.isdecimal()):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(text)) % 10 == 0


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdecimal())


def _exists(digits: str) -> bool:
    """Return whether a number, country code first, is assigned in its country."""
    try:
        number = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(number))


def _holds_base64_address(text: str) -> bool:
    """Return whether a word of the text is base64 of a printable text with an address, such as a JWT's."""
    if len(text) < 12:
        return False
    words = (word for pattern in _BASE64_WORDS for word in pattern.findall(text))
    for word in words:
        standard = word.replace("-", "+").replace("_", "/")
        try:
            # A single character over four cannot be base64: it is what follows, or the text is not base64.
            standard = standard[: -1 if len(standard) % 4 == 1 else None]
            plain = base64.b64decode(standard + "=" * (-len(standard) % 4))
        except binascii.Error:
            continue
        if (b"@" in plain or b"+" in plain) and plain.isascii() and _holds_address(plain.decode("ascii")):
            return True
    return False


def _is_personal_field(name: str) -> bool:
    return _NAME_SEPARATORS.sub("", name).lower() in _PERSONAL_FIELDS
