"""Checks of what a story waits for: whether they are events, and whether its run is told of them."""

import ast
from collections.abc import Iterator
from typing import Any

from journeys.checks.fault import Fault, meant
from journeys.checks.part import UNCLEAR, FunctionSource, argument, spread
from journeys.checks.story import Story, is_event
from profiles.events import Event


def not_an_event(value: Any) -> str:
    """Why it cannot be waited for, and what to write; empty where it can."""
    if is_event(value):
        if value.event_name:
            return ""
        named = sorted(kind.__name__ for kind in Event.registry.values() if issubclass(kind, value))
        do = (
            f"name one of {', '.join(named)}"
            if named and value is not Event
            else (f'declare it as class {value.__name__}(Event, name="…")')
        )
        return f"{value.__name__} has no event name, so it never comes; {do}"
    if isinstance(value, str):
        if value in Event.registry:
            return f"{value!r} is a name; give the class, {Event.registry[value].__name__}"
        return f"expected a class of events, got {value!r}{meant(value, Event.registry)}"
    said = value.__name__ if isinstance(value, type) else repr(value)
    return f"expected a class of events such as OrderCompleted, got {said}"


def faults(story: Story) -> Iterator[Fault]:
    """Every event that ``wait_for``, ``wait_for_all`` and ``quiet`` name."""
    for part, call, word in story.words():
        match word:
            case "wait_for" | "wait_for_all":
                if not call.args and not spread(call):
                    yield part.fault(call, f"self.{word}() names no event; as in self.{word}(OrderCompleted)")
                yield from _each(story, part, call.args, word)
            case "quiet":
                yield from _quiet(story, part, argument(call, "of", 1))
            case "hold_while":
                for each in call.args:
                    if is_event(value := part.meaning(each)):
                        yield part.fault(
                            each,
                            f"self.hold_while takes cases, got the event {value.__name__}; make one with "
                            'holding(TicketOpened, until=TicketSolved, by="ticket_id", says="…")',
                        )


def _quiet(story: Story, part: FunctionSource, of: ast.expr | None) -> Iterator[Fault]:
    if isinstance(of, ast.Tuple | ast.List):
        if not of.elts:
            yield part.fault(
                of, "self.quiet(of=…) names no event, so it only lets time pass; write self.sleep"
            )
        yield from _each(story, part, of.elts, "quiet")
    elif of is not None and isinstance(value := part.meaning(of), type):
        yield part.fault(
            of, f"self.quiet(of=…) takes a tuple, got {value.__name__}; add a comma: of=({value.__name__},)"
        )


def _each(story: Story, part: FunctionSource, expressions: list[ast.expr], word: str) -> Iterator[Fault]:
    told = _told_of(story)
    for each in expressions:
        value: Any = UNCLEAR if isinstance(each, ast.Starred) else part.meaning(each)
        if value is UNCLEAR:
            continue
        if reason := not_an_event(value):
            yield part.fault(each, f"self.{word}: {reason}")
        elif told is not None and value.event_name not in told:
            yield part.fault(
                each,
                f"self.{word}({value.__name__}) never sees one: the run is not told of {value.event_name}, "
                f"since the class itself does not name it; add also_listens_to=({value.__name__},)",
            )


def _told_of(story: Story) -> frozenset[str] | None:
    try:
        return story.definition.listen_names
    except Exception:  # what it stumbles over is a fault of the declaration, and said there
        return None
