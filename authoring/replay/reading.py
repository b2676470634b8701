"""Read a story into its shape; the story is not run."""

import ast
import copy
import re
from collections.abc import Iterable

from authoring.replay.function import FunctionReader
from authoring.replay.shape import Line, Shape
from authoring.replay.source import Definition, Function, Source
from journeys.vocabulary import Journey

_RESULT = re.compile(r"\$\w+\.\w+")

_GIVEN = re.compile(r"(\$\w+\.\w+) = ")

_COUNTED = ("starts_on", "ends_on", "hold_while")
"""Arguments of ``@journey`` that a replay minds: what enters a run, ends it, or holds its messages back."""

_NOT_MINDED = {"goal": ("outcome",), "exit_on": ("outcome",), "holding": ("says",)}


def shape_of(cls: type[Journey], patches: frozenset[str] | None = None) -> Shape:
    """The shape of a journey's story. Raises ``Unreadable`` where its code cannot be found.

    ``patches``: ids of ``workflow.patched`` that are part of the shape, None for all. Of any other the old
    way is read, which is the way that a run takes which began before the patch.
    """
    book = _Book(Source(cls), patches)
    lines = book.declared()
    book.calls("run", book.source.story)
    while book.waiting:
        name, function = book.waiting.pop(0)
        lines += FunctionReader(book, name, function).lines()
    return Shape(cls.definition.name, tuple(_renumbered([*lines, *book.definitions])))


class _Book:
    """What belongs to one shape beside its story: methods it calls, and what its conditions name."""

    def __init__(self, source: Source, patches: frozenset[str] | None) -> None:
        self.source = source
        self.waiting: list[tuple[str, Function]] = []
        self.definitions: list[Line] = []
        self._patches = patches
        self._seen: set[str] = set()

    def asks(self, patch: str) -> bool:
        return self._patches is None or patch in self._patches

    def declared(self) -> list[Line]:
        """The lines of what ``@journey`` is given."""
        lines = []
        for name in _COUNTED:
            if (value := self.source.declared.get(name)) is not None:
                lines.append(Line(0, f"{name}={_declared(value)}", "", value.lineno))
                self.keeps(value)
        return lines

    def calls(self, name: str, function: Function) -> None:
        """Read this function as well, once."""
        if self._new(f"self.{name}"):
            self.waiting.append((name, function))

    def keeps(self, kept: ast.AST) -> None:
        for node in ast.walk(kept):
            match node:
                case ast.Name(id=name) if self._new(name):
                    self._define(self.source.defined(name))
                case ast.Attribute(value=ast.Name(id="self"), attr=name) if self._new(f"self.{name}"):
                    self._define(self.source.method(name))

    def _define(self, found: Definition | None) -> None:
        if found is None:
            return
        plain = copy.deepcopy(found)
        if isinstance(plain, Function) and ast.get_docstring(plain) and len(plain.body) > 1:
            del plain.body[0]
        for text in ast.unparse(plain).splitlines():
            depth = (len(text) - len(text.lstrip(" "))) // 4
            self.definitions.append(Line(depth, text.strip(), "", found.lineno))
        self.keeps(plain)

    def _new(self, name: str) -> bool:
        fresh = name not in self._seen
        self._seen.add(name)
        return fresh


def _declared(value: ast.expr) -> str:
    plain = copy.deepcopy(value)
    for call in ast.walk(plain):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            drop = _NOT_MINDED.get(call.func.id, ())
            call.keywords = [keyword for keyword in call.keywords if keyword.arg not in drop]
    return ast.unparse(plain)


def _renumbered(lines: list[Line]) -> Iterable[Line]:
    """Names of results in order of their first use, so that an author's own names do not count."""
    used = {
        name
        for line in lines
        for name in _RESULT.findall(_GIVEN.sub("", line.text, 1) if _GIVEN.match(line.text) else line.text)
    }
    numbers: dict[str, str] = {}
    for line in lines:
        given, text = _GIVEN.match(line.text), line.text
        if given and given[1] not in used:
            text = text[given.end() :]
        text = _RESULT.sub(lambda found: numbers.setdefault(found[0], f"${len(numbers) + 1}"), text)
        yield Line(line.depth, text, line.hint, line.number)
