"""A story's statements, read into a sketch: what follows what, and where it ends."""

import ast
from collections.abc import Sequence

from workers.graph.expressions import Expressions, takes_time
from workers.graph.flow import Kind
from workers.graph.sketch import Ends, Loop, Loose, Sketch
from workers.graph.words import Result, Words

_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_OWN_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def matters(node: ast.AST) -> bool:
    """Whether a picture shows anything of it: a step, or a way out."""
    if isinstance(node, _OWN_CODE):
        return False
    return isinstance(node, _LEAVES) or takes_time(node) or any(map(matters, ast.iter_child_nodes(node)))


class Statements:
    """Reads statements into a sketch."""

    def __init__(self, sketch: Sketch, words: Words) -> None:
        self._sketch = sketch
        self._words = words
        self._expressions = Expressions(sketch, words)

    def read(self, statements: Sequence[ast.stmt], ends: Ends) -> Ends:
        """The loose ends after these statements. What can never be reached is left out."""
        for statement in statements:
            if not ends:
                break
            if matters(statement) or isinstance(statement, ast.Assign):
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
        if isinstance(value, ast.IfExp):
            holds, fails = self._expressions.ways(value.test, ends)
            self._return(value.body, holds)
            return self._return(value.orelse, fails)
        ends = self._expressions.steps(value, ends)
        if ends:
            self._sketch.add(Kind.END, "None" if value is None else self._words.value(value), (), ends)
        return ()

    def _loop(self, loop: ast.While | ast.For | ast.AsyncFor, ends: Ends) -> Ends:
        first = len(self._sketch.nodes)
        if isinstance(loop, ast.While):
            if isinstance(loop.test, ast.Constant):
                ends = (Loose(self._sketch.add(Kind.LOOP, "again and again", (), ends)),)
            holds, fails = self._expressions.ways(loop.test, ends)
        else:
            ends = self._expressions.steps(loop.iter, ends)
            first = len(self._sketch.nodes)
            title = f"each {ast.unparse(loop.target)} of {self._words.value(loop.iter)}"
            node = self._sketch.add(Kind.LOOP, title, (), ends)
            holds, fails = (Loose(node, "next"),), (Loose(node, "done"),)
        around = Loop(again=self._sketch.nodes[first].id)
        self._sketch.loops.append(around)
        self._sketch.back(self.read(loop.body, holds), around.again)
        self._sketch.loops.pop()
        return self.read(loop.orelse, fails) + tuple(around.left)

    def _match(self, match: ast.Match, ends: Ends) -> Ends:
        ends, result = self._expressions.subject(match.subject, ends)
        if not ends:
            return ()
        node = result.node if result else self._asked(match.subject, ends)
        known = result or self._result_of(match.subject)
        left = set(known.cases) if known else {"anything else"}
        after: Ends = ()
        for case in match.cases:
            label = self._words.pattern(case.pattern, known)
            if case.guard is None:
                left -= set(self._fitting(case.pattern, label, left))
            else:
                label += f", if {self._words.condition(case.guard)}"
            after += self.read(case.body, (Loose(node, label),))
        return after + ((Loose(node, "anything else"),) if left else ())

    def _fitting(self, pattern: ast.pattern, label: str, left: set[str]) -> list[str]:
        """Which of the remaining cases a pattern uses up."""
        whole = isinstance(pattern, ast.MatchAs) and pattern.pattern is None
        return sorted(left) if whole else [case for case in left if case in label.split(" or ")]

    def _asked(self, subject: ast.expr, ends: Ends) -> str:
        known = self._result_of(subject)
        title = f"what became of {known.name}?" if known else f"{self._words.value(subject)}?"
        return self._sketch.add(Kind.CHOICE, title, (), ends)

    def _result_of(self, subject: ast.expr) -> Result | None:
        return self._words.results.get(subject.id) if isinstance(subject, ast.Name) else None

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
