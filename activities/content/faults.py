"""What is wrong with the message templates, told all at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to put right in one file."""

    file: str
    """Relative to the folder that holds the journeys."""
    line: int
    """From 1; 0 where the fault has no line."""
    message: str
    """What was expected, what came, what to do."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class TemplateError(Exception):
    """Message templates that may not be used; the process refuses to start."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{count} fault{'s' if count > 1 else ''} in message templates:\n{lines}")


def shown_path(file: Path, journeys: Path) -> str:
    """``file`` as told to the author: from the folder that holds the journeys, else as it is."""
    return str(file.relative_to(journeys.parent)) if file.is_relative_to(journeys.parent) else str(file)


def line_of(source: str, index: int) -> int:
    """The line, from 1, of a position in a text."""
    return source.count("\n", 0, max(index, 0)) + 1
