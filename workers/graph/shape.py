"""A step's text in lines and the size of its shape."""

from dataclasses import dataclass

from workers.graph import letters
from workers.graph.flow import Kind, Node

TAG, TITLE, DETAIL = 10.5, 15.0, 12.5
"""Font sizes of the word above a step, its title and what else there is to say."""

LEADING = {TAG: 16.0, TITLE: 20.0, DETAIL: 17.0}
_SIDE, _ABOVE, _NARROWEST = 18.0, 11.0, 150.0
_TITLE_LETTERS, _DETAIL_LETTERS, _QUESTION_LETTERS, _CODE_LETTERS = 26, 36, 24, 38
_PILL = 36.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    text: str
    size: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A step with its lines and its size in pixels."""

    node: Node
    lines: tuple[Line, ...]
    width: float
    height: float

    def leaving(self, beside: float) -> tuple[float, float]:
        """Where a way to a place so far aside meets the outline: (aside, down) from the middle."""
        room = self.width * 0.3 if self.pointed else max(self.width / 2 - _SIDE, 0.0)
        aside = max(-room, min(room, beside))
        return aside, self.height / 2 * (1 - abs(aside) / (self.width / 2) if self.pointed else 1.0)

    @property
    def pointed(self) -> bool:
        """Whether it is a diamond."""
        return self.node.kind in (Kind.CHOICE, Kind.LOOP)

    @property
    def text_height(self) -> float:
        """Height of all lines together."""
        return sum(LEADING[line.size] for line in self.lines)


def shape_of(node: Node) -> Shape:
    """The shape of a step."""
    if node.kind in (Kind.CHOICE, Kind.LOOP):
        return _diamond(node)
    longest = _CODE_LETTERS if node.kind is Kind.CALL else _TITLE_LETTERS
    lines = [] if node.kind is Kind.END else [Line(node.kind.value.upper(), TAG)]
    lines += [Line(text, TITLE) for text in letters.alternatives(node.title, longest)]
    lines += [
        Line(text, DETAIL) for detail in node.lines for text in letters.balanced(detail, _DETAIL_LETTERS)
    ]
    widest = widest_of(lines)
    height = sum(LEADING[line.size] for line in lines)
    if node.kind is Kind.END:
        return Shape(node, tuple(lines), widest + 2 * _SIDE, max(_PILL, height + _ABOVE))
    return Shape(node, tuple(lines), max(_NARROWEST, widest + 2 * _SIDE), height + 2 * _ABOVE)


def widest_of(lines: "list[Line] | tuple[Line, ...]") -> float:
    """Width of the longest line."""
    return max(letters.width(line.text, line.size, bold=line.size != DETAIL) for line in lines)


def _diamond(node: Node) -> Shape:
    # A rectangle of w by h touches a diamond of (w + a) by (h + b) where w/(w+a) + h/(h+b) = 1.
    lines = tuple(Line(text, TITLE) for text in letters.balanced(node.title, _QUESTION_LETTERS))
    wide, high = widest_of(lines), len(lines) * LEADING[TITLE]
    return Shape(node, lines, wide * 1.4 + 24, high * 2.7 + 14)
