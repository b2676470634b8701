"""Every small change to a module's source that some unit test should notice."""

import ast
import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

Node = ast.AST

_COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.RShift: ast.LShift,
}
_OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_TEXT_CALLS = frozenset({"strip", "lstrip", "rstrip", "lower", "upper", "casefold", "removeprefix"})
_TESTED = (ast.If, ast.While, ast.IfExp)


class Mutant(NamedTuple):
    """One change of one module."""

    module: str
    function: str
    """Qualified name of the outermost function; empty: the module's own level."""
    line: int
    what: str
    tree: Callable[[], ast.Module]

    def __str__(self) -> str:
        return f"{self.module}:{self.function or '-'}: {self.what}"


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """All mutants of a module, each with one change; what types, decorators and docstrings say stays."""
    tree = ast.parse(source)
    seen: dict[str, int] = {}
    for function, path in _sites(tree, "", ()):
        node = _at(tree, path)
        line = next((n for n in (_line(_at(tree, path[:end])) for end in range(len(path), 0, -1)) if n), 0)
        for what, changed in _changes(node):
            seen[f"{function}:{what}"] = number = seen.get(f"{function}:{what}", 0) + 1
            name = what if number == 1 else f"{what} ({number})"
            yield Mutant(module, function, line, name, partial(_replaced, tree, path, changed))


Path = tuple[tuple[str, int | None], ...]


def _sites(node: Node, function: str, path: Path) -> Iterator[tuple[str, Path]]:
    yield function, path
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment", "bases"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(child, ast.AST) and not _is_left_alone(child, node, name):
                yield from _sites(child, _inside(function, node, name, child), (*path, (name, index)))


def _inside(function: str, node: Node, field: str, child: Node) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and field == "args":
        return ""  # defaults are evaluated where the function is defined
    if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and (not function or function[0] == "."):
        return f"{function}.{child.name}".lstrip(".")
    if isinstance(child, ast.ClassDef) and not function:
        return f".{child.name}"
    return function


def _is_left_alone(child: Node, parent: Node, field: str) -> bool:
    if isinstance(child, ast.Import | ast.ImportFrom | ast.arg | ast.JoinedStr) and field != "values":
        return not isinstance(child, ast.JoinedStr)
    if isinstance(parent, ast.JoinedStr | ast.FormattedValue):
        return isinstance(child, ast.Constant | ast.JoinedStr)
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True  # a docstring
    if isinstance(parent, ast.Call) and field == "args" and _name(parent.func) in ("cast", "TypeVar"):
        return True
    return isinstance(child, ast.Assign) and isinstance(parent, ast.Module) and _names_types(child)


def _names_types(assign: ast.Assign) -> bool:
    name = _name(assign.targets[0])
    return name in ("__all__", "T") or (name[:1].isupper() and not name.isupper())


def _name(node: Node) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _changes(node: Node) -> Iterator[tuple[str, Node]]:
    """Descriptions of changes, and what stands there then."""
    match node:
        case ast.Compare():
            for index, op in enumerate(node.ops):
                for other in _COMPARISONS.get(type(op), ()):
                    ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                    yield _said(node, _like(node, ops=ops))
        case ast.BoolOp():
            yield _said(node, _like(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or()))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield _said(node, node.operand)
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield _said(node, _like(node, op=_ARITHMETIC[type(node.op)]()))
        case ast.Constant():
            yield from _constants(node)
        case ast.Call():
            yield from _calls(node)
        case ast.Return(value=value) if value is not None:
            if not (isinstance(value, ast.Constant) and value.value is None):
                yield _said(node, _like(node, value=ast.Constant(None)))
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield f"{ast.unparse(node)} → gone", ast.Pass()
        case ast.Assign() | ast.AnnAssign() if node.value is not None:
            if not (isinstance(node.value, ast.Constant) and node.value.value is None):
                yield _said(node, _like(node, value=ast.Constant(None)))
        case ast.Continue():
            yield "continue → break", ast.Break()
        case ast.Break():
            yield "break → continue", ast.Continue()
        case ast.comprehension() if node.ifs:
            for index, test in enumerate(node.ifs):
                ifs = [*node.ifs[:index], *node.ifs[index + 1 :]]
                yield f"if {ast.unparse(test)} → gone", _like(node, ifs=ifs)
        case ast.Match() if len(node.cases) > 1:
            for index, case in enumerate(node.cases):
                cases = [*node.cases[:index], *node.cases[index + 1 :]]
                yield f"case {ast.unparse(case.pattern)} → gone", _like(node, cases=cases)
        case ast.match_case(guard=ast.expr() as guard):
            yield f"if {ast.unparse(guard)} → gone", _like(node, guard=None)
    if isinstance(node, _TESTED) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield f"if {ast.unparse(node.test)} → not", _like(node, test=ast.UnaryOp(ast.Not(), node.test))


def _constants(node: ast.Constant) -> Iterator[tuple[str, Node]]:
    match node.value:
        case bool() as value:
            yield _said(node, ast.Constant(not value))
        case int() | float() as value:
            yield _said(node, ast.Constant(value + 1))
            if value:
                yield _said(node, ast.Constant(value - 1))
        case str() as value:
            yield _said(node, ast.Constant(f"XX{value}XX" if value else "XX"))


def _calls(node: ast.Call) -> Iterator[tuple[str, Node]]:
    if isinstance(node.func, ast.Name) and node.func.id in _OPPOSITES:
        yield _said(node, _like(node, func=ast.Name(_OPPOSITES[node.func.id], ast.Load())))
    if isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT_CALLS:
        yield _said(node, node.func.value)
    if (
        len(node.args) > 1
        and _name(node.func) not in _OPPOSITES
        and not any(isinstance(one, ast.Starred) for one in node.args[:2])
    ):
        yield _said(node, _like(node, args=[node.args[1], node.args[0], *node.args[2:]]))
    for keyword in node.keywords:
        keywords = [one for one in node.keywords if one is not keyword]
        yield _said(node, _like(node, keywords=keywords))


def _said(before: Node, after: Node) -> tuple[str, Node]:
    return f"{_short(before)} → {_short(after)}", after


def _short(node: Node) -> str:
    return " ".join(ast.unparse(node).split())


def _like(node: Node, **changed: object) -> Node:
    given = dict(ast.iter_fields(node)) | changed
    return ast.copy_location(type(node)(**given), node)


def _line(node: Node) -> int:
    return getattr(node, "lineno", 0)


def _at(tree: Node, path: Path) -> Node:
    for name, index in path:
        found = getattr(tree, name)
        tree = found if index is None else found[index]
    return tree


def _replaced(tree: ast.Module, path: Path, changed: Node) -> ast.Module:
    result = copy.deepcopy(tree)
    *outer, (name, index) = path
    parent = _at(result, tuple(outer))
    new = ast.copy_location(copy.deepcopy(changed), _at(result, path))
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new
    return ast.fix_missing_locations(result)
