"""Expressions of a story: their steps lifted out in the order they are taken, the rest as canonical text."""

import ast
import copy
from collections.abc import Callable, Sequence
from typing import Protocol

from authoring.replay.words import Word, command, is_command, is_word, patch_of, word

_OWN_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


class StepWriter(Protocol):
    """Where steps are written to; the reader of statements."""

    def put(self, text: str, hint: str, at: ast.AST) -> None:
        """Write one line."""

    def block(self, text: str, at: ast.AST, body: Callable[[], object]) -> None:
        """Write a line and, one deeper, what the body writes."""

    def result(self) -> str:
        """A fresh name for what came of a step."""

    def own(self, call: ast.AST) -> str | None:
        """The method of the author's own that a call calls, if it takes steps."""

    def asks(self, patch: str) -> bool:
        """Whether this patch is part of the shape; the old way is taken of one that is not."""

    def keeps(self, kept: ast.expr) -> None:
        """This expression is part of the shape."""

    def called(self, method: str, call: ast.Call) -> Word:
        """A call of a method of the author's own."""


class ExpressionReader:
    """Says expressions of one function; ``names`` are its local names."""

    def __init__(self, page: StepWriter, names: dict[str, str]) -> None:
        self._page = page
        self._names = names
        self.unasked: set[str] = set()
        """Names that hold the answer of a patch which is not part of the shape."""

    def takes_steps(self, node: ast.AST) -> bool:
        """Whether a step is in it; the bodies of functions inside it are other stories."""
        if isinstance(node, _OWN_CODE):
            return False
        if isinstance(node, ast.Await) or is_word(node) or is_command(node) or self._page.own(node):
            return True
        return any(map(self.takes_steps, ast.iter_child_nodes(node)))

    def say(self, expression: ast.expr) -> str:
        """An expression without steps as text, local names by what they stand for."""
        self._page.keeps(expression)
        said = _Renamed(self._names).visit(copy.deepcopy(expression))
        return " ".join(ast.unparse(ast.fix_missing_locations(said)).split())

    def lift(self, expression: ast.expr) -> ast.expr:
        """Write its steps; returns what is left of it, each step a name for what came of it."""
        if not self.takes_steps(expression):
            return expression
        match expression:
            case ast.Await(value=value) | ast.NamedExpr(value=ast.Await(value=value)):
                target = expression.target if isinstance(expression, ast.NamedExpr) else None
                return self._step(value, expression, self._names.get(target.id) if target else None)
            case ast.Call() if is_word(expression) or is_command(expression) or self._page.own(expression):
                return self._step(expression, expression, None)
            case ast.BoolOp(op=op, values=values):
                return self._one_by_one(op, values)
            case ast.IfExp(test=test, body=body, orelse=other):
                asked = self.say(self.lift(test))
                self._page.block(f"if {asked}:", test, lambda: self.lift(body))
                self._page.block("else:", other, lambda: self.lift(other))
                return ast.Name(self._page.result(), ast.Load())
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(expression)
        return self._parts(expression)

    def asked(self, test: ast.expr) -> ast.expr | bool:
        """A condition after its steps; True or False where a patch decides it."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                found = self.asked(inner)
                return not found if isinstance(found, bool) else ast.UnaryOp(ast.Not(), found)
            case ast.BoolOp(op=ast.And() | ast.Or() as op, values=values) if any(map(self._unasked, values)):
                decides = isinstance(op, ast.Or)
                left = [value for value in values if not self._unasked(value)]
                decided = [self.asked(value) for value in values if self._unasked(value)]
                if decides in decided or not left:
                    return decides if decides in decided else not decides
                return self.asked(left[0] if len(left) == 1 else ast.BoolOp(op, left))
            case _ if self._unasked(test):
                return False
        return self.lift(test)

    def _unasked(self, test: ast.expr) -> bool:
        """Whether a condition asks, or asks the opposite, of a patch that is not part of the shape."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self._unasked(test.operand)
        if isinstance(test, ast.Name) and test.id in self.unasked:
            return True
        patch = patch_of(test)
        return patch is not None and not self._page.asks(patch)

    def _step(self, value: ast.expr, at: ast.expr, name: str | None) -> ast.expr:
        if isinstance(value, ast.Call) and (is_word(value) or is_command(value) or self._page.own(value)):
            rest = self._parts(value)
            if not isinstance(rest, ast.Call):
                raise TypeError("what is left of a call is a call")
            method = self._page.own(value)
            if is_word(value):
                said = word(rest, self.say)
            else:
                said = self._page.called(method, rest) if method else command(rest, self.say)
        else:
            rest = self.lift(value) if isinstance(value, _COMPREHENSIONS) else self._parts(value)
            said = Word(f"await {self.say(rest)}")
        name = name or self._page.result()
        self._page.put(f"{name} = {said.text}", said.hint, at)
        return ast.Name(name, ast.Load())

    def _one_by_one(self, op: ast.boolop, values: Sequence[ast.expr]) -> ast.expr:
        # As Python does it: what comes after the deciding operand is not looked at.
        first, *others = values
        left = [self.lift(first)]
        for value in others:
            if not self.takes_steps(value):
                left.append(value)
                continue
            so_far = ast.BoolOp(op, list(left)) if len(left) > 1 else left[0]
            word = "if" if isinstance(op, ast.And) else "unless"
            text = f"{word} {self.say(so_far)}:"
            self._page.block(text, value, lambda value=value: left.append(self.lift(value)))  # type: ignore[misc]
        return ast.BoolOp(op, left)

    def _comprehension(self, whole: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> ast.expr:
        loop = whole.generators[0]
        over = self.say(self.lift(loop.iter))
        inside = [whole.key, whole.value] if isinstance(whole, ast.DictComp) else [whole.elt]

        def body() -> None:
            for part in [*(test for each in whole.generators for test in each.ifs), *inside]:
                self.lift(part)

        self._page.block(f"for {self.say(loop.target)} in {over}:", whole, body)
        return ast.Name(self._page.result(), ast.Load())

    def _parts(self, expression: ast.expr) -> ast.expr:
        rest = copy.copy(expression)
        for name, part in ast.iter_fields(expression):
            if isinstance(part, ast.expr):
                setattr(rest, name, self.lift(part))
            elif isinstance(part, list):
                setattr(rest, name, [self._part(each) for each in part])
        return rest

    def _part(self, part: object) -> object:
        if isinstance(part, ast.keyword):
            return ast.keyword(part.arg, self.lift(part.value))
        return self.lift(part) if isinstance(part, ast.expr) else part


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)
