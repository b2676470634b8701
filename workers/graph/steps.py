"""One word of the vocabulary, as it is called in a story, as the text of a step."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

from journeys.vocabulary import EMAIL
from workers.graph.flow import Kind
from workers.graph.words import Result, Words

_LONGEST_CALL = 90


@dataclass(frozen=True, slots=True)
class Step:
    """What a step will say, and what a story can learn from it."""

    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    holds: str = ""
    """As in ``Result``; empty where the step has none."""
    fails: str = ""
    said: tuple[str, str] = ("", "")
    cases: frozenset[str] = frozenset()

    def result(self, node: str) -> Result | None:
        """What came of it, at this node."""
        if not self.holds:
            return None
        name = "the suggestions" if self.kind is Kind.SUGGESTIONS else self.title
        return Result(node, name, self.holds, self.fails, self.said, self.cases)


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


def _wait(call: ast.Call, words: Words) -> Step:
    events = [words.event(kind) for kind in call.args]
    of, where, within = (_argument(call, name) for name in ("of", "where", "within"))
    lines = [f"of {words.value(of)}"] if of is not None else []
    if where is not None:
        lines.append(f"where {words.filter(where)}")
    length = None if within is None or _is_none(within) else words.length(within)
    lines.append(f"for {length} at most" if length else "however long it takes")
    title = " or ".join(events)
    came = title if len(events) == 1 else "one of them came"
    passed = f"{length} passed" if length else ""
    cases = frozenset([*events, passed] if length else events)
    return Step(Kind.WAIT, title, tuple(lines), came, passed, (f"{title} came", f"no {title} came"), cases)


def _quiet(call: ast.Call, words: Words) -> Step:
    length, of = _argument(call, "length", 0), _argument(call, "of", 1)
    title = words.length(length) if length is not None else "a while"
    return Step(Kind.QUIET, title, (f"without {words.any_of(of)}",) if of is not None else ())


def _sleep(call: ast.Call, words: Words) -> Step:
    length = _argument(call, "length", 0)
    return Step(Kind.SLEEP, words.length(length) if length is not None else "a while")


def _send(call: ast.Call, words: Words) -> Step:
    template, prefer = _argument(call, "template", 0), _argument(call, "prefer")
    promoting, showing, expires = (_argument(call, name) for name in ("promoting", "showing", "expires"))
    title = words.value(template) if template is not None else "a message"
    lines = [f"by {_channels(prefer, words)}"]
    lines.append(f"promotes {'nothing' if _is_none(promoting) else _noun(promoting, words)}")
    if showing is not None:
        lines.append(f"shows {_noun(showing, words)}")
    if expires is not None:
        lines.append(f"expires after {words.length(expires)}")
    said = (f"{title} was sent", f"{title} was not sent")
    cases = frozenset({"sent", "withheld", "unknown"})
    return Step(Kind.SEND, title, tuple(lines), "sent", "not sent", said, cases)


def _retarget(call: ast.Call, words: Words) -> Step:
    audience, until = _argument(call, "audience", 1), _argument(call, "until", 2)
    lines = [f"for {_noun(_argument(call, 'items', 0), words)}"]
    if until is not None:
        lines.append(f"{words.length(until)} at most")
    return Step(Kind.RETARGET, words.value(audience) if audience is not None else "an audience", tuple(lines))


def _suggestions(call: ast.Call, words: Words) -> Step:
    limit = _argument(call, "limit", 0)
    count = words.value(limit) if limit is not None else "3"
    said = ("there are suggestions", "there are no suggestions")
    return Step(Kind.SUGGESTIONS, f"up to {count} items", (), "some", "none", said)


_WORDS: dict[str, Callable[[ast.Call, Words], Step]] = {
    "wait_for": _wait,
    "quiet": _quiet,
    "sleep": _sleep,
    "send": _send,
    "retarget": _retarget,
    "suggestions": _suggestions,
}


def _argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    if position is not None and position < len(call.args):
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _is_none(expression: ast.expr | None) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None


def _noun(expression: ast.expr | None, words: Words) -> str:
    return "something" if expression is None else words.value(expression)


def _channels(prefer: ast.expr | None, words: Words) -> str:
    if prefer is None:
        return EMAIL.value
    each = prefer.elts if isinstance(prefer, ast.Tuple | ast.List) else [prefer]
    return ", else ".join(words.value(channel) for channel in each)
