"""Expressions of a story in plain words, as an operator would say them."""

import ast
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

from journeys.vocabulary import durations
from journeys.vocabulary.durations import in_words
from journeys.vocabulary.message import Sent, Unknown, Withheld
from profiles.events import Event
from workers.graph.code import Code

_LENGTHS = (durations.minutes, durations.hours, durations.days, durations.weeks, timedelta)
_COMPARED = {
    ast.Eq: "is", ast.NotEq: "is not", ast.Is: "is", ast.IsNot: "is not", ast.In: "is in",
    ast.NotIn: "is not in", ast.Gt: "is over", ast.GtE: "is at least", ast.Lt: "is under",
    ast.LtE: "is at most",
}  # fmt: skip
_MESSAGES = {Sent: "sent", Withheld: "withheld", Unknown: "unknown"}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step, under the name the story gives it."""

    node: str
    name: str
    """What to call it: a template, the events waited for."""
    holds: str
    """Label of the way on which it is there: the event came, the message was sent."""
    fails: str
    """Label of the other way; empty where there is none."""
    said: tuple[str, str]
    """The two as conditions."""
    cases: frozenset[str] = frozenset()
    """Labels of all that a ``match`` on it can find."""


class Words:
    """Says expressions of one story; learns on the way what its names stand for."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._owners = {code.entry: "the entry's"}
        self.results: dict[str, Result] = {}

    def event(self, kind: ast.expr) -> str:
        """An event class by its event's name."""
        found = self._code.meaning(kind)
        if isinstance(found, type) and issubclass(found, Event) and found.event_name:
            return found.event_name
        return ast.unparse(kind)

    def events(self, kinds: ast.expr) -> list[str]:
        """A tuple or list of event classes."""
        each = kinds.elts if isinstance(kinds, ast.Tuple | ast.List) else [kinds]
        return [self.event(kind) for kind in each]

    def any_of(self, kinds: ast.expr) -> str:
        """The same as one phrase: "A, B or C"."""
        *others, last = self.events(kinds) or ["any event"]
        return f"{', '.join(others)} or {last}" if others else last

    def length(self, length: ast.expr) -> str:
        """A length of time, where it is written out or is a constant of the module."""
        found = self._code.meaning(length)
        if isinstance(found, timedelta):
            return in_words(found)
        if isinstance(length, ast.Call) and self._code.meaning(length.func) in _LENGTHS:
            try:
                numbers = [ast.literal_eval(argument) for argument in length.args]
                named = {k.arg: ast.literal_eval(k.value) for k in length.keywords if k.arg}
                return in_words(self._code.meaning(length.func)(*numbers, **named))
            except (ValueError, TypeError):
                pass
        return ast.unparse(length)

    def value(self, expression: ast.expr) -> str:
        """A thing: a noun, or its code where there is no word for it."""
        match expression:
            case ast.Await(value=value):
                return self.value(value)
            case ast.NamedExpr(target=target):
                return self.value(target)
            case ast.JoinedStr(values=parts):
                return "".join(self._part(part) for part in parts)
            case ast.Name(id=name) if name in self.results:
                return self.results[name].name
            case ast.Name(id=name) if name == self._code.entry:
                return "the entry"
            case ast.Attribute(value=ast.Name(id="self"), attr="cart"):
                return "the cart"
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr="cart"), attr="items"):
                return "the cart's items"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in self._owners:
                return f"{self._owners[owner]} {name}"
            case ast.Tuple(elts=[only]):
                return self.value(only)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="suggestions")):
                return "the suggestions"
            case ast.BoolOp(op=op, values=values):
                return (" or " if isinstance(op, ast.Or) else " and ").join(self.value(one) for one in values)
        found = self._code.meaning(expression)
        if isinstance(found, Enum):
            return str(found.value)
        if isinstance(found, str | int | float) and not isinstance(found, bool):
            return str(found)
        return ast.unparse(expression).replace("self.", "")

    def condition(self, test: ast.expr, holds: bool = True) -> str:
        """A condition, or its opposite."""
        match test:
            case ast.NamedExpr(value=value):
                return self.condition(value, holds)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self.condition(inner, not holds)
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(None)]):
                there = isinstance(op, ast.IsNot) is holds
                return self.condition(left, there) if self._known(left) else (
                    f"{self.value(left)} is {'there' if there else 'missing'}"
                )  # fmt: skip
            case ast.Name(id=name) if name in self.results:
                return self.results[name].said[0 if holds else 1]
            case ast.Attribute(value=ast.Name(id="self"), attr="cart"):
                return "the cart has items" if holds else "the cart is empty"
            case ast.BoolOp(op=op, values=values) if holds:
                return (" or " if isinstance(op, ast.Or) else " and ").join(map(self.condition, values))
            case ast.Compare(left=left, ops=ops, comparators=rest) if holds:
                pairs = (f"{_COMPARED[type(op)]} {self.value(it)}" for op, it in zip(ops, rest, strict=True))
                return " ".join([self.value(left), *pairs])
            case ast.Call(func=ast.Name(id="isinstance"), args=[it, kind]) if holds:
                it_is = "it was" if self._known(it) else f"{self.value(it)} is"
                return f"{it_is} {self.any_of(kind)}"
            case ast.Attribute(value=ast.Name(id=owner)) if owner in self._owners:
                return f"{self.value(test)} is {'set' if holds else 'not set'}"
        return self.value(test) if holds else f"not {self.condition(test)}"

    def filter(self, test: ast.expr) -> str:
        """A function that lets events through: a lambda by what it asks, another by its name."""
        return self._of(test).condition(test.body) if isinstance(test, ast.Lambda) else ast.unparse(test)

    def key(self, computed: ast.expr) -> str:
        """A function that computes a key: a lambda by what it takes, another by its name."""
        if isinstance(computed, ast.Lambda):
            return self._of(computed).value(computed.body)
        return ast.unparse(computed)

    def _of(self, function: ast.Lambda) -> "Words":
        """Words inside a lambda, where an event is what it is given."""
        inside = Words(self._code)
        inside._owners = {argument.arg: "its" for argument in function.args.args}
        inside.results = {k: v for k, v in self.results.items() if k not in inside._owners}
        return inside

    def pattern(self, pattern: ast.pattern, result: Result | None) -> str:
        """What a case of a ``match`` fits."""
        match pattern:
            case ast.MatchClass(cls=cls):
                return _MESSAGES.get(self._code.meaning(cls)) or self.event(cls)
            case ast.MatchSingleton(value=None) if result:
                return result.fails or "never"
            case ast.MatchSingleton(value=value):
                return str(value)
            case ast.MatchOr(patterns=patterns):
                return " or ".join(self.pattern(one, result) for one in patterns)
            case ast.MatchValue(value=expression):
                return self.value(expression)
            case ast.MatchAs(pattern=None):
                return "anything else"
            case ast.MatchAs(pattern=ast.pattern() as inner):
                return self.pattern(inner, result)
        return ast.unparse(pattern)

    def learn(self, name: str, result: Result | None) -> None:
        """From here on this name stands for that result, or for nothing known."""
        self.results.pop(name, None)
        if result is not None:
            self.results[name] = replace(result)

    def _known(self, expression: ast.expr) -> bool:
        return isinstance(expression, ast.Name) and expression.id in self.results

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.FormattedValue):
            return "{" + ast.unparse(part.value).replace("self.", "") + "}"
        return str(part.value) if isinstance(part, ast.Constant) else ast.unparse(part)
