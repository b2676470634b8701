"""The steps inside an expression, in the order they are taken, and the ways a condition splits a story."""

import ast
from collections.abc import Callable, Iterator, Sequence

from authoring.graph.flow import Kind
from authoring.graph.names import is_several
from authoring.graph.own import OwnMethods
from authoring.graph.result import Ends, Loose, Result, is_literal
from authoring.graph.sketch import FlowBuilder
from authoring.graph.steps import other_step, step_of, word_of
from authoring.graph.words import Words
from journeys.checks.source import Function

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp

Leave = Callable[[ast.expr | None, Ends], None]
"""What to do with a value that a method returns, and the loose ends it is returned at."""

Tell = Callable[[Function, ast.Call, Ends, Leave], None]

_BY_ITSELF = (ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.NamedExpr, ast.Await)

_NOTHING = ast.Constant(None)


class Expressions:
    """Reads expressions into a sketch; ``tell`` reads the body of a method of the author's own."""

    def __init__(self, sketch: FlowBuilder, words: Words, own: OwnMethods, tell: Tell) -> None:
        self.sketch = sketch
        self.words = words
        self.own = own
        self._tell = tell
        self._last: Result | None = None

    def steps(self, expression: ast.expr | None, ends: Ends) -> Ends:
        """All steps of an expression, after these loose ends."""
        self._last = None
        if expression is None or not ends or not self.own.takes_time(expression):
            return ends
        match expression:
            case ast.Await(value=value) if not (word_of(value) or self.own.called(value)):
                return self.sketch.add_step(other_step(value, self.words), ends)[0]
            case ast.Await(value=value):
                return self.steps(value, ends)
            case ast.NamedExpr(target=target, value=value):
                ends = self.steps(value, ends)
                self.learn(target, expression)
                return ends
            case ast.IfExp(test=test, body=body, orelse=other):
                holds, fails = self.ways(test, ends)
                ends = self.steps(body, holds) + self.steps(other, fails)
                self._last = None
                return ends
            case ast.BoolOp():
                holds, fails = self.ways(expression, ends)
                self._last = None
                return holds + fails
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(expression, ends)
        for part in _parts(expression):
            ends = self.steps(part, ends)
        self._last = None
        if isinstance(expression, ast.Call) and ends:
            if (function := self.own.called(expression)) is not None:
                return self._in_place(function, expression, ends)
            if word_of(expression):
                ends, self._last = self.sketch.add_step(step_of(expression, self.words), ends)
        return ends

    def learn(self, target: ast.expr, value: ast.expr) -> None:
        """A name has been given to a value whose steps were read just now."""
        if isinstance(target, ast.Name):
            within = value.value if isinstance(value, ast.Await | ast.NamedExpr) else value
            call = within.value if isinstance(within, ast.Await) else within
            several = is_several(within, self.own.called(call))
            self.words.names.learn(target.id, self._last if word_of(call) else None, several=several)

    def ways(self, test: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        """The loose ends on which a condition holds, and those on which it does not."""
        if not ends:
            return (), ()
        match test:
            case ast.Constant(value=value):
                return (ends, ()) if value else ((), ends)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                holds, fails = self.ways(inner, ends)
                return fails, holds
            case ast.BoolOp(op=op, values=values) if self.own.takes_time(test):
                return self._one_by_one(values, ends, all_of=isinstance(op, ast.And))
            case ast.Compare(left=left, ops=[ast.NotEq() | ast.NotIn() as op], comparators=[right]):
                # Asked the other way round: "is it the store?" reads better than "is it not the store?"
                opposite = ast.Eq() if isinstance(op, ast.NotEq) else ast.In()
                holds, fails = self.ways(ast.Compare(left, [opposite], [right]), ends)
                return fails, holds
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(None)]):
                if self.own.takes_time(left) or self.fresh(left, ends):
                    holds, fails = self.ways(left, ends)
                    return (holds, fails) if isinstance(op, ast.IsNot) else (fails, holds)
            case ast.Compare(left=left, ops=[ast.Eq() | ast.In()], comparators=[right]) if is_literal(right):
                return self._arm(test, left, right, ends)
        if (function := self._asked_of_own(test)) is not None:
            return self._answers(*function, ends)
        if result := self.fresh(test, ends):
            return result.split
        ends = self.steps(test, ends)
        whole = isinstance(test, ast.Await | ast.NamedExpr) or word_of(test)
        if ends and whole and self._last and self._last.holds:
            return self._last.split
        return self._asked(test, ends)

    def fresh(self, expression: ast.expr, ends: Ends) -> Result | None:
        """What a name stands for, where the step it came from is the one just taken."""
        found = self._known(expression)
        return found if found and (found.holds or found.drawn) and ends == found.open else None

    def subject(self, subject: ast.expr, ends: Ends) -> tuple[Ends, Result | None]:
        """The steps of what a ``match`` looks at, and its result where it is one."""
        if found := self.fresh(subject, ends):
            return ends, found
        ends = self.steps(subject, ends)
        whole = isinstance(subject, ast.Await | ast.NamedExpr) or word_of(subject)
        return ends, self._last if whole and self._last and self._last.cases | set(self._last.arms) else None

    def _known(self, expression: ast.expr) -> Result | None:
        return self.words.names.results.get(expression.id) if isinstance(expression, ast.Name) else None

    def _asked(self, test: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        if not ends:
            return (), ()
        node = self.sketch.add(Kind.CHOICE, f"{self.words.condition(test)}?", (), ends)
        return (Loose(node, "yes"),), (Loose(node, "no"),)

    def _arm(self, test: ast.expr, left: ast.expr, right: ast.expr, ends: Ends) -> tuple[Ends, Ends]:
        """A comparison; with an arm that was drawn it splits where it was drawn, in shares."""
        result = self._known(left)
        at_once = result is not None and ends == result.open
        if result is None:
            ends = self.steps(left, ends)
            result, at_once = self._last, True
        if not ends or result is None or not result.drawn:
            return self._asked(test, ends)
        each = right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]
        names = [self.words.value(one) for one in each]
        node = result.node if at_once else self.sketch.add(Kind.CHOICE, f"{result.name}?", (), ends)
        return (Loose(node, result.arm(*names)),), (Loose(node, result.others(*names)),)

    def _asked_of_own(self, test: ast.expr) -> tuple[Function, ast.Call] | None:
        """The method of the author's own whose answer a condition is, if its body is drawn."""
        if isinstance(test, ast.NamedExpr):
            test = test.value
        call = test.value if isinstance(test, ast.Await) else test
        function = self.own.called(call)
        if function is None or not isinstance(call, ast.Call) or not self.own.takes_time(call):
            return None
        return function, call

    def _answers(self, function: Function, call: ast.Call, ends: Ends) -> tuple[Ends, Ends]:
        """Where a method says yes, and where no; one question for all that it works out."""
        for part in _parts(call):
            ends = self.steps(part, ends)
        yes: list[Loose] = []
        no: list[Loose] = []
        open_: list[Loose] = []

        def leave(value: ast.expr | None, at: Ends) -> None:
            if value is None or isinstance(value, _BY_ITSELF) or self.fresh(value, at):
                holds, fails = self.ways(value or _NOTHING, at)
                yes.extend(holds)
                no.extend(fails)
            else:
                open_.extend(self.steps(value, at))

        self._tell(function, call, ends, leave)
        if open_:
            name = function.name.strip("_").replace("_", " ")
            title = f"any {name}?" if is_several(call, function) else f"{name}?"
            node = self.sketch.add(Kind.CHOICE, title, (), tuple(open_))
            yes.append(Loose(node, "yes"))
            no.append(Loose(node, "no"))
        return tuple(yes), tuple(no)

    def _in_place(self, function: Function, call: ast.Call, ends: Ends) -> Ends:
        left: list[Loose] = []
        self._tell(function, call, ends, lambda value, at: left.extend(self.steps(value, at)))
        self._last = None
        return tuple(left)

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
        loop = self.sketch.add(Kind.LOOP, self.words.each(first.target, first.iter), (), ends)
        inner: Ends = (Loose(loop, "next"),)
        inside = (
            (expression.key, expression.value) if isinstance(expression, ast.DictComp) else (expression.elt,)
        )
        for part in (*(test for each in expression.generators for test in each.ifs), *inside):
            inner = self.steps(part, inner)
        self.sketch.back(inner, loop)
        self._last = None
        return (Loose(loop, "done"),)


def _parts(expression: ast.expr) -> Iterator[ast.expr]:
    """The expressions directly inside one, in the order Python works them out."""
    for part in ast.iter_child_nodes(expression):
        if isinstance(part, ast.keyword):
            yield part.value
        elif isinstance(part, ast.expr):
            yield part
