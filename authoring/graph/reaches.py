"""The words that reach the person, as the text of a step."""

import ast

from authoring.graph.flow import Kind
from authoring.graph.step import Step, argument, is_none
from authoring.graph.words import Words
from journeys.vocabulary.durations import format_rounded_duration
from journeys.vocabulary.fallback import Fallback, if_not_delivered, if_not_seen

_UNLESS = {if_not_seen: "not seen", if_not_delivered: "not delivered"}


def send(call: ast.Call, words: Words) -> Step:
    """``send``; a fallback is a second step beside it."""
    template, prefer = argument(call, "template", 0), argument(call, "prefer")
    promoting, showing, expires = (argument(call, name) for name in ("promoting", "showing", "expires"))
    title = words.value(template) if template is not None else "a message"
    lines = [_channels(prefer, words)]
    lines.append(f"promotes {'nothing' if is_none(promoting) else _noun(promoting, words)}")
    if showing is not None:
        lines.append(f"shows {_noun(showing, words)}")
    if expires is not None:
        lines.append(f"expires after {words.length(expires)}")
    return Step(
        Kind.SEND, title, tuple(lines), "sent", "not sent", (f"{title} was sent", f"{title} was not sent"),
        frozenset({"sent", "withheld", "unknown"}), otherwise=_fallback(call, title, words),
    )  # fmt: skip


def retarget(call: ast.Call, words: Words) -> Step:
    """``retarget``."""
    audience, until = argument(call, "audience", 1), argument(call, "until", 2)
    lines = [f"for {_noun(argument(call, 'items', 0), words)}"]
    if until is not None:
        lines.append(f"{words.length(until)} at most")
    return Step(Kind.RETARGET, words.value(audience) if audience is not None else "an audience", tuple(lines))


def opt_out(call: ast.Call, words: Words) -> Step:
    """``opt_out``."""
    channel, topic = argument(call, "channel", 0), argument(call, "topic", 1)
    said = "marketing" if topic is None else words.value(topic)
    return Step(Kind.OPT_OUT, f"{said} by {'email' if channel is None else words.value(channel)}")


def suggestions(call: ast.Call, words: Words) -> Step:
    """``suggestions``."""
    limit = argument(call, "limit", 0)
    count = words.value(limit) if limit is not None else "3"
    said = ("there are suggestions", "there are no suggestions")
    return Step(Kind.SUGGESTIONS, f"up to {count} items", (), "some", "none", said, name="the suggestions")


def _fallback(call: ast.Call, title: str, words: Words) -> tuple[str, Step] | None:
    """The same message on another channel, and when it is sent there."""
    written = argument(call, "fallback")
    if written is None or is_none(written):
        return None
    found = words.resolved(written)
    if isinstance(ready := words.meaning(found), Fallback):
        label = f"{ready.description} within {format_rounded_duration(ready.within)}"
        return label, Step(Kind.SEND, title, (f"by {', else '.join(map(str, ready.then))}",))
    says = _UNLESS.get(words.meaning(found.func)) if isinstance(found, ast.Call) else None
    if says is None or not isinstance(found, ast.Call):
        return "if it does not get through", Step(Kind.SEND, title, (f"as {words.value(found)} says",))
    within, then = argument(found, "within"), argument(found, "then")
    label = f"{says} within {words.length(within)}" if within is not None else says
    return label, Step(Kind.SEND, title, (_channels(then, words),))


def _noun(expression: ast.expr | None, words: Words) -> str:
    return "something" if expression is None else words.value(expression)


def _channels(prefer: ast.expr | None, words: Words) -> str:
    if prefer is None or is_none(prefer):
        return "on the channel that suits"
    found = words.resolved(prefer)
    if isinstance(ready := words.meaning(found), tuple):
        return f"by {', else '.join(map(str, ready))}"
    each = found.elts if isinstance(found, ast.Tuple | ast.List) else [found]
    return f"by {', else '.join(map(words.value, each))}"
