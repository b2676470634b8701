"""The lane below a story: what ends a run at any moment, and as what."""

from collections.abc import Sequence
from dataclasses import replace

from workers.graph.canvas import Canvas
from workers.graph.flow import Interrupt, Kind, Node
from workers.graph.palette import INTERRUPT
from workers.graph.shape import TAG, Line, Shape, shape_of, widest_of

GAP = 42.0
"""Room between the story's frame and the lane, for an arrow."""

_HEAD = "AT ANY MOMENT, IN THE MIDDLE OF ANY WAIT"
_INSIDE, _TOP, _BETWEEN, _ACROSS = 20.0, 36.0, 14.0, 34.0


class Lane:
    """Events that interrupt, one below the other, each with its outcome beside it."""

    def __init__(self, interrupts: Sequence[Interrupt]) -> None:
        events = [_event(number, each) for number, each in enumerate(interrupts)]
        ends = [
            shape_of(Node(f"o{number}", Kind.END, each.outcome)) for number, each in enumerate(interrupts)
        ]
        self._events = max((event.width for event in events), default=0.0)
        self._pairs = [
            (replace(event, width=self._events), end) for event, end in zip(events, ends, strict=True)
        ]
        outcomes = max((outcome.width for _, outcome in self._pairs), default=0.0)
        head = widest_of([Line(_HEAD, TAG)])
        self.width = max(head, self._events + _ACROSS + outcomes) + 2 * _INSIDE
        self._aside = (self.width - self._events - _ACROSS - outcomes) / 2

    def draw(self, canvas: Canvas, left: float, top: float, middle: float) -> float:
        """Draw it with its corner here, below a story whose frame ends above it. Returns its bottom."""
        canvas.corners([(middle, top - GAP), (middle, top)], interrupts=True)
        canvas.words(
            _HEAD, left + self.width / 2, top + 23, TAG, colour=INTERRUPT.line, bold=True, at="middle"
        )
        y = top + _TOP
        for event, outcome in self._pairs:
            height = max(event.height, outcome.height)
            start, at = left + self._aside, y + height / 2
            canvas.step(event, start + event.width / 2, at, INTERRUPT)
            end = start + self._events + _ACROSS
            canvas.corners([(start + event.width, at), (end, at)], interrupts=True)
            canvas.step(outcome, end + outcome.width / 2, at)
            y += height + _BETWEEN
        bottom = y - _BETWEEN + _INSIDE
        canvas.frame(left, top, left + self.width, bottom, interrupts=True)
        return bottom


def _event(number: int, interrupt: Interrupt) -> Shape:
    # A box that says its own kind: the reason stands where another step has its details.
    shape = shape_of(Node(f"i{number}", Kind.WAIT, interrupt.event, (interrupt.reason,)))
    lines = shape.lines[1:]
    return Shape(shape.node, lines, shape.width, shape.height - 16.0)
