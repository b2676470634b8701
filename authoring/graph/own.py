"""The author's own methods that a story runs: which calls lead into one, and what it says at that call."""

import ast
import copy
from dataclasses import dataclass

from authoring.graph.code import Code
from authoring.graph.names import nodes, stored
from authoring.graph.steps import word_of
from journeys.checks.source import Function

_ELSEWHERE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)

_MOST, _DEEPEST = 60, 8
"""Methods drawn where they are called, in one picture and in one another; further ones stand as calls."""


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """A method as one call runs it, the call's arguments in place of its parameters."""

    body: list[ast.stmt]
    parameters: frozenset[str]
    """Those of its parameters that keep their names."""


class OwnMethods:
    """The functions of one journey's author."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._left = _MOST
        self._inside: list[Function] = []

    def called(self, call: ast.AST) -> Function | None:
        """The function to be drawn in place of a call; None for other calls, and for one within itself."""
        function = self._named(call)
        if function is None or function in self._inside:
            return None
        return function if self._left > 0 and len(self._inside) < _DEEPEST else None

    def enter(self, function: Function) -> None:
        """From here on its body is read."""
        self._inside.append(function)
        self._left -= 1

    def leave(self) -> None:
        """Its body has been read."""
        self._inside.pop()

    def takes_time(self, node: ast.AST) -> bool:
        """Whether a step of the story is in it; the bodies of functions inside it are other stories."""
        if isinstance(node, _ELSEWHERE):
            return False
        if (function := self.called(node)) is not None:
            if self._has_steps(function):
                return True
        elif word_of(node) or (isinstance(node, ast.Await) and self.called(node.value) is None):
            return True
        return any(map(self.takes_time, ast.iter_child_nodes(node)))

    def matters(self, node: ast.AST) -> bool:
        """Whether a picture shows anything of it: a step, or a way out."""
        if isinstance(node, _ELSEWHERE):
            return False
        return (
            isinstance(node, _LEAVES)
            or self.takes_time(node)
            or any(map(self.matters, ast.iter_child_nodes(node)))
        )

    def _named(self, call: ast.AST) -> Function | None:
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                return self._code.methods.get(name)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                given = [*args, *(each.value for each in keywords)]
                if any(isinstance(each, ast.Name) and each.id == "self" for each in given):
                    return self._code.functions.get(name)
        return None

    def _has_steps(self, function: Function) -> bool:
        waiting, seen = [function], list[Function]()
        while waiting:
            part = waiting.pop()
            if part in seen:
                continue
            seen.append(part)
            for node in nodes(told(part).body):
                if (further := self._named(node)) is not None:
                    waiting.append(further)
                elif word_of(node) or (isinstance(node, ast.Await) and self._named(node.value) is None):
                    return True
        return False


def told(function: Function, call: ast.Call | None = None) -> InlinedCall:
    """What a function says when it is called so. An argument that is more than a name or a value stays out:
    the parameter keeps its own name then."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)
    given = _defaults(function, names)
    if call is not None:
        bound = names if static or isinstance(call.func, ast.Name) else names[1:]
        given |= dict(zip(bound, call.args, strict=False))
        given |= {each.arg: each.value for each in call.keywords if each.arg}
    own = frozenset(stored(function.body))
    put = {
        name: value
        for name, value in given.items()
        if name not in own and _plain(value) and not own.intersection(_names_in(value))
    }
    if names and not static and (call is None or isinstance(call.func, ast.Attribute)):
        put[names[0]] = ast.Name("self", ast.Load())
    body = [_Put(put).visit(copy.deepcopy(each)) for each in function.body]
    parameters = frozenset(each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg))
    return InlinedCall(body, parameters.difference(put))


def _defaults(function: Function, names: list[str]) -> dict[str, ast.expr]:
    args = function.args
    given = dict(zip(reversed(names), reversed(args.defaults), strict=False))
    also = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return given | {each.arg: value for each, value in also if value is not None}


def _plain(value: ast.expr) -> bool:
    match value:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute(value=base) | ast.Subscript(value=base):
            return _plain(base)
        case ast.Tuple(elts=each) | ast.List(elts=each):
            return all(map(_plain, each))
    return False


def _names_in(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}


class _Put(ast.NodeTransformer):
    def __init__(self, put: dict[str, ast.expr]) -> None:
        self._put = put

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._put.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        inside = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        left = {name: value for name, value in self._put.items() if name not in inside}
        return ast.Lambda(node.args, _Put(left).visit(node.body))
