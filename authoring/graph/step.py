"""What a picture says of one word, and the arguments of its call."""

import ast
from dataclasses import dataclass

from authoring.graph.flow import Kind
from authoring.graph.result import Arm, Result


@dataclass(frozen=True, slots=True)
class Step:
    """What a step will say, and what a story can learn from it."""

    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    holds: str = ""
    """This and what follows as in ``Result``; without it the step has no result to split at."""
    fails: str = ""
    said: tuple[str, str] = ("", "")
    cases: frozenset[str] = frozenset()
    name: str = ""
    """What its result is called; the title when left out."""
    arms: tuple[Arm, ...] = ()
    drawn: bool = False
    otherwise: "tuple[str, Step] | None" = None
    """A second step, and when it is taken."""

    def result(self, node: str, beside: str = "") -> Result | None:
        """What came of it, at this node."""
        if not (self.holds or self.name):
            return None
        return Result(
            node=node,
            name=self.name or self.title,
            holds=self.holds,
            fails=self.fails,
            said=self.said,
            cases=self.cases,
            arms=self.arms,
            drawn=self.drawn,
            beside=beside,
        )


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument of a call, or None where it is left out."""
    if position is not None and position < len(call.args):
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def is_none(expression: ast.expr | None) -> bool:
    """Whether it says None."""
    return isinstance(expression, ast.Constant) and expression.value is None
