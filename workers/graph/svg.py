"""A flow as an SVG picture, drawn here: no browser, no fonts to load, the same on light and dark pages."""

from workers.graph import letters
from workers.graph.canvas import Canvas
from workers.graph.flow import Edge, Flow
from workers.graph.lane import GAP, Lane
from workers.graph.palette import MUTED
from workers.graph.placing import place
from workers.graph.ranks import Arrow, Cell, Rows, rows_of
from workers.graph.shape import DETAIL, Shape, shape_of

MARGIN, INSIDE, HEAD = 28.0, 26.0, 22.0
"""Room around the card, around the story in its frame, and the size of the journey's name."""

_LABEL_HEIGHT, _LABEL_SIDE = 20.0, 7.0
_RETURN_GAP = 26.0
_SUMMARY_LETTER = 6.6


def svg(flow: Flow) -> str:
    """The picture as the text of an SVG file; ends with a newline."""
    shapes = {node.id: shape_of(node) for node in flow.nodes}
    rows = _rows(flow, shapes)
    width, height = place(rows)
    returns = [edge for edge in flow.edges if edge.back]
    lane = Lane(flow.interrupts)
    left = MARGIN + INSIDE + sum(_return_room(edge) for edge in returns)
    story = left + width + INSIDE
    if flow.interrupts:
        # The lane is no wider than the story's frame.
        wider = max(0.0, MARGIN + lane.width - story)
        left, story = left + wider / 2, story + wider
    total = max(story + MARGIN, letters.width(flow.journey, HEAD, bold=True) + 2 * MARGIN)
    summary = letters.lines(flow.summary, int((total - 2 * MARGIN) / _SUMMARY_LETTER))
    top = MARGIN + HEAD + 12 + 18 * len(summary) + 18
    canvas = Canvas(total, 0.0, title=f"The journey {flow.journey}", description=_told(flow))
    for row in rows.rows:
        for cell in row:
            cell.x, cell.y = cell.x + left, cell.y + top
    _head(canvas, flow.journey, summary)
    bottom = _story(canvas, rows, shapes, MARGIN, story, top + height)
    _ways(canvas, rows, shapes)
    _returns(canvas, rows, returns, left)
    for row in rows.rows:
        for cell in row:
            if not cell.passes:
                canvas.step(shapes[cell.name], cell.x, cell.y)
    if flow.interrupts:
        middle = (MARGIN + story) / 2
        bottom = lane.draw(canvas, middle - lane.width / 2, bottom + GAP, middle)
    canvas.height = bottom + MARGIN
    return canvas.text()


def _rows(flow: Flow, shapes: dict[str, Shape]) -> Rows:
    sizes = {name: (shape.width, shape.height) for name, shape in shapes.items()}
    arrows = [
        Arrow(edge.source, edge.target, edge.label, letters.width(edge.label, DETAIL) + 2 * _LABEL_SIDE)
        for edge in flow.edges
        if not edge.back
    ]
    return rows_of(sizes, arrows, _LABEL_HEIGHT)


def _head(canvas: Canvas, name: str, summary: list[str]) -> None:
    canvas.words(name, MARGIN, MARGIN + HEAD - 4, HEAD, bold=True)
    for number, line in enumerate(summary):
        canvas.words(line, MARGIN, MARGIN + HEAD + 20 + 18 * number, 13.5, colour=MUTED)


def _frame_top(rows: Rows) -> float:
    """The frame begins below the entry: only what comes after can be interrupted."""
    entry = rows.rows[0][0]
    return entry.y + entry.height / 2 + 14


def _story(
    canvas: Canvas, rows: Rows, shapes: dict[str, Shape], left: float, right: float, bottom: float
) -> float:
    if len(shapes) == 1:
        return bottom
    canvas.frame(left, _frame_top(rows), right, bottom + INSIDE - 6)
    return bottom + INSIDE - 6


def _ways(canvas: Canvas, rows: Rows, shapes: dict[str, Shape]) -> None:
    for way in rows.ways:
        canvas.way(_points(way.cells, shapes))
        for cell in way.cells:
            if cell.label:
                canvas.label(cell.label, cell.x, cell.y, cell.width)


def _returns(canvas: Canvas, rows: Rows, returns: list[Edge], left: float) -> None:
    """Ways back to where a loop begins again, on the left of all steps."""
    cells = {cell.name: cell for row in rows.rows for cell in row if not cell.passes}
    x = left
    for edge in returns:
        room = _return_room(edge)
        x -= room / 2
        _return(canvas, cells[edge.source], cells[edge.target], edge.label, x, room)
        x -= room / 2


def _points(cells: tuple[Cell, ...], shapes: dict[str, Shape]) -> list[tuple[float, float]]:
    first, *through, last = cells
    aside, down = shapes[first.name].leaving(cells[1].x - first.x)
    points = [(first.x + aside, first.y + down)]
    for cell in through:
        points += [(cell.x, cell.y - cell.height / 2), (cell.x, cell.y + cell.height / 2)]
    aside, up = shapes[last.name].leaving(cells[-2].x - last.x)
    return [*points, (last.x + aside, last.y - up)]


def _return_room(edge: Edge) -> float:
    return max(_RETURN_GAP, letters.width(edge.label, DETAIL) + 2 * _LABEL_SIDE + 6 if edge.label else 0.0)


def _return(canvas: Canvas, source: Cell, target: Cell, label: str, x: float, room: float) -> None:
    down, up = source.y + source.height / 2 + 9, target.y - target.height / 2 - 9
    start, end = source.x - 12, target.x - min(24.0, target.width / 8)
    canvas.corners([(start, down - 9), (start, down), (x, down), (x, up), (end, up), (end, up + 9)])
    if label:
        canvas.label(label, x, (down + up) / 2, room - 6)


def _told(flow: Flow) -> str:
    steps = "; ".join(f"{node.kind.value} {node.title}" for node in flow.nodes)
    ends = "; ".join(f"{each.event} ends it as {each.outcome}" for each in flow.interrupts)
    return f"{flow.summary} Steps: {steps}. At any moment: {ends or 'nothing'}."
