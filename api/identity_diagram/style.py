"""Colours of identifier types: dark on light, so they are legible on light and dark pages."""

from typing import NamedTuple

from api.identity_diagram.model import REMAINDER, DiagramNode


class NodeStyle(NamedTuple):
    """Colours of a node."""

    fill: str
    border: str
    text: str
    tag: str


TEXT_COLOR, MUTED_COLOR, EDGE_COLOR = "#1f2329", "#5b6472", "#8a93a1"

GROUP_FILL, GROUP_BORDER, OTHER_GROUP_FILL = "#f6f9fd", "#9db4d6", "#fafbfc"

REFUSED_COLOR = "#c0443a"

_TYPE_COLORS = {
    "user_id": "#2f5fac",
    "loyalty_id": "#7d3f9b",
    "email": "#23774a",
    "phone": "#a1580c",
    "push_token": "#26828b",
    "anonymous_id": "#5f6979",
    "email_sha256": "#857e71",
}

_TYPE_FILLS = {"push_token": "#e5f4f5", "anonymous_id": "#eef0f4", "email_sha256": "#f6f5f2"}

_QUARANTINED_STYLE = NodeStyle("#eceef1", "#8a93a1", "#5b6472", "#5b6472")

_REMAINDER_STYLE = NodeStyle("#ffffff", "#8a93a1", TEXT_COLOR, MUTED_COLOR)


def node_style(spot: DiagramNode) -> NodeStyle:
    """Return the colours of a node: strong identifiers filled, weak ones outlined, quarantined ones grey."""
    if spot.kind == REMAINDER:
        return _REMAINDER_STYLE
    if spot.is_quarantined:
        return _QUARANTINED_STYLE
    line = _TYPE_COLORS.get(spot.kind, EDGE_COLOR)
    if spot.is_strong:
        return NodeStyle(line, line, "#ffffff", "#ffffff")
    return NodeStyle(_TYPE_FILLS.get(spot.kind, "#ffffff"), line, TEXT_COLOR, line)
