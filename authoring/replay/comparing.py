"""Compare a story with its recorded shape: whether runs that began before a change can go on after it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from authoring.replay.reading import shape_of
from authoring.replay.shape import Line, Shape
from authoring.replay.source import Source
from journeys.vocabulary import Journey

_GIVEN = re.compile(r"^\$\d+ = ")

REMEDY = (
    'guard the change: if workflow.patched("a-word-for-it"): the new way, else: the old one. Once '
    "`waypost check` finds no open run that it would break, record the shape anew: `waypost check --record`"
)


@dataclass(frozen=True, slots=True)
class Changed:
    """A story that no longer has its recorded shape."""

    journey: str
    changes: tuple[str, ...]
    """What was added, removed, moved or changed, each with its place."""

    def __str__(self) -> str:
        lines = [
            f"{self.journey}: the story no longer has the shape its open runs began with",
            *(f"  {change}" for change in self.changes),
            "  An open run past this place replays its history against other steps, and stands still.",
            f"  → {REMEDY}",
        ]
        return "\n".join(lines)


def changed(cls: type[Journey], recorded: Shape) -> Changed | None:
    """What in a story's code would break runs that began with the recorded shape; None where nothing would.

    Lengths of time (but that of a quiet), templates, texts and outcomes may differ: a replay does not mind
    them. Patches that the recorded shape does not know are read the old way. Raises ``Unreadable``.
    """
    now = shape_of(cls, recorded.patches)
    if [line.key for line in now.lines] == [line.key for line in recorded.lines]:
        return None
    file = Source(cls).file
    return Changed(
        recorded.journey, (*_patches(recorded, shape_of(cls)), *_changes(recorded.lines, now.lines, file))
    )


def _patches(recorded: Shape, now: Shape) -> list[str]:
    """What a difference means where it is one of the later stages of a patch."""
    told = []
    for patch in sorted(recorded.patches - now.patches):
        if patch in now.deprecated:
            told.append(
                f"the old way of patch {patch!r} is gone: runs that began before the patch would break"
            )
        else:
            told.append(
                f"patch {patch!r} is gone: runs that began before it, or took its new way, would break"
            )
    told += [
        f"deprecate_patch({patch!r}) is gone: runs that took its new way would break"
        for patch in sorted(recorded.deprecated - now.deprecated - now.patches)
    ]
    return told


def _changes(old: Sequence[Line], new: Sequence[Line], path: Path) -> list[str]:
    added: list[tuple[Line, Line | None]] = []
    removed: list[tuple[Line, Line | None]] = []
    matcher = SequenceMatcher(a=_keys(old), b=_keys(new), autojunk=False)
    for _, i1, i2, j1, j2 in (each for each in matcher.get_opcodes() if each[0] != "equal"):
        added += [(new[j], new[j - 1] if j else None) for j in range(j1, j2)]
        removed += [(old[i], old[i - 1] if i else None) for i in range(i1, i2)]
    told, file = [], _short(path)
    for line, before in added:
        written = _as_written(line, path)
        where = f"{file}:{line.number}: "
        partner = next((gone for gone in removed if gone[0].text == line.text), None)
        similar = next((gone for gone in removed if _word(gone[0]) == _word(line)), None)
        if partner:
            removed.remove(partner)
            how = "deeper or less deep" if partner[0].depth != line.depth else "elsewhere"
            told.append(f"{where}moved: {written} now stands {how}{_after(before)}")
        elif similar:
            removed.remove(similar)
            told.append(f"{where}changed: {written}, which was {similar[0]}")
        else:
            told.append(f"{where}added: {written}{_after(before)}")
    told += [f"{file}: removed: {line}{_after(before)}" for line, before in removed]
    # Names of results count on: with nothing else different, one of them stands for another step now.
    return told or [f"{file}: a condition or a wait is about another step's result than before"]


def _keys(lines: Sequence[Line]) -> list[tuple[int, str]]:
    """Lines without the numbers of results, which change with every step before them."""
    return [(line.depth, "".join(_unnumbered(line.text))) for line in lines]


def _unnumbered(text: str) -> list[str]:
    head, *rest = _GIVEN.sub("", text).split("$")
    return [head, *("$" + part.lstrip("0123456789") for part in rest)]


def _word(line: Line) -> str:
    """What kind of step a line is."""
    text = line.text.split(" = ", 1)[-1] if line.text.startswith("$") else line.text
    return text.split(" ", 1)[0].split("=", 1)[0]


def _after(line: Line | None) -> str:
    return f", after {line}" if line else ""


def _as_written(line: Line, path: Path) -> str:
    """A line of the shape; as its author wrote it where it speaks of results by number."""
    return path.read_text("utf-8").splitlines()[line.number - 1].strip() if "$" in str(line) else str(line)


def _short(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else f"{file.parent.name}/{file.name}"
