"""Faults of journeys, sorted by journey and line; and faults of imports."""

import ast
import difflib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from journeys.source.reader import FunctionSource, JourneySource, display_path

NAMES_MODULES = "WAYPOST_JOURNEYS names modules with a sequence JOURNEYS of journey classes"
_PRODUCT = ("journeys.vocabulary", "profiles.", "policy.", "activities.")


@dataclass(frozen=True, slots=True, order=True)
class JourneyFault:
    """One thing to correct."""

    journey: str
    """The journey's name; the module's where there is no journey yet."""
    file: str
    """From the folder that holds the journey's package; empty where no file can be named."""
    line: int
    """From 1; 0 where the fault has no line."""
    message: str
    """What was expected, what was found, what to do."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


class JourneyError(ValueError):
    """Journeys with faults; the process refuses to start."""

    def __init__(self, faults: Iterable[JourneyFault]) -> None:
        # Code that several journeys share has its faults once, under the first of them.
        unique = {(fault.file, fault.line, fault.message): fault for fault in reversed([*faults])}
        self.faults = tuple(sorted(unique.values()))
        count = len(self.faults)
        lines = [f"{count} fault{'s' if count > 1 else ''} in journeys:"]
        for journey, faults in groupby(self.faults, key=lambda fault: fault.journey):
            lines += [f"  {journey}", *(f"    {fault}" for fault in faults)]
        super().__init__("\n".join(lines))


def fault_at(source: FunctionSource | JourneySource, node: ast.AST | None, message: str) -> JourneyFault:
    """Return a fault in the line of a node; in the first line of the source where the node has none."""
    line = getattr(node, "lineno", source.node.lineno)
    return JourneyFault(source.journey, source.module.file, line, message)


def suggestion(name: str, known: Iterable[str], *, label: str = "available") -> str:
    """Return the end of a message about an unknown name: the most similar known name, and all known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    guess = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{guess} {label}: {', '.join(names) or 'none'}"


def import_fault(module: str, error: Exception) -> JourneyFault:
    """Return the fault of a module that raised at its import, at its package's last line in the traceback."""
    package = module.partition(".")[0]
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        file = _from_package(package, Path(error.filename))
        return JourneyFault(module, file, error.lineno or 0, f"{text}; correct the line")
    if not isinstance(error, ImportError | TypeError):
        text = f"{type(error).__name__}: {text}"
    file, line = "", 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        if (
            name.partition(".")[0] == package
            and not name.startswith(_PRODUCT)
            and name != "journeys.registry"
        ):
            file, line = display_path(frame.f_code.co_filename, name), number
    if not file:
        return JourneyFault(module, "", 0, f"{text}; {NAMES_MODULES}")
    return JourneyFault(module, file, line, f"{text}; {module} cannot be imported before this is put right")


def _from_package(package: str, path: Path) -> str:
    parts = path.parts
    start = max((place for place, part in enumerate(parts) if part == package), default=len(parts) - 1)
    return "/".join(parts[start:])
