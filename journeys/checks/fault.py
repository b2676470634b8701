"""What is wrong with journeys, told all at once: a line a fault, by journey, in the order of the code."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to put right."""

    journey: str
    """The journey's name; the module's where there is no journey yet."""
    file: str
    """From the folder that holds the journey's package; empty where no file can be named."""
    line: int
    """From 1; 0 where the fault has no line."""
    message: str
    """What was expected, what came, what to do."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


class JourneyError(ValueError):
    """Journeys that may not be used; the process refuses to start."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(_once(faults)))
        count = len(self.faults)
        lines = [f"{count} fault{'s' if count > 1 else ''} in journeys:"]
        for journey, found in groupby(self.faults, key=lambda fault: fault.journey):
            lines += [f"  {journey}", *(f"    {fault}" for fault in found)]
        super().__init__("\n".join(lines))


def _once(faults: Iterable[Fault]) -> list[Fault]:
    """Code that several journeys share is at fault once."""
    found: dict[tuple[str, int, str], Fault] = {}
    for fault in faults:
        found.setdefault((fault.file, fault.line, fault.message), fault)
    return list(found.values())


def meant(word: str, known: Iterable[str], *, listed: str = "available") -> str:
    """The end of a message about an unknown name: the nearest one there is, and all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, 1)
    guess = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{guess} {listed}: {', '.join(names) or 'none'}"
