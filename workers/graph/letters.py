"""How wide text is, without a browser, a little on the safe side; and text broken into lines."""

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


def alternatives(text: str, at_most: int) -> list[str]:
    """The same, where "A or B" that is too long for one line is broken before its "or"."""
    if len(text) <= at_most:
        return [text]
    first, *others = text.split(" or ")
    return [line for part in (first, *(f"or {other}" for other in others)) for line in lines(part, at_most)]


def _letter(letter: str) -> float:
    if letter in _NARROW:
        return _THIN
    if letter in _WIDE or ord(letter) > 0x2E80:  # East Asian letters and emoji are square
        return _BROAD
    return _CAPITAL if letter.isupper() else _AVERAGE
