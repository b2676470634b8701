"""How far the demo is, for whoever watches."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.demo.calendar import BEAT_NAMES

_PHASES = 4 + len(BEAT_NAMES)
"""Start, older orders, sweep, the beats, and the count."""


class Bar:
    """One bar over all phases; on a terminal it moves, elsewhere each phase is a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<52}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=_PHASES)
        self._begun = -1

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def phase(self, name: str) -> None:
        """A new phase begins; the one before is done."""
        self._begun += 1
        self._bar.update(self._task, description=name, completed=self._begun)
        if not self._console.is_terminal:
            self._console.print(f"{name} …", markup=False)

    def part(self, share: float) -> None:
        """How much of the phase is done, from 0 to 1."""
        self._bar.update(self._task, completed=self._begun + share)

    def stop(self) -> None:
        """Take the bar away. Idempotent."""
        self._bar.stop()
