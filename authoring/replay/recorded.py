"""Recorded shapes: a ``.shape`` file beside each story's file, compared with the code or written anew."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from authoring.graph.code import Unreadable
from authoring.replay.comparing import Changed, changed
from authoring.replay.main import journeys_of
from authoring.replay.reading import shape_of
from authoring.replay.shape import Shape, read, written
from authoring.replay.source import Source
from journeys.vocabulary import Journey
from workers.process import UserError
from workers.settings import WorkerSettings


@dataclass(slots=True)
class Comparison:
    """Stories beside their recorded shapes."""

    same: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    """Journeys without a recorded shape."""
    changed: list[Changed] = field(default_factory=list)


def run(
    settings: WorkerSettings, *, only: Sequence[str] = (), record: bool = False, as_json: bool = False
) -> int:
    """Compare, or ``record``, and print; needs no server. Returns 1 where a story has changed its shape.

    Raises ``Fault`` for an unknown journey, and for a file that cannot be read or written.
    """
    journeys = journeys_of(settings, only)
    classes = [cls for cls in journeys.classes if not only or cls.definition.name in only]
    comparison = compare(classes)
    files = save(classes) if record else []
    if as_json:
        told = {
            "same": comparison.same,
            "new": comparison.new,
            "changed": [{"journey": one.journey, "changes": one.changes} for one in comparison.changed],
            "recorded": [str(file) for file in files],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(comparison, files)) + "\n")
    return 1 if comparison.changed and not record else 0


def compare(classes: Sequence[type[Journey]]) -> Comparison:
    """Each story with its recorded shape. Raises ``Fault``."""
    found = Comparison()
    for cls in classes:
        name = cls.definition.name
        try:
            recorded = _stored(shape_file(cls)).get(name)
            if recorded is None:
                found.new.append(name)
            elif (difference := changed(cls, recorded)) is not None:
                found.changed.append(difference)
            else:
                found.same.append(name)
        except Unreadable as error:
            raise UserError(str(error)) from error
    return found


def save(classes: Sequence[type[Journey]]) -> list[Path]:
    """Write the shapes of these stories; what the files say of other journeys stays. Raises ``Fault``."""
    files: dict[Path, dict[str, Shape]] = {}
    try:
        for cls in classes:
            file = shape_file(cls)
            shapes = files.setdefault(file, _stored(file))
            shapes[cls.definition.name] = shape_of(cls)
        for file, shapes in files.items():
            file.write_text(written([shapes[name] for name in sorted(shapes)]), "utf-8")
    except (OSError, Unreadable) as error:
        raise UserError(f"the shapes cannot be recorded: {error}") from error
    return list(files)


def shape_file(cls: type[Journey]) -> Path:
    """Where a story's shape is kept: ``story.shape`` beside ``story.py``. Raises ``Unreadable``."""
    return Source(cls).file.with_suffix(".shape")


def _stored(file: Path) -> dict[str, Shape]:
    try:
        return read(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error


def _lines(comparison: Comparison, files: Sequence[Path]) -> list[str]:
    lines = [f"{name}: the shape its open runs began with" for name in comparison.same]
    if not files:
        lines += [
            f"{name}: no recorded shape yet; `waypost check --record` writes one" for name in comparison.new
        ]
        return [*lines, *map(str, comparison.changed)]
    for one in comparison.changed:
        lines.append(
            f"{one.journey}: recorded with another shape; see that `waypost check` finds no run it breaks"
        )
        lines += [f"  {change}" for change in one.changes]
    return [*lines, *(f"{name}: recorded for the first time" for name in comparison.new), *map(str, files)]
