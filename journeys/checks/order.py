"""Checks of loops over sets: their order changes from process to process, and with it the steps of a run."""

import ast
from collections.abc import Iterator

from journeys.checks.fault import Fault
from journeys.checks.part import FunctionSource
from journeys.checks.story import Story

_MAKES = ("builtins.set", "builtins.frozenset")
_KEEP_ORDER = ("list", "tuple", "enumerate", "iter", "zip", "map", "filter", "next")
_HAVE_NO_ORDER = ("sorted", "set", "frozenset", "len", "any", "all", "min", "max", "sum", "bool")


def faults(story: Story) -> Iterator[Fault]:
    """Every loop, list and tuple that takes its order from a set."""
    for part in story.parts:
        for node in part.nodes:
            for looped in _looped(part, node):
                if _is_set(part, looped):
                    yield part.fault(
                        looped,
                        f"{ast.unparse(looped)} is a set, whose order differs from process to process, so a "
                        "replay takes other steps; write sorted(…) around it, or dict.fromkeys(…) for set(…)",
                    )


def _looped(part: FunctionSource, node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.For(iter=looped) | ast.Starred(value=looped):
            yield looped
        case ast.ListComp() | ast.DictComp():
            yield from (each.iter for each in node.generators)
        case ast.GeneratorExp():
            if not _is_call(part, part.parents.get(node), _HAVE_NO_ORDER):
                yield from (each.iter for each in node.generators)
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[looped]):
            yield looped
        case ast.Call(args=given) if _is_call(part, node, _KEEP_ORDER):
            if not _is_call(part, part.parents.get(node), _HAVE_NO_ORDER):
                yield from given
        case ast.Call(func=function, args=[looped, *_]) if part.dotted(function) == "builtins.dict.fromkeys":
            yield looped


def _is_call(part: FunctionSource, node: ast.AST | None, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Call) and part.dotted(node.func).removeprefix("builtins.") in names


def _is_set(part: FunctionSource, expression: ast.expr, deep: int = 4) -> bool:
    match expression:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=function):
            return part.dotted(function) in _MAKES
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() | ast.Sub() | ast.BitXor()) if deep:
            return _is_set(part, left, deep - 1)
        case ast.Name(id=name) if deep and part.bindings.get(name) == 1:
            given = [
                each.value
                for each in ast.walk(part.node)
                if isinstance(each, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == name for t in each.targets)
            ]
            return bool(given) and _is_set(part, given[0], deep - 1)
        case ast.Name():
            return isinstance(part.meaning(expression), set | frozenset)
    return False
