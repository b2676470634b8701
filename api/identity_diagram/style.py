"""Colours of the types of identifiers: dark on light, so that they read the same on any page."""

from typing import NamedTuple

from api.identity_diagram.model import REST, Spot


class Paint(NamedTuple):
    """How a node is painted."""

    fill: str
    line: str
    ink: str
    tag: str


INK, MUTED, LINE = "#1f2329", "#5b6472", "#8a93a1"

FENCE, FENCE_LINE, OTHER = "#f6f9fd", "#9db4d6", "#fafbfc"

REFUSED = "#c0443a"

_LINES = {
    "user_id": "#2f5fac",
    "loyalty_id": "#7d3f9b",
    "email": "#23774a",
    "phone": "#a1580c",
    "push_token": "#26828b",
    "anonymous_id": "#5f6979",
    "email_sha256": "#857e71",
}

_TINTS = {"push_token": "#e5f4f5", "anonymous_id": "#eef0f4", "email_sha256": "#f6f5f2"}

_GREY = Paint("#eceef1", "#8a93a1", "#5b6472", "#5b6472")

_REST = Paint("#ffffff", "#8a93a1", INK, MUTED)


def paint_of(spot: Spot) -> Paint:
    """Strong identifiers are filled, weak ones outlined, nobody's grey."""
    if spot.kind == REST:
        return _REST
    if spot.nobodys:
        return _GREY
    line = _LINES.get(spot.kind, LINE)
    if spot.strong:
        return Paint(line, line, "#ffffff", "#ffffff")
    return Paint(_TINTS.get(spot.kind, "#ffffff"), line, INK, line)
