"""Check the events that a journey waits for, and the durations that are written out in it."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from journeys.checks.errors import JourneyFault, fault_at, suggestion
from journeys.source.reader import UNKNOWN, FunctionSource, JourneySource, is_event
from journeys.source.vocabulary import argument, has_unpacking
from profiles.events import Event

_DURATIONS = "journeys.vocabulary.durations"
_FALLBACKS = ("if_not_seen", "if_not_delivered")


def check_events(source: JourneySource) -> Iterator[JourneyFault]:
    """Find arguments that are no events, and events that the run does not receive."""
    for function, call in source.word_calls():
        name, arguments = call.word.name, call.node.args
        match name:
            case "wait_for" | "wait_for_all":
                if not arguments and not has_unpacking(call.node):
                    text = f"self.{name}() names no event; as in self.{name}(OrderCompleted)"
                    yield fault_at(function, call.node, text)
                yield from _each_event(source, function, arguments, name)
            case "quiet":
                yield from _events_of_quiet(source, function, call.argument("of"))
            case "hold_while":
                for each in arguments:
                    if is_event(value := function.resolve(each)):
                        text = (
                            f"self.hold_while takes cases, got the event {value.__name__}; make one with "
                            'holding(TicketOpened, until=TicketSolved, by="ticket_id", says="…")'
                        )
                        yield fault_at(function, each, text)


def not_an_event(value: Any) -> str:
    """Return why a value cannot be waited for, and what to write instead; empty where it can."""
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
        return f"expected a class of events, got {value!r}{suggestion(value, Event.registry)}"
    actual = value.__name__ if isinstance(value, type) else repr(value)
    return f"expected a class of events such as OrderCompleted, got {actual}"


def _events_of_quiet(
    source: JourneySource, function: FunctionSource, of: ast.expr | None
) -> Iterator[JourneyFault]:
    if isinstance(of, ast.Tuple | ast.List):
        if not of.elts:
            text = "self.quiet(of=…) names no event, so it only lets time pass; write self.sleep"
            yield fault_at(function, of, text)
        yield from _each_event(source, function, of.elts, "quiet")
    elif of is not None and isinstance(value := function.resolve(of), type):
        name = value.__name__
        yield fault_at(function, of, f"self.quiet(of=…) takes a tuple, got {name}; add a comma: of=({name},)")


def _each_event(
    source: JourneySource, function: FunctionSource, expressions: list[ast.expr], word: str
) -> Iterator[JourneyFault]:
    received = _received_events(source)
    for each in expressions:
        value: Any = UNKNOWN if isinstance(each, ast.Starred) else function.resolve(each)
        if value is UNKNOWN:
            continue
        if reason := not_an_event(value):
            yield fault_at(function, each, f"self.{word}: {reason}")
        elif received is not None and value.event_name not in received:
            text = (
                f"self.{word}({value.__name__}) never sees one: the run does not receive {value.event_name}, "
                f"since the class itself does not name it; add also_listens_to=({value.__name__},)"
            )
            yield fault_at(function, each, text)


def _received_events(source: JourneySource) -> frozenset[str] | None:
    try:
        return source.definition.listen_names
    except Exception:  # the cause is a fault of the declaration, which another check reports
        return None


def check_durations(source: JourneySource) -> Iterator[JourneyFault]:
    """Find durations of words and fallbacks that are negative, of another type, or zero without sense."""
    for function, call in source.word_calls():
        word = call.word
        for parameter in word.durations:
            given = call.argument(parameter)
            yield from _duration(function, given, f"self.{word.name}", parameter, zero=word.looks_back)
    for function, call in source.word_calls("sleep_until"):
        given = call.argument("at")
        if given is not None and type(hour := function.resolve(given)) in (int, float, str):
            text = f"self.sleep_until takes a time of day, got {hour!r}; as in time(9)"
            yield fault_at(function, given, text)
    for function in source.functions:
        for node in function.nodes:
            if isinstance(node, ast.Call) and (name := fallback_name(function, node)):
                yield from _duration(function, argument(node, "within", 0), name, "within", zero=False)


def fallback_name(function: FunctionSource, call: ast.Call) -> str:
    """Return ``if_not_seen`` or ``if_not_delivered`` where the call is one of them; else empty."""
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", None)
    if name not in _FALLBACKS or not isinstance(name, str):
        return ""
    module = getattr(function.resolve(call.func), "__module__", "")
    return name if str(module).startswith("journeys.vocabulary") else ""


def _duration(
    function: FunctionSource, given: ast.expr | None, call: str, parameter: str, *, zero: bool
) -> Iterator[JourneyFault]:
    if given is None:
        return
    value = constant_value(function, given)
    written = ast.unparse(given)
    if type(value) in (int, float, str):
        text = (
            f"{call}: {parameter} is a length of time, got {written}; as in minutes(45), hours(1) or days(3)"
        )
        yield fault_at(function, given, text)
    elif isinstance(value, timedelta) and (value < timedelta(0) or (not value and not zero)):
        what = "no time" if not value else "a negative time"
        text = f"{call}: {parameter} is {written}, {what}; say how long, as in hours(1)"
        yield fault_at(function, given, text)


def constant_value(function: FunctionSource, expression: ast.expr) -> Any:
    """Return the duration, number or text that is written out or named; ``UNKNOWN`` where it is computed."""
    match expression:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = constant_value(function, operand)
            return -value if isinstance(value, timedelta | int | float) else UNKNOWN
        case ast.Call(func=called, args=arguments, keywords=keywords):
            make = function.resolve(called)
            if make is not timedelta and getattr(make, "__module__", "") != _DURATIONS:
                return UNKNOWN
            numbers = [constant_value(function, each) for each in arguments]
            named = {each.arg: constant_value(function, each.value) for each in keywords if each.arg}
            if not all(type(each) in (int, float) for each in (*numbers, *named.values())):
                return UNKNOWN
            try:
                return make(*numbers, **named)
            except (TypeError, ValueError, OverflowError):
                return UNKNOWN
    value = function.resolve(expression)
    return value if isinstance(value, timedelta | int | float | str) else UNKNOWN
