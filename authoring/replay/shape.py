"""The shape of a story: what its runs ask of Temporal, in which order and on which conditions, as text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PATCHED = re.compile(r"\bpatched\('([^']+)'\)")

_DEPRECATED = re.compile(r"^deprecate_patch '([^']+)'$")

_RESULT = re.compile(r"^\$\d+ = ")

_TITLE = "journey "

_HINT = "  # "

_HEAD = (
    "# What runs ask of Temporal, in which order: open runs depend on it. Remarks do not count.\n"
    "# `waypost check --shapes` compares the code with this file, `waypost check --record` writes it.\n"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One step, condition or way out."""

    depth: int
    text: str
    hint: str = ""
    """What a person would call it by; a replay does not mind it, so it may change."""
    number: int = 0
    """Line of the story's file; 0 in a recorded shape."""

    @property
    def key(self) -> tuple[int, str]:
        """What has to stay as it is."""
        return self.depth, self.text

    def __str__(self) -> str:
        text = _RESULT.sub("", self.text)
        return f"{text} ({self.hint})" if self.hint else text


@dataclass(frozen=True, slots=True)
class Shape:
    """One journey's shape."""

    journey: str
    lines: tuple[Line, ...]

    @property
    def patches(self) -> frozenset[str]:
        """Ids that ``workflow.patched`` asks for."""
        return frozenset(found for line in self.lines for found in _PATCHED.findall(line.text))

    @property
    def deprecated(self) -> frozenset[str]:
        """Ids of ``workflow.deprecate_patch``."""
        return frozenset(found[1] for line in self.lines if (found := _DEPRECATED.match(line.text)))


def written(shapes: Sequence[Shape]) -> str:
    """The text of a shape file."""
    blocks = [_HEAD]
    for shape in shapes:
        lines = ["    " * line.depth + line.text + _remark(line.hint) for line in shape.lines]
        blocks.append("\n".join([f"{_TITLE}{shape.journey}", *lines]) + "\n")
    return "\n".join(blocks)


def read(text: str) -> dict[str, Shape]:
    """The shapes of a shape file, by journey. Raises ``ValueError`` for a file of another kind."""
    found: dict[str, list[Line]] = {}
    lines: list[Line] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip() or raw.startswith("#"):
            continue
        if raw.startswith(_TITLE):
            lines = found.setdefault(raw.removeprefix(_TITLE).strip(), [])
            continue
        if lines is None:
            raise ValueError(f"line {number} stands before any line `{_TITLE}NAME`; record the file anew")
        told, _, hint = raw.partition(_HINT)
        depth = (len(told) - len(told.lstrip(" "))) // 4
        lines.append(Line(depth, told.strip(), hint.strip()))
    return {name: Shape(name, tuple(each)) for name, each in found.items()}


def _remark(hint: str) -> str:
    return f"{_HINT}{hint}" if hint else ""
