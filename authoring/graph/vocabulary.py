"""The text of each word of the vocabulary as a step of a flow."""

import ast
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from enum import IntEnum

from authoring.graph.flow import Arm, Kind, StepDescription, StepResult
from authoring.graph.phrasing import Phrasing
from journeys.source.vocabulary import WordCall, argument, word_call
from journeys.vocabulary import Profile
from journeys.vocabulary.durations import format_rounded_duration
from journeys.vocabulary.fallback import Fallback, if_not_delivered, if_not_seen

_MAX_CALL_LENGTH = 90

_UNLESS = {if_not_seen: "not seen", if_not_delivered: "not delivered"}


def step_call(node: ast.AST) -> WordCall | None:
    """The call of a word that a node is, if a flow shows the word as a step; None for other nodes."""
    call = word_call(node)
    return call if call is not None and call.word.is_step else None


def describe(call: WordCall, phrasing: Phrasing) -> StepDescription:
    """The step of a word's call."""
    return DESCRIPTIONS[call.word.name](call, phrasing)


def describe_other(awaited: ast.expr, phrasing: Phrasing) -> StepDescription:
    """The step of an awaited call that is no word: an author's own activity, or ``temporalio.workflow``."""
    calls = [call for node in ast.walk(awaited) if (call := step_call(node))]
    steps = [describe(call, phrasing) for call in calls]
    text = (
        ast.unparse(awaited.func) + "(…)" if steps and isinstance(awaited, ast.Call) else ast.unparse(awaited)
    )
    text = text.removeprefix("self.")
    if len(text) > _MAX_CALL_LENGTH:
        text = text[: _MAX_CALL_LENGTH - 1] + "…"
    return StepDescription(Kind.CALL, text, tuple(f"{step.kind.value} {step.title}" for step in steps))


def _wait_for(call: WordCall, phrasing: Phrasing) -> StepDescription:
    """A wait; with a duration of zero it only looks back."""
    events = phrasing.events_of(call.node.args)
    within = call.argument("within")
    lines = _filters(call, phrasing)
    title = " or ".join(events)
    came = title if len(events) == 1 else "one of them came"
    if phrasing.duration(within) == timedelta(0):
        conditions = (f"{title} had come", f"no {title} had come")
        cases = frozenset([*events, "not so far"])
        result = StepResult(title, came, "not so far", conditions, cases)
        return StepDescription(Kind.LOOK_BACK, title, tuple(lines), result)
    limit, passed = _limit(within, phrasing)
    cases = frozenset([*events, passed] if passed else events)
    result = StepResult(title, came, passed, (f"{title} came", f"no {title} came"), cases)
    return StepDescription(Kind.WAIT, title, (*lines, limit), result)


def _wait_for_all(call: WordCall, phrasing: Phrasing) -> StepDescription:
    title = " and ".join(phrasing.events_of(call.node.args))
    limit, passed = _limit(call.argument("within"), phrasing)
    cases = frozenset(["all came", passed] if passed else ["all came"])
    conditions = (f"{title} came", f"not all of {title} came")
    result = StepResult(title, "all came", passed, conditions, cases)
    return StepDescription(Kind.WAIT_ALL, title, (*_filters(call, phrasing), limit), result)


def _quiet(call: WordCall, phrasing: Phrasing) -> StepDescription:
    of = call.argument("of")
    lines = (f"without {phrasing.any_of(of)}",) if of is not None else ()
    return StepDescription(Kind.QUIET, _length(call, phrasing), lines)


def _sleep(call: WordCall, phrasing: Phrasing) -> StepDescription:
    return StepDescription(Kind.SLEEP, _length(call, phrasing))


def _sleep_until(call: WordCall, phrasing: Phrasing) -> StepDescription:
    at, weekday = call.argument("at"), call.argument("weekday")
    parts = []
    if weekday is not None and not _is_none(weekday):
        day = phrasing.resolve(weekday)
        parts.append(day.name.capitalize() if isinstance(day, IntEnum) else phrasing.value(weekday))
    if at is not None:
        found = phrasing.evaluate(at, (time,))
        parts.append(f"{found:%H:%M}" if isinstance(found, time) else phrasing.value(at))
    return StepDescription(Kind.UNTIL, " ".join(parts) or "an hour", ("where the person lives",))


def _hold_while(call: WordCall, phrasing: Phrasing) -> StepDescription:
    limit, passed = _limit(call.argument("within"), phrasing)
    title = " or ".join(map(phrasing.hold, call.node.args)) or "something"
    fails = f"still open after {passed.removesuffix(' passed')}" if passed else ""
    conditions = (f"no {title} is open", f"{title} is still open")
    return StepDescription(Kind.HOLD, title, (limit,), StepResult(title, "none is open", fails, conditions))


def _forget(call: WordCall, phrasing: Phrasing) -> StepDescription:
    *others, last = phrasing.events_of(call.node.args) or ["nothing"]
    title = f"{', '.join(others)} and {last}" if others else last
    return StepDescription(Kind.FORGET, title, ("what came so far is no news",))


def _send(call: WordCall, phrasing: Phrasing) -> StepDescription:
    """A message; a fallback is a second step beside it."""
    template, promoting = call.argument("template"), call.argument("promoting")
    showing, expires = call.argument("showing"), call.argument("expires")
    title = phrasing.value(template) if template is not None else "a message"
    lines = [_channels(call.argument("prefer"), phrasing)]
    lines.append(f"promotes {'nothing' if _is_none(promoting) else _noun(promoting, phrasing)}")
    if showing is not None:
        lines.append(f"shows {_noun(showing, phrasing)}")
    if expires is not None:
        lines.append(f"expires after {phrasing.length(expires)}")
    conditions = (f"{title} was sent", f"{title} was not sent")
    cases = frozenset({"sent", "withheld", "unknown"})
    result = StepResult(title, "sent", "not sent", conditions, cases)
    return StepDescription(Kind.SEND, title, tuple(lines), result, _fallback(call, title, phrasing))


def _retarget(call: WordCall, phrasing: Phrasing) -> StepDescription:
    audience, until = call.argument("audience"), call.argument("until")
    lines = [f"for {_noun(call.argument('items'), phrasing)}"]
    if until is not None:
        lines.append(f"{phrasing.length(until)} at most")
    title = phrasing.value(audience) if audience is not None else "an audience"
    return StepDescription(Kind.RETARGET, title, tuple(lines))


def _opt_out(call: WordCall, phrasing: Phrasing) -> StepDescription:
    channel, topic = call.argument("channel"), call.argument("topic")
    about = "marketing" if topic is None else phrasing.value(topic)
    by = "email" if channel is None else phrasing.value(channel)
    return StepDescription(Kind.OPT_OUT, f"{about} by {by}")


def _suggestions(call: WordCall, phrasing: Phrasing) -> StepDescription:
    limit = call.argument("limit")
    count = phrasing.value(limit) if limit is not None else "3"
    conditions = ("there are suggestions", "there are no suggestions")
    result = StepResult("the suggestions", "some", "none", conditions)
    return StepDescription(Kind.SUGGESTIONS, f"up to {count} items", (), result)


def _profile(call: WordCall, phrasing: Phrasing) -> StepDescription:
    kind = call.argument("kind")
    found = phrasing.resolve(kind) if kind is not None else Profile
    if isinstance(found, type) and issubclass(found, Profile):
        traits = ", ".join(found.declared())
        lines = (f"with {traits}",) if traits else ()
    else:
        lines = (f"as {ast.unparse(kind)}",) if kind is not None else ()
    return StepDescription(Kind.PROFILE, "the profile", lines, StepResult("the person"))


def _experiment(call: WordCall, phrasing: Phrasing) -> StepDescription:
    name = _name(call, phrasing, "an experiment")
    arms: list[Arm] = []
    for each in call.node.keywords:
        weights = phrasing.resolve(each.value)
        if each.arg is None and isinstance(weights, Mapping):
            arms += [(str(arm), weight) for arm, weight in weights.items()]
        elif each.arg not in (None, "name"):
            arms.append((str(each.arg), weights))
    return _draw(Kind.EXPERIMENT, name, arms, f"the arm of {name}")


def _choose(call: WordCall, phrasing: Phrasing) -> StepDescription:
    name = _name(call, phrasing, "one of several")
    options, by = call.argument("options"), call.argument("by")
    if by is not None:
        of = phrasing.value(options) if options is not None else "several"
        conditions = (f"there is a {name}", f"there is no {name}")
        lines = (f"the best of {of}", f"by {phrasing.key(by)}")
        return StepDescription(Kind.CHOOSE, name, lines, StepResult(name, "one", "none", conditions))
    found = phrasing.assigned(options) if options is not None else None
    arms: list[Arm] = []
    if isinstance(found, ast.Dict):
        pairs = zip(found.keys, found.values, strict=True)
        arms = [(phrasing.value(key), phrasing.resolve(weight)) for key, weight in pairs if key]
    elif found is not None and isinstance(mapping := phrasing.resolve(found), Mapping):
        arms = [(str(key), weight) for key, weight in mapping.items()]
    return _draw(Kind.CHOOSE, name, arms, " or ".join(arm for arm, _ in arms) or name)


def _perform(call: WordCall, phrasing: Phrasing) -> StepDescription:
    effect, within = call.argument("effect"), call.argument("within")
    title = "something" if effect is None else phrasing.value(effect).replace("_", " ")
    lines = [f"with {phrasing.value(given)}" for given in call.node.args[1:]]
    if within is not None:
        lines.append(f"for {phrasing.length(within)} at most")
    return StepDescription(Kind.PERFORM, title, tuple(lines))


DESCRIPTIONS: Mapping[str, Callable[[WordCall, Phrasing], StepDescription]] = {
    "wait_for": _wait_for,
    "wait_for_all": _wait_for_all,
    "quiet": _quiet,
    "sleep": _sleep,
    "sleep_until": _sleep_until,
    "hold_while": _hold_while,
    "forget": _forget,
    "send": _send,
    "retarget": _retarget,
    "opt_out": _opt_out,
    "suggestions": _suggestions,
    "profile": _profile,
    "experiment": _experiment,
    "choose": _choose,
    "perform": _perform,
}
"""The description of every word that is a step."""


def _draw(kind: Kind, name: str, arms: list[Arm], result_name: str) -> StepDescription:
    """A draw among arms; without weights where one of them is unknown."""
    known = all(isinstance(weight, int | float) for _, weight in arms)
    lines = (", ".join(f"{arm} {weight:g}" if known else arm for arm, weight in arms),) if arms else ()
    result = StepResult(result_name, arms=tuple(arms) if known else (), is_draw=True)
    return StepDescription(kind, name, lines, result if result_name else None)


def _fallback(call: WordCall, title: str, phrasing: Phrasing) -> tuple[str, StepDescription] | None:
    """The same message on another channel, and when it is sent there."""
    written = call.argument("fallback")
    if written is None or _is_none(written):
        return None
    found = phrasing.assigned(written)
    if isinstance(ready := phrasing.resolve(found), Fallback):
        label = f"{ready.description} within {format_rounded_duration(ready.within)}"
        return label, StepDescription(Kind.SEND, title, (f"by {', else '.join(map(str, ready.then))}",))
    unless = _UNLESS.get(phrasing.resolve(found.func)) if isinstance(found, ast.Call) else None
    if unless is None or not isinstance(found, ast.Call):
        lines = (f"as {phrasing.value(found)} says",)
        return "if it does not get through", StepDescription(Kind.SEND, title, lines)
    within, then = argument(found, "within"), argument(found, "then")
    label = f"{unless} within {phrasing.length(within)}" if within is not None else unless
    return label, StepDescription(Kind.SEND, title, (_channels(then, phrasing),))


def _channels(prefer: ast.expr | None, phrasing: Phrasing) -> str:
    if prefer is None or _is_none(prefer):
        return "on the channel that suits"
    found = phrasing.assigned(prefer)
    if isinstance(ready := phrasing.resolve(found), tuple):
        return f"by {', else '.join(map(str, ready))}"
    each = found.elts if isinstance(found, ast.Tuple | ast.List) else [found]
    return f"by {', else '.join(map(phrasing.value, each))}"


def _filters(call: WordCall, phrasing: Phrasing) -> list[str]:
    of, where = call.argument("of"), call.argument("where")
    lines = [f"of {phrasing.value(of)}"] if of is not None and not _is_none(of) else []
    return lines if where is None or _is_none(where) else [*lines, f"where {phrasing.filter(where)}"]


def _limit(within: ast.expr | None, phrasing: Phrasing) -> tuple[str, str]:
    """The line with the longest duration of a wait, and the label of the edge once it has passed."""
    if within is None or _is_none(within):
        return "however long it takes", ""
    length = phrasing.length(within)
    return f"for {length} at most", f"{length} passed"


def _length(call: WordCall, phrasing: Phrasing) -> str:
    length = call.argument("length")
    return phrasing.length(length) if length is not None else "a while"


def _name(call: WordCall, phrasing: Phrasing, otherwise: str) -> str:
    name = call.argument("name")
    return otherwise if name is None else phrasing.value(name)


def _noun(expression: ast.expr | None, phrasing: Phrasing) -> str:
    return "something" if expression is None else phrasing.value(expression)


def _is_none(expression: ast.expr | None) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None
