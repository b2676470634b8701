"""Why a module of journeys cannot be imported, and in which line of the author's code."""

import traceback
from pathlib import Path

from journeys.checks.fault import Fault
from journeys.checks.source import shown

NAMES_MODULES = "WAYPOST_JOURNEYS names modules with a sequence JOURNEYS of journey classes"
_OURS = ("journeys.vocabulary", "profiles.", "policy.", "activities.")


def import_fault(module: str, error: Exception) -> Fault:
    """What an import raised, at the last line of the module's own package that it came through."""
    top = module.partition(".")[0]
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return Fault(module, _from(top, Path(error.filename)), error.lineno or 0, f"{said}; correct the line")
    if not isinstance(error, ImportError | TypeError):
        said = f"{type(error).__name__}: {said}"
    file, line = "", 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == top and not name.startswith(_OURS) and name != "journeys.registry":
            file, line = shown(frame.f_code.co_filename, name), number
    if not file:
        return Fault(module, "", 0, f"{said}; {NAMES_MODULES}")
    return Fault(module, file, line, f"{said}; {module} cannot be imported before this is put right")


def _from(top: str, path: Path) -> str:
    parts = path.parts
    start = max((place for place, part in enumerate(parts) if part == top), default=len(parts) - 1)
    return "/".join(parts[start:])
