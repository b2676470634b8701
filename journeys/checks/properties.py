"""Checks of the properties of events that a story and its filters read."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from types import FunctionType
from typing import Any

from journeys.checks.fault import Fault, meant
from journeys.checks.part import FunctionSource
from journeys.checks.source import Function, Source
from journeys.checks.story import Story, is_event
from profiles.events import Event

Kinds = Sequence[type[Event]]
_WAITS = ("wait_for", "wait_for_all")


def properties_of(kind: type[Event]) -> set[str]:
    """What a story may read of an event, its own properties and those every event has."""
    computed = {
        name for each in kind.__mro__ for name, value in vars(each).items() if isinstance(value, property)
    }
    return {name for name in {*kind.model_fields, *computed} if not name.startswith(("_", "model_"))}


def faults(story: Story) -> Iterator[Fault]:
    """Properties of the entry, of what a wait returns, and in filters."""
    if story.run and story.start_kinds:
        arguments = story.run.node.args
        names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        if len(names) > 1:
            yield from _of_name(story.run, story.run.node, names[1], story.start_kinds)
    yield from _of_declared_filters(story)
    for part, call, word in story.words():
        if word == "wait_for" and (kinds := kinds_of(part, call.args)):
            yield from _of_result(part, call, kinds)
        if word in _WAITS:
            where = next((each.value for each in call.keywords if each.arg == "where"), None)
            yield from _of_filter(part, where, kinds_of(part, call.args), word)


def kinds_of(part: FunctionSource, expressions: Iterable[ast.expr]) -> tuple[type[Event], ...] | None:
    """The event classes these stand for; None where one of them cannot be told or is none."""
    found = tuple(part.meaning(each) for each in expressions)
    return found if found and all(is_event(each) for each in found) else None


def _of_declared_filters(story: Story) -> Iterator[Fault]:
    if story.start_kinds is None:
        return
    for argument in ("where", "keyed_by"):
        node = story.declared.get(argument)
        function = getattr(story.definition, argument)
        if isinstance(node, ast.Lambda):
            part = FunctionSource(story.definition.name, story.source, node, "")
            yield from _of_first(part, node, story.start_kinds)
        elif own := _own(story.source, function):
            part = FunctionSource(story.definition.name, story.source, own, "")
            yield from _of_first(part, own, story.start_kinds)


def _of_filter(
    part: FunctionSource, where: ast.expr | None, kinds: Kinds | None, word: str
) -> Iterator[Fault]:
    """A filter of a wait: one parameter, not async, and properties that there are."""
    if where is None:
        return
    node = where if isinstance(where, ast.Lambda) else _own(part.source, part.meaning(where))
    if node is None:
        return
    if isinstance(node, ast.AsyncFunctionDef):
        yield part.fault(
            where, f"self.{word}(where={node.name}): it is async, and is never awaited; write def"
        )
    if not _takes_one(node.args):
        yield part.fault(
            where, f"self.{word}(where=…) is given one event, and the filter takes ({ast.unparse(node.args)})"
        )
    elif kinds:
        yield from _of_first(FunctionSource(part.journey, part.source, node, ""), node, kinds)


def _own(source: Source, function: Any) -> Function | None:
    """The code of a function of this module."""
    if isinstance(function, FunctionType) and function.__module__ == source.module:
        return source.functions.get(function.__name__)
    return None


def _of_first(part: FunctionSource, node: Function | ast.Lambda, kinds: Kinds) -> Iterator[Fault]:
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    if names:
        yield from _of_name(part, node, names[0], kinds)


def _of_result(part: FunctionSource, call: ast.Call, kinds: Kinds) -> Iterator[Fault]:
    """A name that is given what a wait returns, and nothing else."""
    match part.parents.get(awaited := part.parents.get(call, call)):
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.NamedExpr(target=ast.Name(id=name)):
            if isinstance(awaited, ast.Await) and part.bindings.get(name) == 1:
                yield from _of_name(part, part.node, name, kinds)


def _of_name(part: FunctionSource, node: Function | ast.Lambda, name: str, kinds: Kinds) -> Iterator[Fault]:
    """Properties read of one name; one that any of the kinds has may stand behind a test of the kind."""
    inside = list(ast.walk(node))
    if part.bindings.get(name, 1) > 1 or any(isinstance(n, ast.Name) and n.id == "hasattr" for n in inside):
        return
    known = set().union(*(properties_of(kind) for kind in kinds))
    for each in inside:
        match each:
            case ast.Attribute(value=ast.Name(id=used), attr=attr) if used == name:
                if not attr.startswith("_") and not any(
                    hasattr(kind, attr) or attr in known for kind in kinds
                ):
                    has = "has" if len(kinds) == 1 else "have"
                    whose = " and ".join(kind.__name__ for kind in kinds)
                    yield part.fault(each, f"{whose} {has} no property {attr!r}{meant(attr, known)}")


def _takes_one(arguments: ast.arguments) -> bool:
    places = len(arguments.posonlyargs) + len(arguments.args)
    needed = places - len(arguments.defaults)
    named = any(default is None for default in arguments.kw_defaults)
    return needed <= 1 <= (places if arguments.vararg is None else places + 1) and not named
