"""Tables, times and JSON in the output of the commands."""

from collections.abc import Iterable
from datetime import UTC, datetime
from io import StringIO

import orjson
from rich.console import Console, RenderableType
from rich.table import Table


def build_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], *, drop_empty: bool = False
) -> Table:
    """Return a table; its cells wrap. Times are in UTC, truth is yes or no, and None is an empty cell.

    ``drop_empty``: leave out columns in which every cell is empty.
    """
    names, cells = list(columns), [[_format_cell(cell) for cell in row] for row in rows]
    shown = [n for n in range(len(names)) if not drop_empty or any(row[n] for row in cells)]
    table = Table(title=title, title_justify="left", title_style="bold")
    for number in shown:
        table.add_column(names[number], overflow="fold")
    for row in cells:
        table.add_row(*(row[number] for number in shown))
    return table


def _format_cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}Z"
    return str(value)


def render_text(*parts: RenderableType) -> str:
    """Return the parts as plain text, each with a line end."""
    # Square brackets in texts of customers are text, not markup.
    console = Console(file=StringIO(), markup=False, emoji=False, highlight=False)
    with console.capture() as output:
        for part in parts:
            console.print(part)
    return output.get()


def to_json(value: object) -> str:
    """Return a value as indented JSON; what JSON has no form for becomes text."""
    return orjson.dumps(value, str, orjson.OPT_INDENT_2).decode()
