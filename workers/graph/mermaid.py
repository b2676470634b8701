"""A flow as Mermaid text, for a README, a pull request or a wiki."""

import re

from workers.graph.flow import Flow, Kind, Node
from workers.graph.palette import INTERRUPT, PAINTS, Paint

_SHAPES = {
    Kind.ENTRY: ('(["', '"])'),
    Kind.WAIT: ('("', '")'),
    Kind.CALL: ('[["', '"]]'),
    Kind.CHOICE: ('{"', '"}'),
    Kind.LOOP: ('{{"', '"}}'),
    Kind.END: ('(["', '"])'),
}
_BOX = ('["', '"]')
_UNSAID = (Kind.CHOICE, Kind.LOOP, Kind.END)
"""Kinds whose shape says what they are."""


def mermaid(flow: Flow) -> str:
    """The flow as a ``flowchart``, top to bottom; ends with a newline."""
    start, *steps = flow.nodes
    lines = ["flowchart TD", f"  {_node(start)}"]
    lines.append(f'  subgraph story["{_text(flow.journey)}"]')
    lines += [f"    {_node(node)}" for node in steps]
    lines.append("  end")
    for edge in flow.edges:
        label = f'|"{_text(edge.label)}"|' if edge.label else ""
        lines.append(f"  {edge.source} -->{label} {edge.target}")
    outcomes = list(dict.fromkeys(interrupt.outcome for interrupt in flow.interrupts))
    lines += [
        f'  stop{number}(["{_text(outcome)}"]):::{_name(Kind.END)}' for number, outcome in enumerate(outcomes)
    ]
    for interrupt in flow.interrupts:
        label = f"any time: {interrupt.event} ({interrupt.reason})"
        lines.append(f'  story -.->|"{_text(label)}"| stop{outcomes.index(interrupt.outcome)}')
    lines += [_class(_name(kind), paint) for kind, paint in PAINTS.items()]
    if flow.interrupts:
        ways = range(len(flow.edges), len(flow.edges) + len(flow.interrupts))
        lines.append(f"  linkStyle {','.join(map(str, ways))} stroke:{INTERRUPT.line}")
    lines.append("  style story fill:transparent,stroke:#8a93a1,stroke-dasharray:4 4")
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    opening, closing = _SHAPES.get(node.kind, _BOX)
    head = node.title if node.kind in _UNSAID else f"{node.kind.value}: {node.title}"
    text = "<br/>".join(_text(line) for line in (head, *node.lines))
    return f"{node.id}{opening}{text}{closing}:::{_name(node.kind)}"


def _name(kind: Kind) -> str:
    # "end" and "call" alone are words of Mermaid's own.
    return f"{kind.name.lower()}_step"


def _class(name: str, paint: Paint) -> str:
    return f"  classDef {name} fill:{paint.fill},stroke:{paint.line},color:{paint.ink}"


def _text(text: str) -> str:
    """Text inside quotation marks. Mermaid writes an entity as #name; and a backquote begins Markdown."""
    named = {"#": "#35;", '"': "#quot;", "`": "#96;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "\\": "#92;"}
    return "".join(named.get(letter, letter) for letter in re.sub(r"\s+", " ", text))
