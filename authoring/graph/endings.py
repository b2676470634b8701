"""What ends a run at any moment: the goals and exits that a journey declares."""

import ast
from collections.abc import Iterator

from authoring.graph.code import Code
from authoring.graph.flow import Interrupt
from authoring.graph.step import argument
from authoring.graph.words import Words
from journeys.vocabulary import exit_on, goal
from journeys.vocabulary.endings import Ending, RunEnding
from profiles.events import Event


def interrupts(code: Code, words: Words) -> Iterator[Interrupt]:
    """Each event of each ending, with the outcome and the reason."""
    endings = code.definition.ends_on
    written = code.declared.get("ends_on")
    each = written.elts if isinstance(written, ast.Tuple) else [written]
    # Where they do not stand in the declaration one by one, the rules are asked without their words.
    calls = each if len(each) == len(endings) else [None] * len(endings)
    for ending, call in zip(endings, calls, strict=True):
        for kind in ending.events:
            yield _interrupt(ending, kind, _where(call, words))


def _where(written: ast.expr | None, words: Words) -> str | None:
    """The filter of a goal or exit in words, empty without one; None where it is not to be seen."""
    if not isinstance(written, ast.Call) or words.meaning(written.func) not in (goal, exit_on):
        return None
    where = argument(written, "where")
    says = "goal reached" if words.meaning(written.func) is goal else "exit"
    return says if where is None else f"{says}, where {words.filter(where)}"


def _interrupt(ending: Ending, kind: type[Event], says: str | None) -> Interrupt:
    """What an event ends a run with; where its words are not to be seen, the rule is asked."""
    only = ending.outcomes[0] if len(ending.outcomes) == 1 else "ended"
    if says is not None:
        return Interrupt(kind.event_name, only, says)
    ended = _asked(ending, kind)
    if ended is None:
        return Interrupt(kind.event_name, only, "by a rule of this journey")
    return Interrupt(kind.event_name, ended.outcome, ended.reason.removesuffix(f": {kind.event_name}"))


def _asked(ending: Ending, kind: type[Event]) -> RunEnding | None:
    """What the rule says of such an event without anything in it; the cart, if there is one, is empty."""
    try:
        return ending.evaluate(kind.model_construct(), ())
    except Exception:
        # A rule of the author's own that reads the event's fields.
        return None
