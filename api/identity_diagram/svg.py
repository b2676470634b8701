"""An identity diagram as SVG, laid out and drawn by D2."""

from collections import Counter
from collections.abc import Iterator

from api.d2 import RED, TextLine, box, heading, note, quote, render, style, wrap
from api.identity_diagram.builder import build_diagram
from api.identity_diagram.model import (
    EDGE_COLOR,
    GROUP_BORDER,
    REMAINDER,
    TYPE_LABELS,
    DiagramGroup,
    DiagramNode,
    IdentityDiagram,
    node_style,
)
from profiles.identity.views import IdentityView

_LABEL = 46
"""Most characters of a label line."""

_LEGEND = TextLine("✓ named by a sender who may vouch for it. Times are UTC.")

_REFUSALS = TextLine("Red: named together, not joined.", colour=RED)


def svg(view: IdentityView, *, full: bool = False) -> str:
    """Return an SVG file, masked unless ``full``; it ends with a newline. Raises ``DrawingError``."""
    diagram = build_diagram(view, full=full)
    return render(source(diagram), title=diagram.title)


def source(sheet: IdentityDiagram) -> str:
    """Return a diagram in D2's language: a frame per group, lines for links, red arrows for refused links."""
    lines = [f"direction: {_direction(sheet)}", *heading(sheet.title, sheet.subtitle)]
    names: dict[str, str] = {}
    for number, group in enumerate(sheet.groups):
        lines.append(_frame(f"fence{number}", group, first=number == 0))
        for index, node in enumerate(group.nodes):
            names[node.key] = f"fence{number}.n{index}"
            lines += _node_box(names[node.key], node)
    nodes = [node for group in sheet.groups for node in group.nodes]
    refused = f"{{target-arrowhead: {{shape: cross}}; {style(stroke=RED, stroke_dash=4)}}}"
    refusals = [(names[each.source_key], names[node.key]) for node in nodes for each in node.refused_links]
    lines += [
        f"{names[node.parent_key]} -- {names[node.key]}" for node in nodes if node.parent_key is not None
    ]
    lines += [f"{start} -> {end}: {refused}" for start, end in refusals]
    lines += note("legend", [_REFUSALS, _LEGEND] if refusals else [_LEGEND], "bottom-center")
    return "\n".join(lines) + "\n"


def _direction(sheet: IdentityDiagram) -> str:
    """Return the direction of layout: down for a chain, right for many siblings, so the width stays small."""
    breadth = Counter(node.depth for node in sheet.groups[0].nodes)
    return "right" if max(breadth.values(), default=0) > len(breadth) else "down"


def _frame(name: str, group: DiagramGroup, *, first: bool) -> str:
    # Lines from the first frame enter other frames at the top, so these have their title at the bottom.
    place, line = ("top", GROUP_BORDER) if first else ("bottom", EDGE_COLOR)
    dash = 4 if group.is_quarantined else 0
    look = style(
        fill="transparent", stroke=line, stroke_dash=dash, border_radius=12, font_size=15, bold="false"
    )
    return f"{name}: {quote(group.title)} {{label.near: {place}-center; {look}}}"


def _node_box(name: str, node: DiagramNode) -> Iterator[str]:
    paint, rest = node_style(node), node.kind == REMAINDER
    lines = [TextLine(node.text, 17, paint.text, bold=node.is_strong)]
    if not rest:
        tag = TYPE_LABELS.get(node.kind, node.kind).upper() + (" ✓" if node.is_vouched else "")
        lines.insert(0, TextLine(tag, 12, paint.tag, bold=True))
    labels = [node.edge_label, *(f"× {refusal.label}" for refusal in node.refused_links)]
    lines += [TextLine(line, 14, paint.text) for label in labels for line in wrap(label, _LABEL)]
    dash, corner = 4 if node.is_quarantined or rest else 0, 8 if node.is_strong or rest else 20
    return box(
        name, lines, style(fill=paint.fill, stroke=paint.border, stroke_dash=dash, border_radius=corner)
    )
