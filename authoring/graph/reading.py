"""Read a journey's code into a flow; the story is not run."""

import ast

from authoring.graph.code import Code, Unreadable, code_of
from authoring.graph.endings import interrupts
from authoring.graph.flow import Flow, Kind
from authoring.graph.own import OwnMethods
from authoring.graph.result import Loose
from authoring.graph.sketch import FlowBuilder
from authoring.graph.statements import Statements
from authoring.graph.words import Words
from journeys.vocabulary import Segment
from journeys.vocabulary.definition import PERSON, JourneyDefinition
from journeys.vocabulary.durations import format_rounded_duration
from policy.reentry import After, AtMost, Once, Reentry, Unlimited
from profiles.events import Event

_UNITS = {"1 min": "minute", "1 h": "hour", "1 day": "day"}


def flow_of(definition: JourneyDefinition) -> Flow:
    """The flow of a journey. Raises ``Unreadable`` where its code cannot be found."""
    code = code_of(definition)
    words, sketch = Words(code), FlowBuilder()
    starts = " or ".join(map(_entry, definition.entries))
    entry = sketch.add(Kind.ENTRY, starts, _terms(code, words), ())
    try:
        ends = Statements(sketch, words, OwnMethods(code)).read(code.story.body, (Loose(entry),))
    except RecursionError as error:
        raise Unreadable(
            f"the story of {definition.name} is nested too deeply to be drawn; move parts of it into methods"
        ) from error
    if ends:
        # A story that returns nothing has this for an outcome.
        sketch.add(Kind.END, "None", (), ends)
    return Flow(
        journey=definition.name,
        summary=definition.summary,
        nodes=tuple(sketch.nodes),
        edges=tuple(sketch.edges),
        interrupts=tuple(interrupts(code, words)),
    )


def _entry(entry: type[Event] | Segment) -> str:
    if not isinstance(entry, Segment):
        return entry.event_name
    length = format_rounded_duration(entry.every)
    every = _UNITS.get(length, length)
    who = "who belongs to or enters" if entry.existing else "enters"
    return f"{who} segment {entry.name} (every {every})"


def _terms(code: Code, words: Words) -> list[str]:
    """On what terms a run starts: the filter, the key, how often; and what holds all of its marketing."""
    definition = code.definition
    lines = []
    if definition.where is not None:
        written = code.declared.get("where")
        lines.append(f"where {words.filter(written) if written else definition.where.__name__}")
    lines.append(f"one live run per {_key(code, words)}")
    if again := _again(definition.reentry):
        lines.append(again)
    if definition.hold_while:
        lines.append(f"silent while {' or '.join(hold.says for hold in definition.hold_while)} is open")
    if definition.holdout:
        lines.append(f"{definition.holdout:g}% get nothing, to be measured against")
    return lines


def _key(code: Code, words: Words) -> str:
    by, written = code.definition.keyed_by, code.declared.get("keyed_by")
    if isinstance(by, str):
        return "person" if by == PERSON else by.removesuffix("_id").replace("_", " ")
    return words.key(written) if isinstance(written, ast.expr) else getattr(by, "__name__", "key")


def _again(reentry: Reentry) -> str:
    match reentry:
        case After(period=period):
            return f"again {format_rounded_duration(period)} after the last entry"
        case Once():
            return "once for ever"
        case AtMost(times=times):
            return f"{times} times at most"
        case Unlimited():
            return ""
