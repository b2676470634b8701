"""Where each cell of the rows stands: near what it is connected with, and clear of its neighbours."""

from itertools import pairwise

from workers.graph.ranks import Cell, Rows

BETWEEN, AROUND_WAYS, ROW_GAP = 40.0, 16.0, 19.0
"""Pixels kept between two steps, beside a passing way, and between two rows."""

_ROUNDS = 60


def place(rows: Rows) -> tuple[float, float]:
    """Give every cell its middle. Returns the width and height that all of them take."""
    for row in rows.rows:
        x = 0.0
        for cell, left in zip(row, [None, *row], strict=False):
            x += _apart(left, cell) if left else 0.0
            cell.x = x
    for turn in range(_ROUNDS):
        for row in rows.rows if turn % 2 == 0 else reversed(rows.rows):
            _settle(row, [_wish(rows, cell) for cell in row])
    for _ in range(3):
        for line in _lines(rows):
            _straighten(rows, line)
    return _shift(rows)


def _shift(rows: Rows) -> tuple[float, float]:
    cells = [cell for row in rows.rows for cell in row]
    left = min(cell.x - cell.width / 2 for cell in cells)
    y = 0.0
    for row in rows.rows:
        height = max((cell.height for cell in row), default=0.0)
        for cell in row:
            cell.x -= left
            # Steps hang from the top of their row, so that ways into them are equally long.
            cell.y = y + (cell.height if not cell.passes else height) / 2
        y += height + ROW_GAP
    return max(cell.x + cell.width / 2 for cell in cells), y - ROW_GAP


def _wish(rows: Rows, cell: Cell) -> tuple[float, float]:
    """Where a cell wants to be, and how much."""
    total = weights = 0.0
    for near, others in ((rows.above[cell], rows.below), (rows.below[cell], rows.above)):
        for other in near:
            # Long ways are straight, and so is a plain sequence of steps.
            straight = len(near) == 1 and len(others[other]) == 1
            weight = 8.0 if cell.passes and other.passes else 3.0 if straight else 1.0
            total, weights = total + weight * other.x, weights + weight
    return (total / weights, weights) if weights else (cell.x, 0.1)


def _lines(rows: Rows) -> list[list[Cell]]:
    """Cells that should stand exactly below one another: sequences of steps, and long ways."""
    lines: list[list[Cell]] = []
    taken: set[Cell] = set()
    for cell in (cell for row in rows.rows for cell in row):
        line = [cell]
        while len(rows.below[line[-1]]) == 1 and len(rows.above[rows.below[line[-1]][0]]) == 1:
            line.append(rows.below[line[-1]][0])
        if cell not in taken and len(line) > 1:
            lines.append(line)
        taken.update(line)
    return sorted(lines, key=len, reverse=True)


def _straighten(rows: Rows, line: list[Cell]) -> None:
    """Put a line's cells at one x, moving what stands to the right of it where there is no room."""
    lowest, highest = float("-inf"), float("inf")
    for cell in line:
        row = rows.rows[cell.row]
        place = row.index(cell)
        if place > 0:
            lowest = max(lowest, row[place - 1].x + _apart(row[place - 1], cell))
        if place + 1 < len(row):
            highest = min(highest, row[place + 1].x - _apart(cell, row[place + 1]))
    x = max(min(sum(cell.x for cell in line) / len(line), highest), lowest)
    for cell in line:
        cell.x = x
        row = rows.rows[cell.row]
        for left, right in pairwise(row[row.index(cell) :]):
            right.x = max(right.x, left.x + _apart(left, right))


def _settle(row: list[Cell], wishes: list[tuple[float, float]]) -> None:
    """Move a row's cells to their wishes, as nearly as their order and the room between them allow.

    Least squares under an order (pool adjacent violators): neighbours that would overlap go as one block.
    """
    offsets = [0.0]
    for left, cell in pairwise(row):
        offsets.append(offsets[-1] + _apart(left, cell))
    blocks: list[tuple[float, float, int]] = []
    for (wish, weight), offset in zip(wishes, offsets, strict=True):
        block = (wish - offset, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            x, w, n = blocks.pop()
            block = ((x * w + block[0] * block[1]) / (w + block[1]), w + block[1], n + block[2])
        blocks.append(block)
    spread = [x for x, _, count in blocks for _ in range(count)]
    for cell, x, offset in zip(row, spread, offsets, strict=True):
        cell.x = x + offset


def _apart(left: Cell, cell: Cell) -> float:
    gap = AROUND_WAYS if left.passes or cell.passes else BETWEEN
    return (left.width + cell.width) / 2 + gap
