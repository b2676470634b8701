"""One function of a story read into lines: its steps, and the statements that decide which are taken."""

import ast
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from authoring.replay.phrases import ExpressionReader
from authoring.replay.shape import Line
from authoring.replay.source import Function, Source
from authoring.replay.words import Word, patch_of

_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)


class ShapeBuilder(Protocol):
    """All that belongs to one shape."""

    source: Source

    def asks(self, patch: str) -> bool:
        """Whether this patch is part of the shape; the old way is taken of one that is not."""

    def calls(self, name: str, function: Function) -> None:
        """Read this function as well, once."""

    def keeps(self, kept: ast.AST) -> None:
        """Take in what an expression of the shape names: a constant or function of the module, a method."""


class FunctionReader:
    """Reads one function; of its assignments it keeps those that something kept depends on."""

    def __init__(self, book: ShapeBuilder, name: str, function: Function) -> None:
        self._book, self._name, self._function = book, name, function
        arguments = function.args
        each = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        self.parameters = [argument.arg for argument in each][1:]
        self._names = {local: f"${name}.{local}" for local in self.parameters + _assigned(function)}
        if name == "run" and self.parameters:
            self._names[self.parameters[0]] = "entry"
        self.needed: set[str] = set()
        self._lines: list[Line] = []
        self._depth = self._results = 0
        self._phrases = ExpressionReader(self, self._names)

    def lines(self) -> list[Line]:
        """Read until no further assignment turns out to matter."""
        while True:
            self._lines, self._depth, self._results = [], 0, 0
            self.block(f"{self._name}:", self._function, lambda: self._body(self._function.body))
            used = {local for local, said in self._names.items() if self._uses(said)}
            if used <= self.needed:
                return self._lines
            self.needed |= used

    def put(self, text: str, hint: str, at: ast.AST) -> None:
        self._lines.append(Line(self._depth, text, hint, getattr(at, "lineno", 0)))

    def block(self, text: str, at: ast.AST, body: Callable[[], object]) -> None:
        self.put(text, "", at)
        self._depth += 1
        body()
        self._depth -= 1

    def result(self) -> str:
        self._results += 1
        return f"${self._name}.{self._results}"

    def asks(self, patch: str) -> bool:
        return self._book.asks(patch)

    def keeps(self, kept: ast.expr) -> None:
        self._book.keeps(kept)

    def own(self, call: ast.AST) -> str | None:
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                return name if isinstance(self._book.source.method(name), ast.AsyncFunctionDef) else None
        return None

    def called(self, method: str, call: ast.Call) -> Word:
        """A call by what of its arguments the method's own shape depends on."""
        function = self._book.source.method(method)
        if function is None:
            raise LookupError(f"{method} is no method of the story; ask own first")
        self._book.calls(method, function)
        reader = FunctionReader(self._book, method, function)
        if method != self._name:
            reader.lines()
        given = [*zip(reader.parameters, call.args, strict=False)]
        given += [(keyword.arg or "", keyword.value) for keyword in call.keywords]
        kept = [f"{name}={self._phrases.say(value)}" for name, value in given if name in reader.needed]
        return Word(f"{method}({', '.join(kept)})")

    def _uses(self, said: str) -> bool:
        word = re.compile(re.escape(said) + r"(?!\w)")
        return any(word.search(line.text.removeprefix(f"{said} = ")) for line in self._lines)

    def _body(self, statements: Sequence[ast.stmt]) -> bool:
        """Read statements; True where none can be reached after them."""
        return any(self._matters(statement) and self._statement(statement) for statement in statements)

    def _matters(self, node: ast.AST) -> bool:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return node.name in self.needed
        if isinstance(node, ast.Lambda | ast.ClassDef):
            return False
        if isinstance(node, _LEAVES) or patch_of(node) or patch_of(node, "deprecate_patch"):
            return True
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in self.needed:
            return True
        return self._phrases.takes_steps(node) or any(map(self._matters, ast.iter_child_nodes(node)))

    def _statement(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Return(value=value) | ast.Raise(exc=value):
                rest = self._phrases.lift(value) if value is not None else None
                # What `run` returns is an outcome only; what a method returns may decide the next step.
                decides = rest is not None and isinstance(statement, ast.Return) and self._name != "run"
                said = f" {self._phrases.say(rest)}" if decides and rest is not None else ""
                self.put(f"{type(statement).__name__.lower()}{said}", "", statement)
                return True
            case ast.Break() | ast.Continue():
                self.put(type(statement).__name__.lower(), "", statement)
                return True
            case ast.Expr(value=value):
                self._phrases.lift(value)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assignment(statement)
            case ast.If():
                return self._if(statement)
            case ast.While() | ast.For() | ast.AsyncFor():
                self._loop(statement)
            case ast.Match():
                self._match(statement)
            case ast.Try() | ast.TryStar():
                self._try(statement)
            case ast.With() | ast.AsyncWith():
                said = ", ".join(self._said(item.context_expr) for item in statement.items)
                self.block(f"with {said}:", statement, lambda: self._body(statement.body))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.put(" ".join(ast.unparse(statement).split()), "", statement)
                self._book.keeps(statement)
        return False

    def _assignment(self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        value = statement.value
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if value is None:
            return
        first = targets[0]
        if isinstance(first, ast.Name) and (patch := patch_of(value)) and not self.asks(patch):
            self._phrases.unasked.add(first.id)
            return
        if isinstance(first, ast.Name) and isinstance(value, ast.Await) and len(targets) == 1:
            self._phrases.lift(ast.copy_location(ast.NamedExpr(first, value), value))
            return
        rest = self._phrases.lift(value)
        if any(isinstance(n, ast.Name) and n.id in self.needed for each in targets for n in ast.walk(each)):
            sign = f"{_SIGNS[type(statement.op)]}=" if isinstance(statement, ast.AugAssign) else "="
            said = " = ".join(self._phrases.say(target) for target in targets)
            self.put(f"{said} {sign} {self._phrases.say(rest)}", "", statement)

    def _if(self, choice: ast.If) -> bool:
        asked = self._phrases.asked(choice.test)
        if isinstance(asked, bool):
            return self._body(choice.body if asked else choice.orelse)
        body, other = any(map(self._matters, choice.body)), any(map(self._matters, choice.orelse))
        leaves: list[bool] = []
        if body or other:
            said = self._phrases.say(asked)
            self.block(f"if {said}:", choice, lambda: leaves.append(self._body(choice.body)))
        if other:
            self.block("else:", choice.orelse[0], lambda: leaves.append(self._body(choice.orelse)))
        return other and all(leaves)

    def _loop(self, loop: ast.While | ast.For | ast.AsyncFor) -> None:
        if isinstance(loop, ast.While):
            if self._phrases.takes_steps(loop.test):

                def again() -> None:
                    self.put(f"so long as {self._said(loop.test)}", "", loop)
                    self._body(loop.body)

                self.block("again and again:", loop, again)
            else:
                self.block(f"while {self._said(loop.test)}:", loop, lambda: self._body(loop.body))
        else:
            said = f"for {self._phrases.say(loop.target)} in {self._said(loop.iter)}:"
            self.block(said, loop, lambda: self._body(loop.body))
        if any(map(self._matters, loop.orelse)):
            self.block("else:", loop.orelse[0], lambda: self._body(loop.orelse))

    def _match(self, match: ast.Match) -> None:
        said = self._said(match.subject)

        def cases() -> None:
            for case in match.cases:
                guard = f" if {self._said(case.guard)}" if case.guard else ""
                text = f"case {ast.unparse(case.pattern)}{guard}:"
                self.block(text, case.pattern, lambda each=case: self._body(each.body))  # type: ignore[misc]

        self.block(f"match {said}:", match, cases)

    def _try(self, attempt: ast.Try | ast.TryStar) -> None:
        self.block("try:", attempt, lambda: self._body(attempt.body))
        for handler in attempt.handlers:
            kind = f" {self._said(handler.type)}" if handler.type else ""
            self.block(f"except{kind}:", handler, lambda each=handler: self._body(each.body))  # type: ignore[misc]
        for word, body in (("else:", attempt.orelse), ("finally:", attempt.finalbody)):
            if any(map(self._matters, body)):
                self.block(word, body[0], lambda each=body: self._body(each))  # type: ignore[misc]

    def _said(self, expression: ast.expr) -> str:
        return self._phrases.say(self._phrases.lift(expression))


_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Pow: "**", ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
    ast.MatMult: "@",
}  # fmt: skip


def _assigned(function: Function) -> list[str]:
    """Names the function gives values to."""
    found = [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return list(dict.fromkeys(found))
