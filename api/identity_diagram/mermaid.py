"""A picture of an identity as Mermaid text, for an issue, a pull request or a wiki."""

import re

from api.identity_diagram.builder import build_diagram
from api.identity_diagram.model import REMAINDER, TYPE_LABELS, DiagramGroup, DiagramNode, IdentityDiagram
from api.identity_diagram.style import (
    EDGE_COLOR,
    GROUP_BORDER,
    GROUP_FILL,
    OTHER_GROUP_FILL,
    REFUSED_COLOR,
    node_style,
)
from profiles.identity.views import IdentityView

_RECTANGLE, _STADIUM = ('["', '"]'), ('(["', '"])')


def render_mermaid(view: IdentityView, *, full: bool = False) -> str:
    """The picture as a ``flowchart``; ends with a newline. Values are shortened unless ``full``."""
    return to_flowchart(build_diagram(view, full=full))


def to_flowchart(sheet: IdentityDiagram) -> str:
    """A sheet as a ``flowchart``."""
    spots = [spot for fence in sheet.groups for spot in fence.nodes]
    names = {spot.key: f"n{number}" for number, spot in enumerate(spots)}
    lines = ["flowchart LR"]
    for number, fence in enumerate(sheet.groups):
        lines += _group_lines(fence, number, names)
    ways = [spot for spot in spots if spot.parent_key is not None]
    lines += [
        f'  {names[spot.parent_key or ""]} ---|"{_escape_text(spot.edge_label)}"| {names[spot.key]}'
        for spot in ways
    ]
    refused = [(spot, each) for spot in spots for each in spot.refused_links]
    lines += [
        f'  {names[each.source_key]} -. "{_escape_text(each.label)}" .-x {names[s.key]}'
        for s, each in refused
    ]
    if refused:
        numbers = ",".join(str(len(ways) + number) for number in range(len(refused)))
        lines.append(f"  linkStyle {numbers} stroke:{REFUSED_COLOR},color:{REFUSED_COLOR}")
    lines += [_style_line(spot, names[spot.key]) for spot in spots]
    return "\n".join(lines) + "\n"


def _group_lines(fence: DiagramGroup, number: int, names: dict[str, str]) -> list[str]:
    lines = [f'  subgraph fence{number}["{_escape_text(fence.title)}"]']
    lines += [f"    {names[spot.key]}{_node_text(spot)}" for spot in fence.nodes]
    fill, line = (OTHER_GROUP_FILL, EDGE_COLOR) if number else (GROUP_FILL, GROUP_BORDER)
    return [*lines, "  end", f"  style fence{number} fill:{fill},stroke:{line}"]


def _node_text(spot: DiagramNode) -> str:
    opening, closing = _RECTANGLE if spot.is_strong or spot.kind == REMAINDER else _STADIUM
    tag = (
        ""
        if spot.kind == REMAINDER
        else TYPE_LABELS.get(spot.kind, spot.kind) + (" ✓" if spot.is_vouched else "")
    )
    return opening + "<br/>".join(_escape_text(line) for line in (tag, spot.text) if line) + closing


def _style_line(spot: DiagramNode, name: str) -> str:
    paint = node_style(spot)
    dashes = ",stroke-dasharray:5 3" if spot.is_quarantined or spot.kind == REMAINDER else ""
    return f"  style {name} fill:{paint.fill},stroke:{paint.border},color:{paint.text}{dashes}"


def _escape_text(text: str) -> str:
    """Text inside quotation marks. Mermaid writes an entity as #name; and a backquote begins Markdown."""
    named = {"#": "#35;", '"': "#quot;", "`": "#96;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "\\": "#92;"}
    plain = (letter for letter in re.sub(r"\s+", " ", text) if letter.isprintable())
    return "".join(named.get(letter, letter) for letter in plain)
