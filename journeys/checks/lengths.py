"""Checks of lengths of time that are written out: none is negative, none is zero where that has no sense."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from journeys.checks.fault import Fault
from journeys.checks.part import UNCLEAR, FunctionSource, argument
from journeys.checks.story import Story

_DURATIONS = "journeys.vocabulary.durations"
_PLACES: dict[str, tuple[tuple[str, int | None], ...]] = {
    "sleep": (("length", 0),),
    "quiet": (("length", 0),),
    "wait_for": (("within", None),),
    "wait_for_all": (("within", None),),
    "hold_while": (("within", None),),
    "send": (("expires", None),),
    "retarget": (("until", 2),),
    "perform": (("within", None), ("attempt", None)),
}
_FALLBACKS = ("if_not_seen", "if_not_delivered")
_MAY_BE_ZERO = ("wait_for", "wait_for_all")
"""With no time to wait, they look at what has come already."""


def faults(story: Story) -> Iterator[Fault]:
    """Every length of time in a word or a fallback."""
    for part, call, word in story.words():
        for name, place in _PLACES.get(word, ()):
            given = argument(call, name, place)
            yield from _length(part, given, f"self.{word}", name, zero=word in _MAY_BE_ZERO)
        if word == "sleep_until":
            yield from _hour(part, argument(call, "at", 0))
    for part in story.parts:
        for node in part.nodes:
            if isinstance(node, ast.Call) and (name := fallback_name(part, node)):
                yield from _length(part, argument(node, "within", 0), name, "within", zero=False)


def fallback_name(part: FunctionSource, call: ast.Call) -> str:
    """``if_not_seen`` or ``if_not_delivered``, where the call is one of them; else empty."""
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", None)
    if name not in _FALLBACKS or not isinstance(name, str):
        return ""
    module = getattr(part.meaning(call.func), "__module__", "")
    return name if str(module).startswith("journeys.vocabulary") else ""


def _hour(part: FunctionSource, given: ast.expr | None) -> Iterator[Fault]:
    if given is not None and type(hour := part.meaning(given)) in (int, float, str):
        yield part.fault(given, f"self.sleep_until takes a time of day, got {hour!r}; as in time(9)")


def _length(
    part: FunctionSource, given: ast.expr | None, word: str, name: str, *, zero: bool
) -> Iterator[Fault]:
    if given is None:
        return
    value = length_of(part, given)
    said = ast.unparse(given)
    if type(value) in (int, float, str):
        yield part.fault(
            given, f"{word}: {name} is a length of time, got {said}; as in minutes(45), hours(1) or days(3)"
        )
    elif isinstance(value, timedelta) and (value < timedelta(0) or (not value and not zero)):
        what = "no time" if not value else "a negative time"
        yield part.fault(given, f"{word}: {name} is {said}, {what}; say how long, as in hours(1)")


def length_of(part: FunctionSource, expression: ast.expr) -> Any:
    """The length of time that is written, or the constant in its place; UNCLEAR where it is computed."""
    match expression:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = length_of(part, operand)
            return -value if isinstance(value, timedelta | int | float) else UNCLEAR
        case ast.Call(func=function, args=given, keywords=named):
            make = part.meaning(function)
            if make is not timedelta and getattr(make, "__module__", "") != _DURATIONS:
                return UNCLEAR
            numbers = [length_of(part, each) for each in given]
            more = {each.arg: length_of(part, each.value) for each in named if each.arg}
            if not all(type(each) in (int, float) for each in (*numbers, *more.values())):
                return UNCLEAR
            try:
                return make(*numbers, **more)
            except (TypeError, ValueError, OverflowError):
                return UNCLEAR
    value = part.meaning(expression)
    return value if isinstance(value, timedelta | int | float | str) else UNCLEAR
