"""Check what ``@journey`` declares, and the signature of ``run``."""

import ast
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, Literal, get_args

from journeys.checks.errors import JourneyFault, fault_at, suggestion
from journeys.checks.properties import properties_of
from journeys.checks.waits import not_an_event
from journeys.source.reader import JourneySource, is_event
from journeys.vocabulary.definition import PERSON, OnMerge
from journeys.vocabulary.endings import Ending, cart_is_empty_or_bought
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.segment import Segment
from policy.reentry import After, AtMost
from profiles.events import ProductUpdated

ON_MERGE = get_args(OnMerge)

_NAME = re.compile(r"\w[\w.-]{0,99}")
_WRITE = "write async def run(self, entry: {entry}) -> Outcome"


def check_declaration(source: JourneySource) -> Iterator[JourneyFault]:
    """Find faults in the arguments of ``@journey``."""
    yield from _name(source)
    yield from _events(source)
    yield from _key(source)
    for name, returns in (("where", "whether it starts a run"), ("keyed_by", "the key of its run")):
        yield from _event_function(source, name, returns)
    yield from _options(source)


def _name(source: JourneySource) -> Iterator[JourneyFault]:
    name = source.definition.name
    if not _NAME.fullmatch(name):
        text = (
            f"{name!r} cannot be a journey's name: it stands in workflow ids and addresses, so it takes up "
            "to 100 letters, digits, - _ and . only; as in price-drop"
        )
        yield _fault(source, "name", text)


def _events(source: JourneySource) -> Iterator[JourneyFault]:
    definition = source.definition
    starts = [each for each in definition.entries if not isinstance(each, Segment)]
    if not definition.entries:
        yield _fault(source, "starts_on", "starts_on names no event, so no run ever starts")
    yield from _kinds(source, "starts_on", starts)
    if ProductUpdated in starts:
        text = (
            "ProductUpdated names no profile, so it starts no run; profiles with the product in their cart "
            "receive PriceDropped, BackInStock and OutOfStock"
        )
        yield _fault(source, "starts_on", text)
    also = definition.also_listens_to
    if isinstance(also, tuple | list):
        yield from _kinds(source, "also_listens_to", also)
    else:
        text = f"also_listens_to takes a tuple, got {_named(also)}; add a comma"
        yield _fault(source, "also_listens_to", text)
    yield from _endings(source)
    for hold in definition.hold_while:
        if not isinstance(hold, Hold):
            text = f"hold_while takes cases such as ticket_is_open, got {_named(hold)}; write holding(…)"
            yield _fault(source, "hold_while", text)


def _endings(source: JourneySource) -> Iterator[JourneyFault]:
    for ending in source.definition.ends_on:
        if not isinstance(ending, Ending):
            text = f"ends_on takes endings, got {_named(ending)}; as in ends_on=goal(OrderCompleted)"
            yield _fault(source, "ends_on", text)
        elif not ending.events:
            text = "an ending names no event, so it ends nothing; as in goal(OrderCompleted)"
            yield _fault(source, "ends_on", text)
        else:
            yield from _kinds(source, "ends_on", ending.events)
        if ending is cart_is_empty_or_bought and source.definition.keyed_by != "cart_id":
            text = (
                "cart_is_empty_or_bought ends nothing here: the journey is not about a cart; write "
                'keyed_by="cart_id", or ends_on=goal(OrderCompleted)'
            )
            yield _fault(source, "ends_on", text)


def _kinds(source: JourneySource, argument: str, kinds: Iterable[Any]) -> Iterator[JourneyFault]:
    for kind in kinds:
        if isinstance(kind, list):
            yield _fault(source, argument, f"{argument} takes a tuple, got a list; use ( )")
        elif reason := not_an_event(kind):
            yield _fault(source, argument, f"{argument}: {reason}")


def _key(source: JourneySource) -> Iterator[JourneyFault]:
    key, kinds = source.definition.keyed_by, source.start_kinds
    if not isinstance(key, str) or key in (PERSON, "cart_id") or kinds is None:
        return
    for kind in kinds:
        known = properties_of(kind)
        if key not in known:
            yield _fault(
                source,
                "keyed_by",
                f"keyed_by={key!r}: {kind.__name__} declares no such property, so it would never start a run"
                + suggestion(key, {*known, PERSON}),
            )


def _event_function(source: JourneySource, argument: str, returns: str) -> Iterator[JourneyFault]:
    function: Callable[..., Any] | str | None = getattr(source.definition, argument)
    if not callable(function):
        return
    if inspect.iscoroutinefunction(function):
        text = f"{argument}={_named(function)} is async, and is never awaited; write def"
        yield _fault(source, argument, text)
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        text = (
            f"{argument}={_named(function)} takes {inspect.signature(function)}; it is given one event, and "
            f"returns {returns}"
        )
        yield _fault(source, argument, text)
    except ValueError:
        return  # Some builtins have no signature.


def _options(source: JourneySource) -> Iterator[JourneyFault]:
    match source.definition.reentry:
        case After(period=timedelta() as period) if period < timedelta(0):
            text = f"reentry: After a negative time ({period}); as in After(days(3))"
            yield _fault(source, "reentry", text)
        case After(period=period) if not isinstance(period, timedelta):
            text = f"reentry: After takes a length of time, got {period!r}; as in After(days(3))"
            yield _fault(source, "reentry", text)
        case AtMost(times=int() as times) if times < 1:
            yield _fault(source, "reentry", f"reentry: AtMost({times}) admits no run; as in AtMost(1)")
    holdout = source.definition.holdout
    if not isinstance(holdout, int | float) or not 0 <= holdout <= 100:
        yield _fault(source, "holdout", f"holdout={holdout!r}: expected a percentage, from 0 to 100")
    on_merge = source.definition.on_merge
    if on_merge not in ON_MERGE:
        text = (
            f'{on_merge=}: expected "continue" (a run goes on under the person that its own turns out '
            'to be) or "end" (it ends at once, as merged)'
        )
        yield _fault(source, "on_merge", text)


def _fault(source: JourneySource, argument: str, message: str) -> JourneyFault:
    return fault_at(source, source.declared.get(argument), message)


def _named(value: Any) -> str:
    name = getattr(value, "__name__", None)
    return "the lambda" if name == "<lambda>" else str(name or value)


def check_run(source: JourneySource) -> Iterator[JourneyFault]:
    """Find a ``run`` that is not async, does not take the entry event, or returns no outcome."""
    run: Any = vars(source.definition.cls).get("story")
    if not inspect.isfunction(run):
        return
    node = source.run.node if source.run else source.node
    write = _WRITE.format(entry=" | ".join(kind.__name__ for kind in source.start_kinds or ()) or "…")
    if inspect.isasyncgenfunction(run):
        text = f"run yields, but a story runs once to its end; {write}, and no yield in it"
        yield fault_at(source, node, text)
    elif not inspect.iscoroutinefunction(run):
        yield fault_at(source, node, f"run is not async, so it cannot wait; {write}")
    signature = inspect.signature(run)
    try:
        signature.bind(None, None)
    except TypeError:
        yield fault_at(source, node, f"run takes {signature}, and is given the entry event only; {write}")
        return
    try:
        hints = typing.get_type_hints(run)
    except Exception:  # a name that only the type checker knows, or any error of the author's types
        return
    names = list(signature.parameters)
    if len(names) > 1 and names[1] in hints:
        yield from _entry(source, node, hints[names[1]])
    yield from _outcome(source, node, signature, hints)


def _entry(source: JourneySource, node: ast.AST, hint: Any) -> Iterator[JourneyFault]:
    starts = source.start_kinds
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
        text = (
            f"run starts on {' and '.join(missing)}, which its entry does not allow for; write entry: {can}"
        )
        yield fault_at(source, node, text)
    if foreign:
        text = f"entry is never {' or '.join(foreign)}, which starts no run; write entry: {can}"
        yield fault_at(source, node, text)


def _outcome(
    source: JourneySource, node: ast.AST, signature: inspect.Signature, hints: dict[str, Any]
) -> Iterator[JourneyFault]:
    do = "return a StrEnum of outcomes, or str, and write -> Outcome"
    if signature.return_annotation is inspect.Signature.empty:
        yield fault_at(source, node, f"run does not say what it returns; {do}")
        return
    for each in _members(hints["return"]):
        match each:
            case type() if issubclass(each, Enum) and not issubclass(each, StrEnum):
                text = (
                    f"run returns {each.__name__}, and its members would read as "
                    f'"{each.__name__}.…" in reports; derive it from StrEnum'
                )
                yield fault_at(source, node, text)
            case type() if not issubclass(each, str) and each not in (Any, object):
                name = "None" if each is types.NoneType else each.__name__
                yield fault_at(source, node, f"run returns {name}, and an outcome is a word; {do}")


def _members(hint: Any) -> tuple[Any, ...]:
    """The types of a union, each by itself; a literal counts as the types of its values."""
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return tuple(each for member in typing.get_args(hint) for each in _members(member))
    if origin is Literal:
        return tuple(type(value) for value in typing.get_args(hint))
    return (hint,)
