"""Which row each step of a picture stands in, and in which order: few crossings, else the code's order."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_SWEEPS = 12


@dataclass(slots=True, eq=False)
class Cell:
    """A place in a row: a step, the label of a way, or a way passing through."""

    name: str
    width: float
    height: float
    row: int
    passes: bool = False
    """Not a step: a way passes here, straight down, with its label if it has one."""
    label: str = ""
    x: float = 0.0
    y: float = 0.0
    """Its middle, once it is placed."""


class Way(NamedTuple):
    """An edge through the rows, from the upper cell to the lower one."""

    cells: tuple[Cell, ...]


@dataclass(slots=True)
class Rows:
    """Cells by row, in order from left to right."""

    rows: list[list[Cell]]
    ways: list[Way]
    above: dict[Cell, list[Cell]] = field(default_factory=lambda: defaultdict(list))
    below: dict[Cell, list[Cell]] = field(default_factory=lambda: defaultdict(list))


class Arrow(NamedTuple):
    """An edge to be placed; it must not lead back."""

    source: str
    target: str
    label: str
    label_width: float


def rows_of(sizes: Mapping[str, tuple[float, float]], arrows: Sequence[Arrow], label_height: float) -> Rows:
    """Steps in even rows, each below all that lead to it; the odd rows between them hold the labels."""
    depth = _depths(sizes, arrows)
    cells = {name: Cell(name, *size, row=2 * depth[name]) for name, size in sizes.items()}
    rows: list[list[Cell]] = [[] for _ in range(2 * max(depth.values()) + 1)]
    for cell in cells.values():
        rows[cell.row].append(cell)
    placed = Rows(rows, [])
    for arrow in arrows:
        source, target = cells[arrow.source], cells[arrow.target]
        path = [source]
        for row in range(source.row + 1, target.row):
            label = arrow.label if row == source.row + 1 else ""
            size = (arrow.label_width, label_height) if label else (8.0, 0.0)
            path.append(Cell(f"{arrow.source}>{arrow.target}", *size, row=row, passes=True, label=label))
            rows[row].append(path[-1])
        path.append(target)
        for upper, lower in pairwise(path):
            placed.below[upper].append(lower)
            placed.above[lower].append(upper)
        placed.ways.append(Way(tuple(path)))
    _order(placed)
    return placed


def _depths(sizes: Mapping[str, object], arrows: Sequence[Arrow]) -> dict[str, int]:
    """The longest way down to each step. Steps come in the order of the code, so one pass settles each."""
    depth = dict.fromkeys(sizes, 0)
    for name in sizes:
        for arrow in arrows:
            if arrow.target == name:
                depth[name] = max(depth[name], depth[arrow.source] + 1)
    return depth


def _order(rows: Rows) -> None:
    _by_first_sight(rows)
    best, fewest = [list(row) for row in rows.rows], _crossings(rows)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows.rows if downwards else reversed(rows.rows):
            _by_neighbours(row, rows.above if downwards else rows.below, _places(rows))
        if (crossings := _crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows.rows], crossings
    rows.rows[:] = best


def _by_first_sight(rows: Rows) -> None:
    """The order in which one comes upon them from the top, taking the first way first."""
    seen: dict[Cell, int] = {}

    def look(cell: Cell) -> None:
        if cell not in seen:
            seen[cell] = len(seen)
            # An end stands on the right: ways back to a loop run on the left.
            for lower in sorted(rows.below[cell], key=lambda lower: _is_end(rows, lower)):
                look(lower)

    for cell in rows.rows[0]:
        look(cell)
    for row in rows.rows:
        row.sort(key=lambda cell: seen.get(cell, len(seen)))


def _is_end(rows: Rows, cell: Cell) -> bool:
    while cell.passes:
        cell = rows.below[cell][0]
    return not rows.below[cell]


def _places(rows: Rows) -> Callable[[Cell], float]:
    places = {cell: place for row in rows.rows for place, cell in enumerate(row)}
    return lambda cell: float(places[cell])


def _by_neighbours(
    row: list[Cell], neighbours: Mapping[Cell, list[Cell]], place: Callable[[Cell], float]
) -> None:
    def middle(cell: Cell) -> float:
        near = neighbours.get(cell)
        return sum(map(place, near)) / len(near) if near else place(cell)

    row.sort(key=middle)


def _crossings(rows: Rows) -> int:
    place, crossings = _places(rows), 0
    for row in rows.rows:
        ways = [(place(cell), place(lower)) for cell in row for lower in rows.below[cell]]
        crossings += sum(a < c and b > d for a, b in ways for c, d in ways)
    return crossings
