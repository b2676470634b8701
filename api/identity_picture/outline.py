"""Where everything in a picture of an identity stands: one below the other, as an outline, so that it is
legible on a phone."""

from dataclasses import dataclass, field

from api.identity_picture import letters
from api.identity_picture.sheet import REST, Fence, Sheet, Spot
from api.identity_picture.words import TYPES

TAG, VALUE, LABEL, HEAD = 10.5, 15.0, 12.5, 19.0
"""Font sizes of a type, a value, what is written on a line, and the title."""

MARGIN, PAD, NODE, LEADING, GAP, FENCE_GAP, FENCE_HEAD = 18.0, 14.0, 34.0, 17.0, 14.0, 26.0, 26.0
INDENT, SIDE, LANE = 34.0, 13.0, 15.0
_BETWEEN = 9.0
_LABEL_WIDTH, _REFUSAL_WIDTH = 350.0, 370.0
_NARROWEST = 400.0
_DEEPEST = 170.0
"""Pixels that all indents together may take."""


@dataclass(frozen=True, slots=True)
class Written:
    """One line of text above a node."""

    text: str
    refused: bool = False


@dataclass(slots=True)
class Place:
    """A node with its place and the text above it."""

    spot: Spot
    left: float
    top: float
    width: float
    above: list[Written]
    """Lines on the way to it."""
    tag: str

    @property
    def middle(self) -> float:
        """Height of the line that leads to it."""
        return self.top + NODE / 2

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def text_right(self) -> float:
        """Right edge of the widest thing at this place."""
        widths = [letters.width(line.text, LABEL) for line in self.above]
        return max(self.right, *(self.left + 4 + width for width in widths)) if widths else self.right


@dataclass(slots=True)
class Yard:
    """A fence with what stands in it."""

    fence: Fence
    top: float
    bottom: float
    places: list[Place]


@dataclass(slots=True)
class Outline:
    """The whole picture, in pixels."""

    width: float
    height: float
    head: list[str]
    subtitle: list[str]
    yards: list[Yard]
    content_right: float
    """Nothing but lines to other people lies to the right of it, within the fences."""
    indent: float
    legend: list[str]
    lanes: dict[str, float] = field(default_factory=dict)
    """Key of an identifier that was refused → x of the line that leads down from it."""


def outlined(sheet: Sheet, legend: str) -> Outline:
    """Give everything its place."""
    deepest = max((spot.depth for fence in sheet.fences for spot in fence.spots), default=0)
    indent = min(INDENT, _DEEPEST / deepest) if deepest else INDENT
    head = letters.lines(sheet.title, _NARROWEST - 2 * MARGIN, HEAD)
    subtitle = letters.lines(sheet.subtitle, _NARROWEST - 2 * MARGIN, LABEL)
    y = MARGIN + 24 * len(head) + LEADING * len(subtitle) + 14
    yards = []
    for fence in sheet.fences:
        yard = _yard(fence, y, indent)
        yards.append(yard)
        y = yard.bottom + FENCE_GAP
    places = [place for yard in yards for place in yard.places]
    titles = [MARGIN + PAD + letters.width(fence.title, LABEL, bold=True) for fence in sheet.fences]
    right = max([*(place.text_right for place in places), *titles])
    refused = {each.source for place in places for each in place.spot.refusals}
    # The lowest takes the nearest lane, so that no line crosses another where it sets out.
    sources = [place.spot.key for place in reversed(places) if place.spot.key in refused]
    lanes = {key: right + LANE * (number + 1) for number, key in enumerate(sources)}
    width = max(right + LANE * (len(lanes) + 1) + PAD + MARGIN, _NARROWEST)
    told = letters.lines(legend, width - 2 * MARGIN, LABEL)
    height = y - FENCE_GAP + 16 + LEADING * len(told) + MARGIN - 6
    return Outline(width, height, head, subtitle, yards, right, indent, told, lanes)


def _yard(fence: Fence, top: float, indent: float) -> Yard:
    y = top + FENCE_HEAD
    places = []
    for spot in fence.spots:
        above = _above(spot)
        y += LEADING * len(above) + (5 if above else 0)
        tag = "" if spot.kind == REST else TYPES.get(spot.kind, spot.kind).upper()
        if spot.vouched:
            tag += " ✓"
        width = letters.width(spot.text, VALUE, bold=True) + 2 * SIDE
        if tag:
            width += letters.width(tag, TAG, bold=True) + _BETWEEN
        places.append(Place(spot, MARGIN + PAD + spot.depth * indent, y, width, above, tag))
        y += NODE + GAP
    return Yard(fence, top, y - GAP + PAD, places)


def _above(spot: Spot) -> list[Written]:
    lines = [Written(text) for text in letters.lines(spot.label, _LABEL_WIDTH, LABEL)] if spot.label else []
    for refusal in spot.refusals:
        lines += [Written(text, refused=True) for text in letters.lines(refusal.label, _REFUSAL_WIDTH, LABEL)]
    return lines


def tag_width(place: Place) -> float:
    """Pixels from a node's text's left to its value."""
    return letters.width(place.tag, TAG, bold=True) + _BETWEEN if place.tag else 0.0
