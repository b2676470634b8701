"""A flow as Mermaid text, for a README, a pull request or a wiki."""

import re

from authoring.graph.flow import Flow, Kind, Node
from authoring.graph.palette import INTERRUPT, LINE, PAINTS, Paint

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
"""Kinds that are recognised by their shape."""


def mermaid(flow: Flow) -> str:
    """The flow as a ``flowchart``, top to bottom; ends with a newline."""
    start, *steps = flow.nodes
    lines = ["flowchart TD", f"  {_node(start)}"]
    lines.append('  subgraph story[" "]')
    lines += [f"    {_node(node)}" for node in steps]
    lines.append("  end")
    for edge in flow.edges:
        label = f'|"{_text(edge.label)}"|' if edge.label else ""
        lines.append(f"  {edge.source} -->{label} {edge.target}")
    lines += _interrupting(flow)
    lines += [_class(_name(kind), paint) for kind, paint in PAINTS.items()]
    lines.append(_class("interrupt", INTERRUPT))
    lines.append(f"  style story fill:transparent,stroke:{LINE},stroke-dasharray:4 4")
    return "\n".join(lines) + "\n"


def _interrupting(flow: Flow) -> list[str]:
    """Return the events that end a run at any moment, in a frame of their own beside the story's."""
    if not flow.interrupts:
        return []
    lines = ['  subgraph anytime["at any moment, in the middle of any wait"]']
    for number, interrupt in enumerate(flow.interrupts):
        lines.append(
            f'    event{number}["{_text(interrupt.event)}<br/>{_text(interrupt.reason)}"]:::interrupt'
        )
        lines.append(f'    stop{number}(["{_text(interrupt.outcome)}"]):::{_name(Kind.END)}')
        lines.append(f"    event{number} --> stop{number}")
    lines += ["  end", "  story -.-> anytime"]
    lines.append(f"  style anytime fill:transparent,stroke:{INTERRUPT.line},stroke-dasharray:4 4")
    return lines


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
    """Return text for use in quotation marks. An entity is #name; and a backquote begins Markdown."""
    named = {"#": "#35;", '"': "#quot;", "`": "#96;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "\\": "#92;"}
    plain = (letter for letter in re.sub(r"\s+", " ", text) if letter.isprintable())
    return "".join(named.get(letter, letter) for letter in plain)
