"""A story's statements, read into a sketch: what follows what, and where it ends."""

import ast
from collections.abc import Sequence

from authoring.graph.expressions import Expressions, Leave
from authoring.graph.flow import Kind
from authoring.graph.names import stored
from authoring.graph.own import OwnMethods, told
from authoring.graph.patterns import label_of
from authoring.graph.result import Ends, Loose, Result
from authoring.graph.sketch import FlowBuilder, Loop
from authoring.graph.words import Words
from journeys.checks.source import Function


class Statements:
    """Reads statements into a sketch."""

    def __init__(self, sketch: FlowBuilder, words: Words, own: OwnMethods) -> None:
        self._sketch = sketch
        self._words = words
        self._own = own
        self._expressions = Expressions(sketch, words, own, self._tell)
        self._leave: Leave = self._end

    def read(self, statements: Sequence[ast.stmt], ends: Ends) -> Ends:
        """The loose ends after these statements. What can never be reached is left out."""
        for statement in statements:
            if not ends:
                break
            if self._own.matters(statement) or isinstance(statement, ast.Assign):
                ends = self._statement(statement, ends)
        return ends

    def _statement(self, statement: ast.stmt, ends: Ends) -> Ends:
        match statement:
            case ast.Return(value=value):
                return self._return(value, ends)
            case ast.Raise(exc=error):
                self._sketch.add(Kind.END, f"raises {ast.unparse(error)}" if error else "raises", (), ends)
                return ()
            case ast.Break():
                self._sketch.loops[-1].left.extend(ends)
                return ()
            case ast.Continue():
                self._sketch.back(ends, self._sketch.loops[-1].again)
                return ()
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                ends = self._expressions.steps(value, ends)
                self._expressions.learn(target, value)
                return ends
            case ast.If(test=test, body=body, orelse=other):
                holds, fails = self._expressions.ways(test, ends)
                return self.read(body, holds) + self.read(other, fails)
            case ast.While() | ast.For() | ast.AsyncFor():
                return self._loop(statement, ends)
            case ast.Match():
                return self._match(statement, ends)
            case ast.Try() | ast.TryStar():
                return self._try(statement, ends)
            case ast.With() | ast.AsyncWith():
                return self._with(statement, ends)
        for part in ast.iter_child_nodes(statement):
            if isinstance(part, ast.expr):
                ends = self._expressions.steps(part, ends)
        return ends

    def _return(self, value: ast.expr | None, ends: Ends) -> Ends:
        call = value.value if isinstance(value, ast.Await) else value
        if isinstance(value, ast.IfExp):
            holds, fails = self._expressions.ways(value.test, ends)
            self._return(value.body, holds)
            self._return(value.orelse, fails)
        elif (
            isinstance(call, ast.Call) and (function := self._own.called(call)) and self._own.takes_time(call)
        ):
            # What the method returns is what is returned here.
            for part in (*call.args, *(each.value for each in call.keywords)):
                ends = self._expressions.steps(part, ends)
            self._tell(function, call, ends, self._leave)
        elif ends:
            self._leave(value, ends)
        return ()

    def _end(self, value: ast.expr | None, ends: Ends) -> None:
        """The story ends here, with this outcome."""
        ends = self._expressions.steps(value, ends)
        if ends:
            self._sketch.add(Kind.END, "None" if value is None else self._words.value(value), (), ends)

    def _tell(self, function: Function, call: ast.Call, ends: Ends, leave: Leave) -> None:
        """Read a method of the author's own in place of its call."""
        if not ends:
            return
        inside = told(function, call)
        around, outer = self._words.names, self._leave
        self._words.names = around.within(inside.body, inside.parameters)
        self._leave = leave
        self._own.enter(function)
        left = self.read(inside.body, ends)
        if left:
            self._leave(None, left)
        self._own.leave()
        self._words.names, self._leave = around, outer

    def _loop(self, loop: ast.While | ast.For | ast.AsyncFor, ends: Ends) -> Ends:
        if isinstance(loop, ast.While):
            again, holds, fails = self._while(loop.test, ends)
        else:
            ends = self._expressions.steps(loop.iter, ends)
            title = self._words.each(loop.target, loop.iter)
            again = self._sketch.add(Kind.LOOP, title, (), ends)
            self._words.names.each |= set(stored([loop.target]))
            holds, fails = (Loose(again, "next"),), (Loose(again, "done"),)
        around = Loop(again)
        self._sketch.loops.append(around)
        self._sketch.back(self.read(loop.body, holds), around.again)
        self._sketch.loops.pop()
        return self.read(loop.orelse, fails) + tuple(around.left)

    def _while(self, test: ast.expr, ends: Ends) -> tuple[str, Ends, Ends]:
        """Where a loop begins again, and its ways on and out."""
        first = len(self._sketch.nodes)
        if isinstance(test, ast.Constant):
            again = self._sketch.add(Kind.LOOP, "again and again", (), ends)
            return again, *self._expressions.ways(test, (Loose(again),))
        if self._own.takes_time(test):
            holds, fails = self._expressions.ways(test, ends)
            if len(self._sketch.nodes) > first:
                return self._sketch.nodes[first].id, holds, fails
        again = self._sketch.add(Kind.LOOP, f"{self._words.condition(test)}?", (), ends)
        return again, (Loose(again, "yes"),), (Loose(again, "no"),)

    def _match(self, match: ast.Match, ends: Ends) -> Ends:
        ends, result = self._expressions.subject(match.subject, ends)
        if not ends:
            return ()
        node = result.node if result else self._asked(match.subject, ends)
        known = result or self._result_of(match.subject)
        every = known.cases | {known.arm(arm) for arm, _ in known.arms} if known else frozenset()
        left = set(every) or {"anything else"}
        after: Ends = ()
        for case in match.cases:
            label = self._label(case.pattern, known, left)
            if case.guard is None:
                left -= self._fitting(case.pattern, label, left, known)
            else:
                label += f", if {self._words.condition(case.guard)}"
            after += self.read(case.body, result.case(label) if result else (Loose(node, label),))
        return after + ((Loose(node, "anything else"),) if left else ())

    def _label(self, pattern: ast.pattern, known: Result | None, left: set[str]) -> str:
        whole = isinstance(pattern, ast.MatchAs) and pattern.pattern is None
        if whole and known and known.arms:
            return known.others(*(arm for arm, _ in known.arms if known.arm(arm) not in left))
        return label_of(pattern, known, self._words)

    def _fitting(self, pattern: ast.pattern, label: str, left: set[str], known: Result | None) -> set[str]:
        """Which of the remaining cases a pattern uses up."""
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
            return set(left)
        if known and known.drawn and isinstance(pattern, ast.MatchOr):
            return {label_of(each, known, self._words) for each in pattern.patterns}
        return {case for case in left if case == label or case in label.split(" or ")}

    def _asked(self, subject: ast.expr, ends: Ends) -> str:
        known = self._result_of(subject)
        title = f"what became of {known.name}?" if known else f"{self._words.value(subject)}?"
        return self._sketch.add(Kind.CHOICE, title, (), ends)

    def _result_of(self, subject: ast.expr) -> Result | None:
        return self._words.names.results.get(subject.id) if isinstance(subject, ast.Name) else None

    def _try(self, attempt: ast.Try | ast.TryStar, ends: Ends) -> Ends:
        node = self._sketch.add(Kind.CHOICE, "does it work?", (), ends) if attempt.handlers else ""
        after = self.read(attempt.body, (Loose(node, "try"),) if node else ends)
        after = self.read(attempt.orelse, after)
        for handler in attempt.handlers:
            label = f"on {ast.unparse(handler.type)}" if handler.type else "on any error"
            after += self.read(handler.body, (Loose(node, label),))
        return self.read(attempt.finalbody, after)

    def _with(self, block: ast.With | ast.AsyncWith, ends: Ends) -> Ends:
        for item in block.items:
            ends = self._expressions.steps(item.context_expr, ends)
        if isinstance(block, ast.AsyncWith):
            text = ", ".join(ast.unparse(item) for item in block.items)
            ends = (Loose(self._sketch.add(Kind.CALL, f"within {text}", (), ends)),)
        return self.read(block.body, ends)
