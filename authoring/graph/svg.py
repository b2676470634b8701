"""A flow as an SVG picture, laid out and drawn by D2."""

import re
from collections.abc import Iterator, Sequence

from api.d2 import RED, TextLine, box, heading, quote, render, style, wrap
from authoring.graph.flow import Edge, Flow, Interrupt, Kind, Node
from authoring.graph.palette import INK, INTERRUPT, LINE, MUTED, PAINTS, Paint

_SHAPES = {Kind.CHOICE: "diamond", Kind.LOOP: "hexagon", Kind.END: "rectangle"}
"""Kinds that are recognised by their shape: they have a title only."""

_CORNERS: dict[Kind, int | str] = {Kind.CHOICE: "", Kind.LOOP: "", Kind.ENTRY: 20, Kind.END: 20}
"""Radius of the corners where it differs from the default; a diamond has none."""

_TITLE, _CODE, _QUESTION, _DETAIL, _LABEL = 26, 38, 24, 40, 20
"""Characters of a line in each place."""

_RED = f"{{{style(stroke=RED, stroke_dash=4)}}}"


def svg(flow: Flow) -> str:
    """Return the picture as the text of an SVG file; it ends with a newline. Raises ``DrawingError``."""
    return render(source(flow), title=f"The journey {flow.journey}")


def source(flow: Flow) -> str:
    """Return the flow in D2's language: the entry, the story in a frame, and the interrupts below it."""
    first, *rest = flow.nodes
    names = {first.id: first.id} | {node.id: f"story.{node.id}" for node in rest}
    lines = ["direction: down", *heading(flow.journey, flow.summary)]
    if rest:
        lines.append(f"story: '' {{{_frame()}}}")
    for node in flow.nodes:
        lines += _step(names[node.id], node)
    for number, edge in enumerate(flow.edges):
        lines += _way(f"story.way{number}", edge, names[edge.source], names[edge.target])
    if flow.interrupts:
        lines += _interrupting(flow.interrupts, "story" if rest else first.id)
    return "\n".join(lines) + "\n"


def _step(name: str, node: Node) -> Iterator[str]:
    paint = PAINTS[node.kind]
    if node.kind in _SHAPES:
        title = quote(*wrap(node.title, _QUESTION))
        yield f"{name}: {title} {{shape: {_SHAPES[node.kind]}; {_style(node.kind, paint)}}}"
        return
    lines = [TextLine(node.kind.value.upper(), 12, paint.line, bold=True)]
    lines += _title(_alternatives(node.title, _CODE if node.kind is Kind.CALL else _TITLE))
    lines += [line for text in node.lines for line in _detail(text)]
    yield from box(name, lines, _style(node.kind, paint))


def _title(lines: Sequence[str]) -> list[TextLine]:
    return [TextLine(line, 17, INK, bold=True) for line in lines]


def _detail(text: str) -> list[TextLine]:
    return [TextLine(line, 14, MUTED) for line in wrap(text, _DETAIL)]


def _style(kind: Kind, paint: Paint) -> str:
    # The dark end of a story has a light outline, which is seen on a dark page.
    return style(
        fill=paint.fill,
        stroke=LINE if kind is Kind.END else paint.line,
        stroke_dash=4 if kind is Kind.CALL else 0,
        border_radius=_CORNERS.get(kind, 8),
        font_color=paint.ink,
    )


def _frame(colour: str = "") -> str:
    return style(fill="transparent", stroke=colour, stroke_dash=4, border_radius=12)


def _alternatives(text: str, width: int) -> list[str]:
    """Break text into lines; "A or B" that is too long for one line is broken before its "or"."""
    parts = [text] if len(text) <= width else re.split(r"(?<=,) | (?=(?:or|and) )", text)
    return [line for part in parts for line in wrap(part, width)]


def _way(name: str, edge: Edge, source: str, target: str) -> Iterator[str]:
    """Return an arrow. Its label is a shape without an outline, so that the layout keeps room for it."""
    # d2 draws no arrow from a box straight to itself.
    label = wrap(edge.label, _LABEL) or ["again"] * (source == target)
    if label:
        yield _label(name, label)
    # A way back is written from its target, which keeps the head of a loop above its body.
    if edge.back:
        yield f"{target} <- {name} -- {source}" if label else f"{target} <- {source}"
    else:
        yield f"{source} -- {name} -> {target}" if label else f"{source} -> {target}"


def _label(name: str, lines: Sequence[str], colour: str = "") -> str:
    font = style(font_size=14, italic="true", font_color=colour)
    return f"{name}: {quote(*lines)} {{shape: text; {font}}}"


def _interrupting(interrupts: Sequence[Interrupt], story: str) -> Iterator[str]:
    """Return the events that end a run at any moment, each beside its outcome."""
    yield _label("moment", ["at any moment, in the middle of any wait"], RED)
    grid = f"grid-rows: {len(interrupts)}; grid-columns: 2; vertical-gap: 16; horizontal-gap: 56"
    yield f"anytime: '' {{{grid}; {_frame(RED)}}}"
    for number, each in enumerate(interrupts):
        event, outcome = f"anytime.event{number}", f"anytime.outcome{number}"
        lines = _title(wrap(each.event, _TITLE)) + _detail(each.reason)
        yield from box(event, lines, _style(Kind.WAIT, INTERRUPT))
        yield from _step(outcome, Node(outcome, Kind.END, each.outcome))
        yield f"{event} -> {outcome}: {_RED}"
    yield f"{story} -- moment -> anytime: {_RED}"
