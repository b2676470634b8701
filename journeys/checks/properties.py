"""Check the properties of events that a journey and its filters read."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from types import FunctionType
from typing import Any

from journeys.checks.errors import JourneyFault, fault_at, suggestion
from journeys.source.reader import (
    Function,
    FunctionSource,
    JourneySource,
    ModuleSource,
    is_event,
    positional_parameters,
)
from profiles.events import Event

Kinds = Sequence[type[Event]]


def properties_of(kind: type[Event]) -> set[str]:
    """Return the properties that a journey may read of an event: its own and those of every event."""
    computed = {
        name for each in kind.__mro__ for name, value in vars(each).items() if isinstance(value, property)
    }
    return {name for name in {*kind.model_fields, *computed} if not name.startswith(("_", "model_"))}


def check_properties(source: JourneySource) -> Iterator[JourneyFault]:
    """Find properties that the events do not have: of the entry, of the result of a wait, and in filters."""
    if source.run and source.start_kinds:
        names = positional_parameters(source.run.node)
        if len(names) > 1:
            yield from _of_name(source.run, names[1], source.start_kinds)
    yield from _of_declared_filters(source)
    for function, call in source.word_calls("wait_for", "wait_for_all"):
        name = call.word.name
        kinds = _event_classes(function, call.node.args)
        if name == "wait_for" and kinds:
            yield from _of_result(function, call.node, kinds)
        yield from _of_filter(function, call.argument("where"), kinds, name)


def _event_classes(
    function: FunctionSource, expressions: Iterable[ast.expr]
) -> tuple[type[Event], ...] | None:
    """Return the event classes that these name; None where one of them is unknown or no event."""
    classes = tuple(function.resolve(each) for each in expressions)
    return classes if classes and all(is_event(each) for each in classes) else None


def _of_declared_filters(source: JourneySource) -> Iterator[JourneyFault]:
    if source.start_kinds is None:
        return
    for argument in ("where", "keyed_by"):
        node = source.declared.get(argument)
        function = getattr(source.definition, argument)
        own = node if isinstance(node, ast.Lambda) else _own_function(source.module, function)
        if own is not None:
            yield from _of_first(FunctionSource(source.journey, source.module, own, ""), source.start_kinds)


def _of_filter(
    function: FunctionSource, where: ast.expr | None, kinds: Kinds | None, word: str
) -> Iterator[JourneyFault]:
    """Check the filter of a wait: one parameter, not async, and properties that the events have."""
    if where is None:
        return
    node = where if isinstance(where, ast.Lambda) else _own_function(function.module, function.resolve(where))
    if node is None:
        return
    if isinstance(node, ast.AsyncFunctionDef):
        text = f"self.{word}(where={node.name}): it is async, and is never awaited; write def"
        yield fault_at(function, where, text)
    if not _takes_one(node.args):
        text = f"self.{word}(where=…) is given one event, and the filter takes ({ast.unparse(node.args)})"
        yield fault_at(function, where, text)
    elif kinds:
        yield from _of_first(FunctionSource(function.journey, function.module, node, ""), kinds)


def _own_function(module: ModuleSource, function: Any) -> Function | None:
    if isinstance(function, FunctionType) and function.__module__ == module.module:
        return module.functions.get(function.__name__)
    return None


def _of_first(function: FunctionSource, kinds: Kinds) -> Iterator[JourneyFault]:
    if names := positional_parameters(function.node):
        yield from _of_name(function, names[0], kinds)


def _of_result(function: FunctionSource, call: ast.Call, kinds: Kinds) -> Iterator[JourneyFault]:
    """Check a name that is bound once, to the result of a wait."""
    match function.parents.get(awaited := function.parents.get(call, call)):
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.NamedExpr(target=ast.Name(id=name)):
            if isinstance(awaited, ast.Await) and function.bindings.get(name) == 1:
                yield from _of_name(function, name, kinds)


def _of_name(function: FunctionSource, name: str, kinds: Kinds) -> Iterator[JourneyFault]:
    """Check the properties that are read of one name. A property of any of the events is correct."""
    nodes = list(ast.walk(function.node))
    tests = any(isinstance(node, ast.Name) and node.id == "hasattr" for node in nodes)
    if tests or function.bindings.get(name, 1) > 1:
        return
    known = set().union(*(properties_of(kind) for kind in kinds))
    for each in nodes:
        match each:
            case ast.Attribute(value=ast.Name(id=used), attr=attr) if used == name and attr[0] != "_":
                if attr not in known and not any(hasattr(kind, attr) for kind in kinds):
                    has = "has" if len(kinds) == 1 else "have"
                    names = " and ".join(kind.__name__ for kind in kinds)
                    text = f"{names} {has} no property {attr!r}{suggestion(attr, known)}"
                    yield fault_at(function, each, text)


def _takes_one(arguments: ast.arguments) -> bool:
    places = len(arguments.posonlyargs) + len(arguments.args)
    needed = places - len(arguments.defaults)
    named = any(default is None for default in arguments.kw_defaults)
    return needed <= 1 <= (places if arguments.vararg is None else places + 1) and not named
