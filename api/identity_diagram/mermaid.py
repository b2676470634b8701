"""An identity diagram as Mermaid text, for an issue, a pull request or a wiki."""

import re

from api.identity_diagram.builder import build_diagram
from api.identity_diagram.model import (
    EDGE_COLOR,
    GROUP_BORDER,
    GROUP_FILL,
    OTHER_GROUP_FILL,
    REFUSED_COLOR,
    REMAINDER,
    TYPE_LABELS,
    DiagramGroup,
    DiagramNode,
    node_style,
)
from profiles.identity.views import IdentityView

_RECTANGLE, _STADIUM = ('["', '"]'), ('(["', '"])')


def render_mermaid(view: IdentityView, *, full: bool = False) -> str:
    """Return the diagram as a ``flowchart``; it ends with a newline. Values are masked unless ``full``."""
    groups = build_diagram(view, full=full).groups
    nodes = [node for group in groups for node in group.nodes]
    names = {node.key: f"n{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart LR"]
    for number, group in enumerate(groups):
        lines += _group_lines(group, number, names)
    linked = [node for node in nodes if node.parent_key is not None]
    lines += [
        f'  {names[node.parent_key or ""]} ---|"{_escape_text(node.edge_label)}"| {names[node.key]}'
        for node in linked
    ]
    refused = [(node, each) for node in nodes for each in node.refused_links]
    lines += [
        f'  {names[each.source_key]} -. "{_escape_text(each.label)}" .-x {names[s.key]}'
        for s, each in refused
    ]
    if refused:
        numbers = ",".join(str(len(linked) + number) for number in range(len(refused)))
        lines.append(f"  linkStyle {numbers} stroke:{REFUSED_COLOR},color:{REFUSED_COLOR}")
    lines += [_style_line(node, names[node.key]) for node in nodes]
    return "\n".join(lines) + "\n"


def _group_lines(group: DiagramGroup, number: int, names: dict[str, str]) -> list[str]:
    lines = [f'  subgraph fence{number}["{_escape_text(group.title)}"]']
    lines += [f"    {names[node.key]}{_node_text(node)}" for node in group.nodes]
    fill, line = (OTHER_GROUP_FILL, EDGE_COLOR) if number else (GROUP_FILL, GROUP_BORDER)
    return [*lines, "  end", f"  style fence{number} fill:{fill},stroke:{line}"]


def _node_text(node: DiagramNode) -> str:
    opening, closing = _RECTANGLE if node.is_strong or node.kind == REMAINDER else _STADIUM
    tag = TYPE_LABELS.get(node.kind, node.kind) + (" ✓" if node.is_vouched else "")
    if node.kind == REMAINDER:
        tag = ""
    return opening + "<br/>".join(_escape_text(line) for line in (tag, node.text) if line) + closing


def _style_line(node: DiagramNode, name: str) -> str:
    paint = node_style(node)
    dashes = ",stroke-dasharray:5 3" if node.is_quarantined or node.kind == REMAINDER else ""
    return f"  style {name} fill:{paint.fill},stroke:{paint.border},color:{paint.text}{dashes}"


def _escape_text(text: str) -> str:
    """Escape text for quotation marks. Mermaid writes an entity as #name; and a backquote begins Markdown."""
    named = {"#": "#35;", '"': "#quot;", "`": "#96;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "\\": "#92;"}
    plain = (letter for letter in re.sub(r"\s+", " ", text) if letter.isprintable())
    return "".join(named.get(letter, letter) for letter in plain)
