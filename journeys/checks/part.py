"""One function of a story: its nodes, and what the names in it mean."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from types import ModuleType
from typing import Any, Final

from journeys.checks.fault import Fault
from journeys.checks.source import Function, Source, imported


class _Unclear:
    """What a name stands for cannot be known without running the code."""


UNCLEAR: Final = _Unclear()


@dataclass(frozen=True)
class FunctionSource:
    """A method of the journey, a function that one of them calls, or a filter."""

    journey: str
    source: Source
    node: Function | ast.Lambda
    me: str
    """What it calls the journey: ``self``; empty where it does not have it."""

    def fault(self, node: ast.AST, message: str) -> Fault:
        """A fault in this line."""
        return Fault(self.journey, self.source.file, getattr(node, "lineno", self.node.lineno), message)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes in the order of the code, but for what stands outside of Temporal's rules on purpose."""
        return tuple(self._walk(self.node))

    def _walk(self, node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.With) and any(self._is_unsafe(item.context_expr) for item in node.items):
            return
        yield node
        for child in ast.iter_child_nodes(node):
            yield from self._walk(child)

    def _is_unsafe(self, expression: ast.expr) -> bool:
        name = self.dotted(expression)
        return name.startswith("temporalio.workflow") and ".unsafe." in name

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.node) for child in ast.iter_child_nodes(node)}

    @cached_property
    def bindings(self) -> dict[str, int]:
        """How often each name is given a value in here, parameters counted."""
        counts: dict[str, int] = {}
        for node in ast.walk(self.node):
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                    pass
                case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                    pass
                case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                    pass
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    pass
                case _:
                    continue
            counts[name] = counts.get(name, 0) + 1
        return counts

    @cached_property
    def imports(self) -> dict[str, str]:
        """Names imported in here."""
        return {
            name: origin
            for node in ast.walk(self.node)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name, origin in imported(ast.Module([node], [])).items()
        }

    def meaning(self, expression: ast.expr) -> Any:
        """The constant, module-level value or member of an enum that it names; UNCLEAR where it is none.

        Looks names up and computes nothing.
        """
        match expression:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name not in self.bindings and name not in self.imports:
                if name in self.source.scope:
                    return self.source.scope[name]
                return getattr(builtins, name, UNCLEAR)
            case ast.Attribute(value=base, attr=name):
                owner = self.meaning(base)
                if isinstance(owner, ModuleType):
                    return vars(owner).get(name, UNCLEAR)
                if isinstance(owner, type) and issubclass(owner, Enum):
                    return owner.__members__.get(name, UNCLEAR)
        return UNCLEAR

    def dotted(self, expression: ast.expr) -> str:
        """Where what is named comes from: ``datetime.datetime.now`` whatever it is called here; else ""."""
        value = self.meaning(expression)
        if isinstance(value, ModuleType):
            return value.__name__
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        match expression:
            case ast.Name(id=name) if name in self.imports:
                return self.imports[name]
            case ast.Name(id=name) if name not in self.bindings:
                return self.source.imports.get(name) or _origin(value)
            case ast.Attribute(value=base, attr=name):
                return f"{owner}.{name}" if (owner := self.dotted(base)) else ""
            case ast.Call(func=function):
                return f"{made}()" if (made := self.dotted(function)) else ""
        return ""


def _origin(value: Any) -> str:
    if not callable(value):
        return ""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""


def argument(call: ast.Call, name: str, place: int | None = None) -> ast.expr | None:
    """The argument of this name, or at this place; None where it is left out or cannot be told."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if place is None or any(isinstance(each, ast.Starred) for each in call.args[: place + 1]):
        return None
    return call.args[place] if place < len(call.args) else None


def spread(call: ast.Call) -> bool:
    """Whether some arguments come out of a variable (``*`` or ``**``), so that not all can be seen."""
    return any(keyword.arg is None for keyword in call.keywords) or any(
        isinstance(each, ast.Starred) for each in call.args
    )
