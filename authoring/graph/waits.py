"""The words that let time pass, as the text of a step."""

import ast
from datetime import time, timedelta
from enum import IntEnum

from authoring.graph.flow import Kind
from authoring.graph.step import Step, argument, is_none
from authoring.graph.words import Words


def wait_for(call: ast.Call, words: Words) -> Step:
    """``wait_for``; one of no length only looks back."""
    events = words.events_of(call.args)
    within = argument(call, "within")
    lines = _which(call, words)
    title = " or ".join(events)
    if words.timed(within) == timedelta(0):
        return Step(
            Kind.LOOK_BACK, title, tuple(lines), title if len(events) == 1 else "one of them came",
            "not so far", (f"{title} had come", f"no {title} had come"), frozenset([*events, "not so far"]),
        )  # fmt: skip
    limit, passed = _limit(within, words)
    came = title if len(events) == 1 else "one of them came"
    cases = frozenset([*events, passed] if passed else events)
    return Step(Kind.WAIT, title, (*lines, limit), came, passed, (f"{title} came", f"no {title} came"), cases)


def wait_for_all(call: ast.Call, words: Words) -> Step:
    """``wait_for_all``."""
    title = " and ".join(words.events_of(call.args))
    limit, passed = _limit(argument(call, "within"), words)
    cases = frozenset(["all came", passed] if passed else ["all came"])
    said = (f"{title} came", f"not all of {title} came")
    return Step(Kind.WAIT_ALL, title, (*_which(call, words), limit), "all came", passed, said, cases)


def quiet(call: ast.Call, words: Words) -> Step:
    """``quiet``."""
    length, of = argument(call, "length", 0), argument(call, "of", 1)
    title = words.length(length) if length is not None else "a while"
    return Step(Kind.QUIET, title, (f"without {words.any_of(of)}",) if of is not None else ())


def sleep(call: ast.Call, words: Words) -> Step:
    """``sleep``."""
    length = argument(call, "length", 0)
    return Step(Kind.SLEEP, words.length(length) if length is not None else "a while")


def sleep_until(call: ast.Call, words: Words) -> Step:
    """``sleep_until``."""
    at, weekday = argument(call, "at", 0), argument(call, "weekday")
    parts = []
    if weekday is not None and not is_none(weekday):
        day = words.meaning(weekday)
        parts.append(day.name.capitalize() if isinstance(day, IntEnum) else words.value(weekday))
    if at is not None:
        found = words.computed(at, (time,))
        parts.append(f"{found:%H:%M}" if isinstance(found, time) else words.value(at))
    return Step(Kind.UNTIL, " ".join(parts) or "an hour", ("where the person lives",))


def hold_while(call: ast.Call, words: Words) -> Step:
    """``hold_while``."""
    limit, passed = _limit(argument(call, "within"), words)
    title = " or ".join(map(words.hold, call.args)) or "something"
    fails = f"still open after {passed.removesuffix(' passed')}" if passed else ""
    return Step(
        Kind.HOLD, title, (limit,), "none is open", fails, (f"no {title} is open", f"{title} is still open")
    )


def forget(call: ast.Call, words: Words) -> Step:
    """``forget``."""
    *others, last = words.events_of(call.args) or ["nothing"]
    title = f"{', '.join(others)} and {last}" if others else last
    return Step(Kind.FORGET, title, ("what came so far is no news",))


def _which(call: ast.Call, words: Words) -> list[str]:
    of, where = argument(call, "of"), argument(call, "where")
    lines = [f"of {words.value(of)}"] if of is not None and not is_none(of) else []
    return lines if where is None or is_none(where) else [*lines, f"where {words.filter(where)}"]


def _limit(within: ast.expr | None, words: Words) -> tuple[str, str]:
    """The line that says how long at most, and the label of the way once that is over."""
    if within is None or is_none(within):
        return "however long it takes", ""
    length = words.length(within)
    return f"for {length} at most", f"{length} passed"
