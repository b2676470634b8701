"""What came of a step, and the ways that lead on from it."""

import ast
from dataclasses import dataclass

Arm = tuple[str, float]
"""One arm of a draw, with its weight."""


@dataclass(frozen=True, slots=True)
class Loose:
    """A way out of a step whose other end is not known yet."""

    source: str
    label: str = ""


Ends = tuple[Loose, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step, under the name the story gives it."""

    node: str
    name: str
    """What to call it: a template, the events waited for."""
    holds: str = ""
    """Label of the way on which it is there: the event came, the message was sent."""
    fails: str = ""
    """Label of the other way; empty where there is none."""
    said: tuple[str, str] = ("", "")
    """The two as conditions."""
    cases: frozenset[str] = frozenset()
    """Labels of all that a ``match`` on it can find."""
    arms: tuple[Arm, ...] = ()
    """What was drawn from."""
    drawn: bool = False
    """Whether it is one of several arms, known or not."""
    beside: str = ""
    """A second step that is taken after some outcomes of the first, and leads on as if that had held."""

    @property
    def open(self) -> Ends:
        """The loose ends right after the step."""
        return (Loose(self.node, "else"), Loose(self.beside)) if self.beside else (Loose(self.node),)

    @property
    def split(self) -> tuple[Ends, Ends]:
        """Both ways out of the step; a wait without an end has one only."""
        return self.case(self.holds), (Loose(self.node, self.fails),) if self.fails else ()

    def case(self, label: str) -> Ends:
        """The loose ends of one case of a ``match`` on it."""
        beside = (Loose(self.beside),) if self.beside and self.holds in label.split(" or ") else ()
        return (Loose(self.node, label), *beside)

    def arm(self, *names: str) -> str:
        """Label of the way of these arms, with their share."""
        said = " or ".join(names)
        weights = dict(self.arms)
        if not weights or not all(name in weights for name in names):
            return said
        return f"{said}: {sum(weights[name] for name in names):g} of {sum(weights.values()):g}"

    def others(self, *names: str) -> str:
        """Label of the way of all other arms."""
        left = [name for name, _ in self.arms if name not in names]
        if len(left) == 1:
            return self.arm(*left)
        return self.arm(*left).replace(" or ".join(left), "else", 1) if left else "else"


def is_literal(expression: ast.expr) -> bool:
    """Whether arms can be told from it: a value, or several."""
    if isinstance(expression, ast.Tuple | ast.List | ast.Set):
        return all(isinstance(each, ast.Constant | ast.Attribute) for each in expression.elts)
    return isinstance(expression, ast.Constant | ast.Attribute | ast.Name)
