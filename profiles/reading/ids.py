"""Normal form of the ids of things: products, units, orders, carts, tickets. Pure.

7, 7.0, "7" and " 7 " are one id; "007" is another. A text is in Unicode's NFC, without invisible characters,
and with ASCII digits and letters in place of full-width ones.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Any

from profiles.reading.text import clean_unicode

MAX_ID_LENGTH = 255
"""Characters of an id. Of a longer one the first are kept, with a digest of the whole."""

_DIGEST_MARK = "~"

_KEPT_OF_A_LONG_ID = MAX_ID_LENGTH - len(_DIGEST_MARK) - 64

MAX_EXACT_INTEGER = 2**53
"""Up to it a float represents every whole number exactly."""

_WHOLE_NUMBER = re.compile(r"(-?[0-9]{1,300})\.0+", re.ASCII)

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

NO_IDS = frozenset(
    ("", "null", "none", "nil", "undefined", "nan", "(null)", "[object object]", "n/a", "{}", "[]")
)
"""What programming languages print for a missing value, in small letters."""

_ID_FIELDS_OF_OBJECTS = ("$oid", "id", "_id", "value", "$numberLong")
"""Where an id stands that was exported as an object."""

NORMAL_ID_SQL = (
    "regexp_replace(translate(btrim(regexp_replace(normalize({0}), "
    "'[\\u00ad\\u200b-\\u200f\\u2060-\\u206f\\ufeff]', '', 'g'), E' \\t\\n\\r\\f\\v'), "
    "'０１２３４５６７８９', '0123456789'), '^(-?[0-9]+)\\.0+$', '\\1')"
)
"""SQL: the normal form of a text ``{0}`` that is read from an event's row, which is stored as it was sent."""


def normal_id(value: Any) -> str | None:
    """Return the normal form of an id; None for a value that is no id, such as "null", true or a list of two.

    An id of more than ``MAX_ID_LENGTH`` characters becomes its beginning and a digest, so that two long ones
    stay two.
    """
    kind = type(value)
    if kind is str:
        text = value.strip() if value.isascii() else _clean(value)
        if text[-1:] == "0" and (whole := _WHOLE_NUMBER.fullmatch(text)):
            text = whole[1]
        if len(text) <= 16 and text.lower() in NO_IDS:
            return None
        return text if len(text) <= MAX_ID_LENGTH else _shortened(text)
    if kind is int:
        return _shortened(str(value)) if abs(value) >= 10**MAX_ID_LENGTH else str(value)
    if kind is float:
        return _float_id(value)
    if kind is list and len(value) == 1 and not isinstance(value[0], list | dict):
        return normal_id(value[0])
    if kind is dict:
        named = next((value[name] for name in _ID_FIELDS_OF_OBJECTS if name in value), None)
        return None if isinstance(named, list | dict) else normal_id(named)
    return None


@lru_cache(maxsize=20_000)
def is_plain_id(text: str) -> bool:
    """Return whether a text is an id in its normal form already, as nearly all are."""
    return normal_id(text) == text


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", clean_unicode(text, "NFC").translate(_FULL_WIDTH)).strip()


def _float_id(value: float) -> str | None:
    if value != value or value in (float("inf"), float("-inf")):
        return None
    if not value.is_integer():
        return repr(value)
    text = str(int(value))
    return text if len(text) <= MAX_ID_LENGTH else _shortened(text)


def _shortened(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return text[:_KEPT_OF_A_LONG_ID] + _DIGEST_MARK + digest
