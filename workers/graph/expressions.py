"""The steps inside an expression, in the order they are taken, and the ways a condition splits a story."""

import ast
from collections.abc import Iterator, Sequence

from workers.graph.flow import Kind
from workers.graph.sketch import Ends, Loose, Sketch
from workers.graph.steps import other_step, step_of, word_of
from workers.graph.words import Result, Words

_OWN_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


def takes_time(node: ast.AST) -> bool:
    """Whether a step of the story is in it; the bodies of functions inside it are other stories."""
    if isinstance(node, _OWN_CODE):
        return False
    if isinstance(node, ast.Await) or word_of(node):
        return True
    return any(takes_time(child) for child in ast.iter_child_nodes(node))


class Expressions:
    """Reads expressions into a sketch."""

    def __init__(self, sketch: Sketch, words: Words) -> None:
        self.sketch = sketch
        self.words = words
        self._last: Result | None = None

    def steps(self, expression: ast.expr | None, ends: Ends) -> Ends:
        """All steps of an expression, after these loose ends."""
        self._last = None
        if expression is None or not ends or not takes_time(expression):
            return ends
        match expression:
            case ast.Await(value=value) if not word_of(value):
                return self.sketch.add_step(other_step(value, self.words), ends)[0]
            case ast.Await(value=value):
                return self.steps(value, ends)
            case ast.NamedExpr(target=target, value=value):
                ends = self.steps(value, ends)
                self.words.learn(target.id, self._last)
                return ends
            case ast.IfExp(test=test, body=body, orelse=other):
                holds, fails = self.ways(test, ends)
                return self.steps(body, holds) + self.steps(other, fails)
            case ast.BoolOp():
                holds, fails = self.ways(expression, ends)
                return holds + fails
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(expression, ends)
        for part in _parts(expression):
            ends = self.steps(part, ends)
        if isinstance(expression, ast.Call) and word_of(expression):
            ends, self._last = self.sketch.add_step(step_of(expression, self.words), ends)
        return ends

    def learn(self, target: ast.expr, value: ast.expr) -> None:
        """A name has been given to a value whose steps were read just now."""
        if isinstance(target, ast.Name):
            whole = isinstance(value, ast.Await | ast.NamedExpr)
            self.words.learn(target.id, self._last if whole else None)

    def ways(self, test: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        """The loose ends on which a condition holds, and those on which it does not."""
        match test:
            case ast.Constant(value=value):
                return (ends, ()) if value else ((), ends)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                holds, fails = self.ways(inner, ends)
                return fails, holds
            case ast.BoolOp(op=op, values=values) if takes_time(test):
                return self._one_by_one(values, ends, all_of=isinstance(op, ast.And))
            case ast.Compare(left=left, ops=[ast.NotEq()], comparators=[right]):
                # Asked the other way round: "is it the store?" reads better than "is it not the store?"
                holds, fails = self.ways(ast.Compare(left, [ast.Eq()], [right]), ends)
                return fails, holds
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(None)]):
                if takes_time(left) or self.fresh(left, ends):
                    holds, fails = self.ways(left, ends)
                    return (holds, fails) if isinstance(op, ast.IsNot) else (fails, holds)
        if ends and (result := self.fresh(test, ends)):
            return _split(result)
        ends = self.steps(test, ends)
        if ends and self._last and isinstance(test, ast.Await | ast.NamedExpr):
            return _split(self._last)
        if not ends:
            return (), ()
        node = self.sketch.add(Kind.CHOICE, f"{self.words.condition(test)}?", (), ends)
        return (Loose(node, "yes"),), (Loose(node, "no"),)

    def fresh(self, expression: ast.expr, ends: Ends) -> Result | None:
        """What a name stands for, where the step it came from is the one just taken."""
        if isinstance(expression, ast.Name) and (found := self.words.results.get(expression.id)):
            return found if ends == (Loose(found.node),) else None
        return None

    def subject(self, subject: ast.expr, ends: Ends) -> tuple[Ends, Result | None]:
        """The steps of what a ``match`` looks at, and its result where it is one."""
        if found := self.fresh(subject, ends):
            return ends, found
        ends = self.steps(subject, ends)
        return ends, self._last if isinstance(subject, ast.Await | ast.NamedExpr) else None

    def _one_by_one(self, values: Sequence[ast.expr], ends: Ends, *, all_of: bool) -> tuple[Ends, Ends]:
        # As Python does it: what comes after the deciding operand is not looked at.
        decided: Ends = ()
        for value in values:
            holds, fails = self.ways(value, ends)
            ends, out = (holds, fails) if all_of else (fails, holds)
            decided += out
        return (ends, decided) if all_of else (decided, ends)

    def _comprehension(self, expression: Comprehension, ends: Ends) -> Ends:
        first = expression.generators[0]
        ends = self.steps(first.iter, ends)
        title = f"each {ast.unparse(first.target)} of {self.words.value(first.iter)}"
        loop = self.sketch.add(Kind.LOOP, title, (), ends)
        inner: Ends = (Loose(loop, "next"),)
        for part in (
            (expression.key, expression.value) if isinstance(expression, ast.DictComp) else (expression.elt,)
        ):
            inner = self.steps(part, inner)
        self.sketch.back(inner, loop)
        self._last = None
        return (Loose(loop, "done"),)


def _split(result: Result) -> tuple[Ends, Ends]:
    """Both ways out of a step; a wait without an end has one only."""
    fails = (Loose(result.node, result.fails),) if result.fails else ()
    return (Loose(result.node, result.holds),), fails


def _parts(expression: ast.expr) -> Iterator[ast.expr]:
    """The expressions directly inside one, in the order Python works them out."""
    for part in ast.iter_child_nodes(expression):
        if isinstance(part, ast.keyword):
            yield part.value
        elif isinstance(part, ast.expr):
            yield part
