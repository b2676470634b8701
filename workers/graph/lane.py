"""The lane beside a story: what ends a run at any moment, and as what."""

from collections.abc import Sequence

from workers.graph.canvas import Canvas
from workers.graph.flow import Interrupt, Kind, Node
from workers.graph.palette import INTERRUPT
from workers.graph.shape import TAG, Line, Shape, shape_of, widest_of

_HEAD = ("AT ANY MOMENT,", "IN THE MIDDLE OF ANY WAIT")
_INSIDE, _TOP, _BETWEEN, _DOWN = 20.0, 52.0, 26.0, 26.0


class Lane:
    """Events that interrupt, one below the other, each with its outcome."""

    def __init__(self, interrupts: Sequence[Interrupt]) -> None:
        self._pairs = [
            (_event(number, each), shape_of(Node(f"o{number}", Kind.END, each.outcome)))
            for number, each in enumerate(interrupts)
        ]
        head = widest_of([Line(text, TAG) for text in _HEAD])
        widths = [shape.width for pair in self._pairs for shape in pair]
        self.width = max([head, *widths]) + 2 * _INSIDE

    def draw(self, canvas: Canvas, story: float, left: float, top: float) -> float:
        """Draw it with its left edge and its top here, and arrows from the story's right edge. Its bottom."""
        middle, y = left + self.width / 2, top + _TOP
        for number, text in enumerate(_HEAD):
            canvas.words(
                text, middle, top + 22 + 15 * number, TAG, colour=INTERRUPT.line, bold=True, at="middle"
            )
        for event, outcome in self._pairs:
            at = y + event.height / 2
            canvas.corners([(story, at), (middle - event.width / 2, at)], interrupts=True)
            canvas.step(event, middle, at, INTERRUPT)
            y += event.height + _DOWN
            canvas.corners([(middle, y - _DOWN), (middle, y)], interrupts=True)
            canvas.step(outcome, middle, y + outcome.height / 2)
            y += outcome.height + _BETWEEN
        bottom = y - _BETWEEN + _INSIDE
        canvas.frame(left, top, left + self.width, bottom, interrupts=True)
        return bottom


def _event(number: int, interrupt: Interrupt) -> Shape:
    # A box that says its own kind: the reason stands where another step has its details.
    shape = shape_of(Node(f"i{number}", Kind.WAIT, interrupt.event, (interrupt.reason,)))
    lines = shape.lines[1:]
    return Shape(shape.node, lines, shape.width, shape.height - 16.0)
