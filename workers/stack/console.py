"""What a person sees of a local stack: one log of all its processes, and where to look once it is ready."""

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.style import Style
from rich.table import Table

from workers.stack.ports import Port

_COLOURS = {
    "postgres": "blue",
    "temporal": "magenta",
    "api": "green",
    "relay": "yellow",
    "worker": "cyan",
}
_NAME_WIDTH = max(len(name) for name in _COLOURS)
_PANEL_WIDTH = 100
_SERVES = {"api": "the API", "temporal": "Temporal", "ui": "the Temporal UI", "postgres": "Postgres"}


class StackConsole:
    """Writes to standard output; in colour on a terminal only."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        system = self._console._color_system
        self.colourful = system is not None
        self._prefixes = {
            name: Style(color=colour).render(f"{name:<{_NAME_WIDTH}} │", color_system=system)
            for name, colour in _COLOURS.items()
        }

    def log(self, name: str, line: str) -> None:
        """One line of one process, its name before it."""
        prefix = self._prefixes.get(name, f"{name:<{_NAME_WIDTH}} │")
        sys.stdout.write(f"{prefix} {line}\n")
        sys.stdout.flush()

    def say(self, words: str) -> None:
        """A line of the stack itself."""
        self._console.print(words, style="bold", soft_wrap=True, markup=False)

    def moved(self, ports: Mapping[str, Port]) -> None:
        """Name the ports that were taken and what is used instead."""
        for name, port in ports.items():
            if port.moved_from is not None:
                self.say(f"Port {port.moved_from} is taken: {_SERVES[name]} is on {port.number}.")

    def ready(self, places: Mapping[str, str], seconds: float) -> None:
        """The closing panel."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for what, where in places.items():
            table.add_row(what, where)
        panel = Panel(
            table,
            title=f"Waypost is ready ({seconds:.1f} s)",
            subtitle="Ctrl-C stops it; the data stay",
            border_style="green",
            expand=False,
        )
        Console(width=max(_PANEL_WIDTH, self._console.width), highlight=False).print(panel)
        sys.stdout.flush()


def shown(folder: Path) -> str:
    """A folder as a person would type it from here."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
