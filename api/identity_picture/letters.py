"""How wide text is, without a browser, a little on the safe side; and text broken into lines."""

import textwrap

_NARROW = "iljtfrI.,:;'|![]()· "
_WIDE = "mwMW@%—…✓"


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in pixels at a font size."""
    return sum(map(_letter, text)) * size * (1.16 if bold else 1.0)


def lines(text: str, at_most: float, size: float) -> list[str]:
    """Text in lines that are at most about so many pixels wide; none ends with a dot between two parts."""
    kept = text.replace("· ", "·\xa0")
    wrapped = textwrap.wrap(kept, max(int(at_most / size / 0.55), 8), break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in wrapped] or [""]


def _letter(letter: str) -> float:
    if letter in _NARROW:
        return 0.33
    if letter in _WIDE or ord(letter) > 0x2E80:  # East Asian letters and emoji are square
        return 0.90
    return 0.69 if letter.isupper() else 0.63 if letter.isdigit() else 0.57
