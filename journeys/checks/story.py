"""One journey as its code tells it: what it declares, and every function that its story runs."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

from journeys.checks.fault import Fault
from journeys.checks.part import FunctionSource
from journeys.checks.source import Function, Source, source_of
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.segment import Segment
from profiles.events import Event

_OURS = "journeys.vocabulary"


@dataclass(frozen=True)
class Story:
    """One journey's code."""

    definition: JourneyDefinition
    source: Source
    node: ast.ClassDef

    def fault(self, node: ast.AST | None, message: str) -> Fault:
        """A fault in this line; that of the class where there is none."""
        line = getattr(node, "lineno", self.node.lineno)
        return Fault(self.definition.name, self.source.file, line, message)

    @cached_property
    def declared(self) -> dict[str, ast.expr]:
        """Arguments of ``@journey`` as written."""
        calls = [each for each in self.node.decorator_list if isinstance(each, ast.Call)]
        return {each.arg: each.value for call in calls for each in call.keywords if each.arg}

    @cached_property
    def methods(self) -> dict[str, tuple[Source, Function]]:
        """Methods that the author has written, in this class and in those it is derived from."""
        found: dict[str, tuple[Source, Function]] = {}
        for source, node in self.classes:
            for each in node.body:
                if isinstance(each, Function):
                    found.setdefault(each.name, (source, each))
        return found

    @cached_property
    def classes(self) -> list[tuple[Source, ast.ClassDef]]:
        """The author's classes, this one first."""
        found = [(self.source, self.node)]
        for cls in self.definition.cls.__mro__[1:]:
            if cls.__module__.startswith(_OURS) or cls.__module__ == "builtins":
                continue
            try:
                found.append(source_of(cls))
            except (OSError, SyntaxError, TypeError):
                continue  # A class made in another way is not the author's code to read.
        return found

    @cached_property
    def run(self) -> FunctionSource | None:
        """The story itself, where it is written out in the class."""
        if "run" not in self.methods:
            return None
        return self._method(*self.methods["run"])

    @cached_property
    def parts(self) -> tuple[FunctionSource, ...]:
        """``run``, the methods it uses and the functions of their modules that it calls, each once."""
        waiting = [self.run] if self.run else []
        found: dict[ast.AST, FunctionSource] = {}
        while waiting:
            part = waiting.pop(0)
            if part.node not in found:
                found[part.node] = part
                waiting.extend(self._used_by(part))
        return tuple(found.values())

    def _used_by(self, part: FunctionSource) -> Iterator[FunctionSource]:
        for node in part.nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == part.me and name:
                    if attr in self.methods:
                        yield self._method(*self.methods[attr])
                case ast.Call(func=ast.Name(id=name)) as call:
                    function = part.meaning(call.func)
                    own = part.source.functions.get(name)
                    if own is not None and _plain(function) and function.__module__ == part.source.module:
                        yield FunctionSource(part.journey, part.source, own, _journey_in(call, own, part.me))

    def _method(self, source: Source, node: Function) -> FunctionSource:
        names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
        static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
        return FunctionSource(self.definition.name, source, node, names[0] if names and not static else "")

    def words(self) -> Iterator[tuple[FunctionSource, ast.Call, str]]:
        """Every call of a word: ``self.send(…)`` and the like, but for what the author has defined anew."""
        for part in self.parts:
            for node in part.nodes:
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=word)):
                        if name == part.me and name and word not in self.methods:
                            yield part, node, word

    @cached_property
    def start_kinds(self) -> tuple[type[Event], ...] | None:
        """Events that start a run; None where what is declared is none."""
        if not all(is_event(each) or isinstance(each, Segment) for each in self.definition.entries):
            return None
        return self.definition.starts_on or None


def story_of(definition: JourneyDefinition) -> Story:
    """Read a journey's code. Raises OSError, SyntaxError or TypeError where it cannot be read."""
    return Story(definition, *source_of(definition.cls))


def is_event(value: Any) -> bool:
    """Whether it is a class of events."""
    return isinstance(value, type) and issubclass(value, Event)


def _plain(function: Any) -> bool:
    """A function that runs as a part of the story; activities run elsewhere."""
    return isinstance(function, FunctionType) and not hasattr(function, "__temporal_activity_definition")


def _journey_in(call: ast.Call, function: Function, me: str) -> str:
    """What a function calls the journey that is handed to it."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    for name, given in [
        *zip(names, call.args, strict=False),
        *((each.arg, each.value) for each in call.keywords),
    ]:
        if name and me and isinstance(given, ast.Name) and given.id == me:
            return name
    return ""
