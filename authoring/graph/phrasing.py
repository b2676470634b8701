"""Expressions of a journey as phrases in plain English."""

import ast
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Any

from authoring.graph.scope import LocalNames, StoryCode
from journeys.source.reader import is_event
from journeys.vocabulary import durations
from journeys.vocabulary.durations import format_rounded_duration
from journeys.vocabulary.holds import Hold

_DURATIONS = (durations.minutes, durations.hours, durations.days, durations.weeks, timedelta)

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("is", "is not"), ast.NotEq: ("is not", "is"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("is in", "is not in"), ast.NotIn: ("is not in", "is in"),
    ast.Gt: ("is over", "is at most"), ast.GtE: ("is at least", "is under"),
    ast.Lt: ("is under", "is at least"), ast.LtE: ("is at most", "is over"),
}  # fmt: skip


class Phrasing:
    """Phrases expressions of one journey; ``names`` holds what its local names stand for so far."""

    def __init__(self, code: StoryCode, names: LocalNames | None = None) -> None:
        self._code = code
        self.names = names or LocalNames.of(code.run, code.entry)

    def resolve(self, expression: ast.expr) -> Any:
        """The global value that an expression names, also through local names; None where it is unknown."""
        found = self.assigned(expression)
        is_local = isinstance(found, ast.Name) and found.id in self.names.local
        return None if is_local else self._code.resolve(found)

    def assigned(self, expression: ast.expr) -> ast.expr:
        """The value of a local name that is assigned once; else the expression itself."""
        for _ in range(5):
            if not isinstance(expression, ast.Name) or expression.id not in self.names.assigned:
                break
            expression = self.names.assigned[expression.id]
        return expression

    def evaluate(self, expression: ast.expr, functions: Sequence[Any]) -> Any:
        """The value of a constant, or of a call of one of these functions with plain numbers; else None."""
        found = self.assigned(expression)
        if not isinstance(found, ast.Call):
            return self.resolve(found)
        function = self.resolve(found.func)
        if not any(function is each for each in functions):
            return None
        try:
            numbers = [ast.literal_eval(argument) for argument in found.args]
            return function(*numbers, **{k.arg: ast.literal_eval(k.value) for k in found.keywords if k.arg})
        except (ValueError, TypeError, ArithmeticError):
            return None

    def duration(self, length: ast.expr | None) -> timedelta | None:
        """A duration that is written out or is a constant of the module; None where it is computed."""
        found = None if length is None else self.evaluate(length, _DURATIONS)
        return found if isinstance(found, timedelta) else None

    def length(self, length: ast.expr) -> str:
        """A duration in words; as it is written where it is computed."""
        found = self.duration(length)
        return _written(length) if found is None else format_rounded_duration(found)

    def event(self, kind: ast.expr) -> str:
        """An event class by its event's name."""
        found = self.resolve(kind)
        return found.event_name if is_event(found) and found.event_name else ast.unparse(kind)

    def events_of(self, kinds: Sequence[ast.expr]) -> list[str]:
        """Event classes, and tuples of them with a star or without."""
        names = []
        for kind in kinds:
            written = self.assigned(kind.value if isinstance(kind, ast.Starred) else kind)
            found = self.resolve(written)
            if isinstance(written, ast.Tuple | ast.List):
                names += self.events_of(written.elts)
            elif isinstance(found, tuple) and found and all(map(is_event, found)):
                names += [each.event_name for each in found]
            else:
                names.append(self.event(written))
        return names

    def any_of(self, kinds: ast.expr) -> str:
        """The same as one phrase: "A, B or C"."""
        *others, last = self.events_of([kinds]) or ["any event"]
        return f"{', '.join(others)} or {last}" if others else last

    def hold(self, case: ast.expr) -> str:
        """A case that holds marketing back."""
        found = self.resolve(case)
        return found.says if isinstance(found, Hold) else self.value(case)

    def value(self, expression: ast.expr) -> str:
        """Return a value as a noun, or as its code where there is no noun."""
        match expression:
            case ast.Await(value=value) | ast.Starred(value=value):
                return self.value(value)
            case ast.NamedExpr(target=target):
                return self.value(target)
            case ast.JoinedStr(values=parts):
                return "".join(self._part(part) for part in parts)
            case ast.IfExp(body=body, orelse=other):
                return " or ".join(dict.fromkeys([self.value(body), self.value(other)]))
            case ast.Name(id=name):
                return self._name(expression)
            case ast.Attribute(value=ast.Name(id="self"), attr="cart"):
                return "the cart"
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr="cart"), attr=name):
                return f"the cart's {name}"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if possessive := self.names.possessive(
                owner
            ):
                return f"{possessive} {name}"
            case ast.Tuple(elts=[only]) | ast.List(elts=[only]):
                return self.value(only)
            case ast.Subscript(
                value=whole, slice=ast.Slice(lower=None, upper=ast.expr() as upper, step=None)
            ):
                return f"{self.value(whole)}, {self.value(upper)} at most"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="suggestions")):
                return "the suggestions"
            case ast.BoolOp(op=op, values=values):
                return (" or " if isinstance(op, ast.Or) else " and ").join(self.value(one) for one in values)
        return self._plain(expression)

    def condition(self, test: ast.expr, holds: bool = True) -> str:
        """A condition, or its opposite."""
        match test:
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self.condition(value, holds)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self.condition(inner, not holds)
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(None)]):
                there = isinstance(op, ast.IsNot) is holds
                return self.condition(left, there) if self.names.result(left) else (
                    f"{self.value(left)} is {'there' if there else 'missing'}"
                )  # fmt: skip
            case ast.Name(id=name) if condition := self.names.condition(name, holds):
                return condition
            case ast.Attribute(value=ast.Name(id="self"), attr="cart"):
                return "the cart has items" if holds else "the cart is empty"
            case ast.BoolOp(op=op, values=values):
                either = isinstance(op, ast.Or) is holds
                return (" or " if either else " and ").join(self.condition(each, holds) for each in values)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"{self.value(left)} {_COMPARISONS[type(op)][not holds]} {self.value(right)}"
            case ast.Compare(left=left, ops=ops, comparators=rest) if holds:
                pairs = (
                    f"{_COMPARISONS[type(op)][0]} {self.value(it)}" for op, it in zip(ops, rest, strict=True)
                )
                return " ".join([self.value(left), *pairs])
            case ast.Call(func=ast.Name(id="isinstance"), args=[it, kind]) if holds:
                it_is = "it was" if self.names.result(it) else f"{self.value(it)} is"
                return f"{it_is} {self.any_of(kind)}"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner_phrase := self.names.owner(
                owner
            ):
                return f"{owner_phrase} has {'' if holds else 'no '}{name}"
        return self.value(test) if holds else f"not {self.value(test)}"

    def each(self, target: ast.expr, of: ast.expr) -> str:
        """Return a loop as a phrase: what it iterates over, or how often."""
        match of:
            case ast.Call(func=ast.Name("range"), args=[times]):
                return f"{self.value(times)} times"
        return f"for each {ast.unparse(target)} of {self.value(of)}"

    def filter(self, test: ast.expr) -> str:
        """Return a filter as a phrase: the condition of a lambda, the name of another function."""
        return self._inside(test).condition(test.body) if isinstance(test, ast.Lambda) else ast.unparse(test)

    def key(self, computed: ast.expr) -> str:
        """Return the computation of a key or a score: the body of a lambda, the name of another function."""
        if isinstance(computed, ast.Lambda):
            return self._inside(computed).value(computed.body)
        return ast.unparse(computed)

    def _inside(self, function: ast.Lambda) -> "Phrasing":
        """Return phrasing for the body of a lambda, with its parameter called "it"."""
        return Phrasing(self._code, self.names.inside([argument.arg for argument in function.args.args]))

    def _name(self, name: ast.Name) -> str:
        if noun := self.names.noun(name.id):
            return noun
        found = self.assigned(name)
        if isinstance(found, ast.Constant | ast.JoinedStr):
            return self.value(found)
        if isinstance(found, ast.IfExp) and all(
            isinstance(e, ast.Constant) for e in (found.body, found.orelse)
        ):
            return self.value(found)
        return self._plain(name)

    def _plain(self, expression: ast.expr) -> str:
        found = self.resolve(expression) if not isinstance(expression, ast.Call) else None
        if isinstance(found, Enum):
            return str(found.value)
        if isinstance(found, str | int | float) and not isinstance(found, bool):
            return str(found)
        return _written(expression)

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.FormattedValue) and not isinstance(part.value, ast.Constant):
            return "{" + _written(part.value) + "}"
        found = part.value if isinstance(part, ast.FormattedValue) else part
        return str(found.value) if isinstance(found, ast.Constant) else ast.unparse(found)


def _written(expression: ast.expr) -> str:
    return ast.unparse(expression).replace("self.", "")
