"""Read a journey's code into a flow; the story is not run."""

from journeys.vocabulary.definition import PERSON, JourneyDefinition
from journeys.vocabulary.durations import in_words
from journeys.vocabulary.endings import Ending
from policy.reentry import After, AtMost, Once, Reentry, Unlimited
from profiles.events import Event
from workers.graph.code import Code, code_of
from workers.graph.flow import Flow, Interrupt, Kind
from workers.graph.sketch import Loose, Sketch
from workers.graph.statements import Statements
from workers.graph.words import Words


def flow_of(definition: JourneyDefinition) -> Flow:
    """The flow of a journey. Raises ``Unreadable`` where its code cannot be found."""
    code = code_of(definition)
    words, sketch = Words(code), Sketch()
    starts = " or ".join(kind.event_name for kind in definition.starts_on)
    entry = sketch.add(Kind.ENTRY, starts, _terms(code, words), ())
    ends = Statements(sketch, words).read(code.story.body, (Loose(entry),))
    if ends:
        # A story that returns nothing has this for an outcome.
        sketch.add(Kind.END, "None", (), ends)
    return Flow(
        journey=definition.name,
        summary=definition.summary,
        nodes=tuple(sketch.nodes),
        edges=tuple(sketch.edges),
        interrupts=tuple(_interrupts(definition)),
    )


def _terms(code: Code, words: Words) -> list[str]:
    """On what terms a run starts: the filter, the key, how often."""
    definition = code.definition
    lines = []
    if definition.where is not None:
        written = code.declared.get("where")
        lines.append(f"where {words.filter(written) if written else definition.where.__name__}")
    lines.append(f"one live run per {_key(code, words)}")
    if again := _again(definition.reentry):
        lines.append(again)
    return lines


def _key(code: Code, words: Words) -> str:
    by, written = code.definition.keyed_by, code.declared.get("keyed_by")
    if callable(by):
        return words.key(written) if written is not None else getattr(by, "__name__", "key")
    return "person" if by == PERSON else by.removesuffix("_id").replace("_", " ")


def _again(reentry: Reentry) -> str:
    match reentry:
        case After(period=period):
            return f"again {in_words(period)} after the last entry"
        case Once():
            return "once for ever"
        case AtMost(times=times):
            return f"{times} times at most"
        case Unlimited():
            return ""


def _interrupts(definition: JourneyDefinition) -> list[Interrupt]:
    return [_interrupt(ending, kind) for ending in definition.ends_on for kind in ending.events]


def _interrupt(ending: Ending, kind: type[Event]) -> Interrupt:
    """What an event ends a run with, asked of the declared rule; the cart, if there is one, is empty then."""
    try:
        ended = ending.after(kind.model_construct(), ())
    except Exception:
        # A rule of the author's own that reads the event's fields.
        ended = None
    if ended is None:
        return Interrupt(kind.event_name, "ended", "by a rule of this journey")
    reason = ended.reason.removesuffix(f": {kind.event_name}")
    return Interrupt(kind.event_name, ended.outcome, reason)
