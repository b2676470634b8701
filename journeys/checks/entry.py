"""Checks of ``run``: what it is given, and what it returns."""

import ast
import inspect
import types
import typing
from collections.abc import Iterator
from enum import Enum, StrEnum
from typing import Any, Literal

from journeys.checks.fault import Fault
from journeys.checks.story import Story, is_event

_WRITE = "write async def run(self, entry: {entry}) -> Outcome"


def faults(story: Story) -> Iterator[Fault]:
    """Whether ``run`` is async, takes the entry event, and returns an outcome."""
    told: Any = vars(story.definition.cls).get("story")
    if not inspect.isfunction(told):
        return
    node = story.run.node if story.run else story.node
    write = _WRITE.format(entry=" | ".join(kind.__name__ for kind in story.start_kinds or ()) or "…")
    if inspect.isasyncgenfunction(told):
        yield story.fault(node, f"run yields, and a story is told to its end; {write}, and no yield in it")
    elif not inspect.iscoroutinefunction(told):
        yield story.fault(node, f"run is not async, so it cannot wait; {write}")
    signature = inspect.signature(told)
    try:
        signature.bind(None, None)
    except TypeError:
        yield story.fault(node, f"run takes {signature}, and is given the entry event only; {write}")
        return
    try:
        hints = typing.get_type_hints(told)
    except Exception:  # a name that exists for the type checker only, or any error of the author's own types
        return
    names = list(signature.parameters)
    if len(names) > 1 and names[1] in hints:
        yield from _entry(story, node, hints[names[1]])
    yield from _outcome(story, node, signature, hints)


def _entry(story: Story, node: ast.AST, hint: Any) -> Iterator[Fault]:
    starts = story.start_kinds
    members = [each for each in _members(hint) if each is not types.NoneType]
    if starts is None or Any in members or not all(isinstance(each, type) for each in members):
        return
    can = " | ".join(kind.__name__ for kind in starts)
    missing = [kind.__name__ for kind in starts if not any(issubclass(kind, each) for each in members)]
    foreign = [
        each.__name__
        for each in members
        if not is_event(each) or not any(issubclass(kind, each) for kind in starts)
    ]
    if missing:
        yield story.fault(
            node,
            f"run starts on {' and '.join(missing)}, which its entry does not allow for; write entry: {can}",
        )
    if foreign:
        yield story.fault(
            node, f"entry is never {' or '.join(foreign)}, which starts no run; write entry: {can}"
        )


def _outcome(
    story: Story, node: ast.AST, signature: inspect.Signature, hints: dict[str, Any]
) -> Iterator[Fault]:
    do = "return a StrEnum of outcomes, or str, and write -> Outcome"
    if signature.return_annotation is inspect.Signature.empty:
        yield story.fault(node, f"run does not say what it returns; {do}")
        return
    for each in _members(hints["return"]):
        match each:
            case type() if issubclass(each, Enum) and not issubclass(each, StrEnum):
                yield story.fault(
                    node,
                    f"run returns {each.__name__}, whose members would read as "
                    f'"{each.__name__}.…" in reports; derive it from StrEnum',
                )
            case type() if not issubclass(each, str) and each not in (Any, object):
                name = "None" if each is types.NoneType else each.__name__
                yield story.fault(node, f"run returns {name}, and an outcome is a word; {do}")


def _members(hint: Any) -> tuple[Any, ...]:
    """The types of a union, each by itself; a literal counts as the types of its values."""
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return tuple(each for member in typing.get_args(hint) for each in _members(member))
    if origin is Literal:
        return tuple(type(value) for value in typing.get_args(hint))
    return (hint,)
