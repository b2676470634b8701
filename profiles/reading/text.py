"""Texts without what cannot be seen. Pure."""

import re
import unicodedata
from typing import Literal

# Unicode's Default_Ignorable_Code_Point: zero-width and bidi characters, joiners, variation selectors.
_INVISIBLE_CHARACTERS = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def clean_unicode(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """Return the text in a Unicode normalization form, stripped and without invisible characters."""
    if text.isascii():
        return text.strip()
    return _INVISIBLE_CHARACTERS.sub(
        "", unicodedata.normalize(form, _INVISIBLE_CHARACTERS.sub("", text))
    ).strip()
