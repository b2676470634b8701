"""One word of the vocabulary, as it is called in a story, as the text of a step."""

import ast
from collections.abc import Callable

from authoring.graph import decides, reaches, waits
from authoring.graph.flow import Kind
from authoring.graph.step import Step
from authoring.graph.words import Words

_LONGEST_CALL = 90

_WORDS: dict[str, Callable[[ast.Call, Words], Step]] = {
    "wait_for": waits.wait_for,
    "wait_for_all": waits.wait_for_all,
    "quiet": waits.quiet,
    "sleep": waits.sleep,
    "sleep_until": waits.sleep_until,
    "hold_while": waits.hold_while,
    "forget": waits.forget,
    "send": reaches.send,
    "retarget": reaches.retarget,
    "opt_out": reaches.opt_out,
    "suggestions": reaches.suggestions,
    "profile": decides.profile,
    "experiment": decides.experiment,
    "choose": decides.choose,
    "perform": decides.perform,
}


def word_of(expression: ast.AST) -> str | None:
    """Which word of the vocabulary an expression calls, or None."""
    match expression:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=word)) if word in _WORDS:
            return word
    return None


def step_of(call: ast.Call, words: Words) -> Step:
    """The step that a call of a word is."""
    word = word_of(call)
    if word is None:
        raise ValueError(f"{ast.unparse(call)} calls no word of {', '.join(_WORDS)}; ask word_of first")
    return _WORDS[word](call, words)


def other_step(awaited: ast.expr, words: Words) -> Step:
    """An awaited call that is no word: an activity of the author's own, or plain ``temporalio.workflow``."""
    inside = [step_of(c, words) for c in ast.walk(awaited) if isinstance(c, ast.Call) and word_of(c)]
    text = (
        ast.unparse(awaited.func) + "(…)"
        if inside and isinstance(awaited, ast.Call)
        else ast.unparse(awaited)
    )
    text = text.removeprefix("self.")
    if len(text) > _LONGEST_CALL:
        text = text[: _LONGEST_CALL - 1] + "…"
    return Step(Kind.CALL, text, tuple(f"{step.kind.value} {step.title}" for step in inside))
