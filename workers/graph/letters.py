"""How wide text is, without a browser, a little on the safe side; and text broken into lines."""

import re
import textwrap

_NARROW = "iljtfrI.,:;'|![]() "
_WIDE = "mwMW@%—…"
_AVERAGE, _THIN, _BROAD, _CAPITAL = 0.56, 0.33, 0.90, 0.70
_BOLD = 1.13


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in pixels at a font size."""
    return sum(map(_letter, text)) * size * (_BOLD if bold else 1.0)


def lines(text: str, at_most: int) -> list[str]:
    """Text in lines of so many characters; words longer than that, as code has them, are broken."""
    return textwrap.wrap(text, at_most, break_on_hyphens=False) or [""]


def balanced(text: str, at_most: int) -> list[str]:
    """The same in as few lines, all about equally long."""
    best = lines(text, at_most)
    longest = max(map(len, text.split()), default=0)
    while at_most > longest and len(closer := lines(text, at_most - 1)) == len(best):
        best, at_most = closer, at_most - 1
    return best


def alternatives(text: str, at_most: int) -> list[str]:
    """The same, where "A or B" that is too long for one line is broken before its "or", and so on."""
    if len(text) <= at_most:
        return [text]
    parts = re.split(r"(?<=,) | (?=(?:or|and) )", text)
    return [line for part in parts for line in balanced(part, at_most)]


def _letter(letter: str) -> float:
    if letter in _NARROW:
        return _THIN
    if letter in _WIDE or ord(letter) > 0x2E80:  # East Asian letters and emoji are square
        return _BROAD
    return _CAPITAL if letter.isupper() else _AVERAGE
