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
    return DESCRIPTIONS[call.word.name](_Step(call, phrasing))


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


class _Step:
    """The call of a word; each public method describes the calls of the word with its name."""

    def __init__(self, call: WordCall, phrasing: Phrasing) -> None:
        self._call = call
        self._argument = call.argument
        self._phrasing = phrasing

    def wait_for(self) -> StepDescription:
        """A wait; with a duration of zero it only looks back."""
        events = self._phrasing.events_of(self._call.node.args)
        title = " or ".join(events)
        came = title if len(events) == 1 else "one of them came"
        if self._phrasing.duration(self._argument("within")) == timedelta(0):
            conditions = (f"{title} had come", f"no {title} had come")
            cases = frozenset([*events, "not so far"])
            result = StepResult(title, came, "not so far", conditions, cases)
            return StepDescription(Kind.LOOK_BACK, title, tuple(self._filters()), result)
        limit, passed = self._limit()
        cases = frozenset([*events, passed] if passed else events)
        result = StepResult(title, came, passed, (f"{title} came", f"no {title} came"), cases)
        return StepDescription(Kind.WAIT, title, (*self._filters(), limit), result)

    def wait_for_all(self) -> StepDescription:
        title = " and ".join(self._phrasing.events_of(self._call.node.args))
        limit, passed = self._limit()
        cases = frozenset(["all came", passed] if passed else ["all came"])
        conditions = (f"{title} came", f"not all of {title} came")
        result = StepResult(title, "all came", passed, conditions, cases)
        return StepDescription(Kind.WAIT_ALL, title, (*self._filters(), limit), result)

    def quiet(self) -> StepDescription:
        of = self._argument("of")
        lines = (f"without {self._phrasing.any_of(of)}",) if of is not None else ()
        return StepDescription(Kind.QUIET, self._length("length", "a while"), lines)

    def sleep(self) -> StepDescription:
        return StepDescription(Kind.SLEEP, self._length("length", "a while"))

    def sleep_until(self) -> StepDescription:
        parts = []
        if (weekday := self._given("weekday")) is not None:
            day = self._phrasing.resolve(weekday)
            parts.append(day.name.capitalize() if isinstance(day, IntEnum) else self._phrasing.value(weekday))
        if (at := self._argument("at")) is not None:
            found = self._phrasing.evaluate(at, (time,))
            parts.append(f"{found:%H:%M}" if isinstance(found, time) else self._phrasing.value(at))
        return StepDescription(Kind.UNTIL, " ".join(parts) or "an hour", ("where the person lives",))

    def hold_while(self) -> StepDescription:
        limit, passed = self._limit()
        title = " or ".join(map(self._phrasing.hold, self._call.node.args)) or "something"
        fails = f"still open after {passed.removesuffix(' passed')}" if passed else ""
        conditions = (f"no {title} is open", f"{title} is still open")
        result = StepResult(title, "none is open", fails, conditions)
        return StepDescription(Kind.HOLD, title, (limit,), result)

    def forget(self) -> StepDescription:
        *others, last = self._phrasing.events_of(self._call.node.args) or ["nothing"]
        title = f"{', '.join(others)} and {last}" if others else last
        return StepDescription(Kind.FORGET, title, ("what came so far is no news",))

    def send(self) -> StepDescription:
        """A message; a fallback is a second step beside it."""
        title = self._value("template", "a message")
        lines = [_channels(self._argument("prefer"), self._phrasing)]
        nothing = _is_none(self._argument("promoting"))
        lines.append(f"promotes {'nothing' if nothing else self._value('promoting', 'something')}")
        if showing := self._value("showing"):
            lines.append(f"shows {showing}")
        if expires := self._length("expires"):
            lines.append(f"expires after {expires}")
        conditions = (f"{title} was sent", f"{title} was not sent")
        cases = frozenset({"sent", "withheld", "unknown"})
        result = StepResult(title, "sent", "not sent", conditions, cases)
        return StepDescription(Kind.SEND, title, tuple(lines), result, self._fallback(title))

    def retarget(self) -> StepDescription:
        lines = [f"for {self._value('items', 'something')}"]
        if until := self._length("until"):
            lines.append(f"{until} at most")
        return StepDescription(Kind.RETARGET, self._value("audience", "an audience"), tuple(lines))

    def opt_out(self) -> StepDescription:
        title = f"{self._value('topic', 'marketing')} by {self._value('channel', 'email')}"
        return StepDescription(Kind.OPT_OUT, title)

    def suggestions(self) -> StepDescription:
        conditions = ("there are suggestions", "there are no suggestions")
        result = StepResult("the suggestions", "some", "none", conditions)
        return StepDescription(Kind.SUGGESTIONS, f"up to {self._value('limit', '3')} items", (), result)

    def reports_deliveries(self) -> StepDescription:
        conditions = ("deliveries are reported", "no deliveries are reported")
        result = StepResult("the reports of deliveries", "yes", "no", conditions)
        return StepDescription(Kind.PROFILE, "whether the shop reports deliveries", (), result)

    def profile(self) -> StepDescription:
        kind = self._argument("kind")
        found = self._phrasing.resolve(kind) if kind is not None else Profile
        if isinstance(found, type) and issubclass(found, Profile):
            traits = ", ".join(found.declared())
            lines = (f"with {traits}",) if traits else ()
        else:
            lines = (f"as {ast.unparse(kind)}",) if kind is not None else ()
        return StepDescription(Kind.PROFILE, "the profile", lines, StepResult("the person"))

    def experiment(self) -> StepDescription:
        name = self._value("name", "an experiment")
        arms: list[Arm] = []
        for each in self._call.node.keywords:
            weights = self._phrasing.resolve(each.value)
            if each.arg is None and isinstance(weights, Mapping):
                arms += [(str(arm), weight) for arm, weight in weights.items()]
            elif each.arg not in (None, "name"):
                arms.append((str(each.arg), weights))
        return _draw(Kind.EXPERIMENT, name, arms, f"the arm of {name}")

    def choose(self) -> StepDescription:
        name, options = self._value("name", "one of several"), self._argument("options")
        if (by := self._argument("by")) is not None:
            conditions = (f"there is a {name}", f"there is no {name}")
            lines = (f"the best of {self._value('options', 'several')}", f"by {self._phrasing.key(by)}")
            return StepDescription(Kind.CHOOSE, name, lines, StepResult(name, "one", "none", conditions))
        found = self._phrasing.assigned(options) if options is not None else None
        arms: list[Arm] = []
        if isinstance(found, ast.Dict):
            pairs = zip(found.keys, found.values, strict=True)
            arms = [
                (self._phrasing.value(key), self._phrasing.resolve(weight)) for key, weight in pairs if key
            ]
        elif found is not None and isinstance(mapping := self._phrasing.resolve(found), Mapping):
            arms = [(str(key), weight) for key, weight in mapping.items()]
        return _draw(Kind.CHOOSE, name, arms, " or ".join(arm for arm, _ in arms) or name)

    def perform(self) -> StepDescription:
        lines = [f"with {self._phrasing.value(given)}" for given in self._call.node.args[1:]]
        if within := self._length("within"):
            lines.append(f"for {within} at most")
        return StepDescription(
            Kind.PERFORM, self._value("effect", "something").replace("_", " "), tuple(lines)
        )

    def _given(self, name: str) -> ast.expr | None:
        """An argument; None where it is left out or is None."""
        expression = self._argument(name)
        return None if _is_none(expression) else expression

    def _value(self, name: str, otherwise: str = "") -> str:
        expression = self._argument(name)
        return otherwise if expression is None else self._phrasing.value(expression)

    def _length(self, name: str, otherwise: str = "") -> str:
        length = self._argument(name)
        return otherwise if length is None else self._phrasing.length(length)

    def _filters(self) -> list[str]:
        of, where = self._given("of"), self._given("where")
        lines = [f"of {self._phrasing.value(of)}"] if of is not None else []
        return lines if where is None else [*lines, f"where {self._phrasing.filter(where)}"]

    def _limit(self) -> tuple[str, str]:
        """The line with the longest duration of a wait, and the label of the edge once it has passed."""
        if (within := self._given("within")) is None:
            return "however long it takes", ""
        length = self._phrasing.length(within)
        return f"for {length} at most", f"{length} passed"

    def _fallback(self, title: str) -> tuple[str, StepDescription] | None:
        """The same message on another channel, and when it is sent there."""
        if (written := self._given("fallback")) is None:
            return None
        phrasing = self._phrasing
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


DESCRIPTIONS: Mapping[str, Callable[[_Step], StepDescription]] = {
    name: method for name, method in vars(_Step).items() if not name.startswith("_")
}
"""The description of every word that is a step."""


def _draw(kind: Kind, name: str, arms: list[Arm], result_name: str) -> StepDescription:
    """A draw among arms; without weights where one of them is unknown."""
    known = all(isinstance(weight, int | float) for _, weight in arms)
    lines = (", ".join(f"{arm} {weight:g}" if known else arm for arm, weight in arms),) if arms else ()
    result = StepResult(result_name, arms=tuple(arms) if known else (), is_draw=True)
    return StepDescription(kind, name, lines, result if result_name else None)


def _channels(prefer: ast.expr | None, phrasing: Phrasing) -> str:
    if prefer is None or _is_none(prefer):
        return "on the channel that suits"
    found = phrasing.assigned(prefer)
    if isinstance(ready := phrasing.resolve(found), tuple):
        return f"by {', else '.join(map(str, ready))}"
    each = found.elts if isinstance(found, ast.Tuple | ast.List) else [found]
    return f"by {', else '.join(map(phrasing.value, each))}"


def _is_none(expression: ast.expr | None) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None
