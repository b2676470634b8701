"""The code of one module as it stands in its file, and what the names in it mean. Nothing of it is run."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One module's code."""

    module: str
    file: str
    """As told to the author: from the folder that holds the package."""
    tree: ast.Module
    scope: Mapping[str, Any]
    """What the module's names stand for."""

    @cached_property
    def imports(self) -> dict[str, str]:
        """Dotted origin of each name that is imported outside of functions."""
        return imported(self.tree)

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The module's own functions."""
        return {node.name: node for node in self.tree.body if isinstance(node, Function)}


def source_of(cls: type) -> tuple[Source, ast.ClassDef]:
    """The code that a class stands in. Raises OSError, SyntaxError or TypeError where it cannot be read."""
    lines, index = inspect.findsource(cls)
    tree = ast.parse("".join(lines))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == cls.__name__]
    found = [node for node in nodes if _first_line(node) <= index + 1 <= node.lineno]
    if not found:
        raise OSError("its class is not in its file; keep it there under its own name")
    scope = vars(sys.modules[cls.__module__])
    return Source(cls.__module__, shown(inspect.getfile(cls), cls.__module__), tree, scope), found[0]


def shown(file: str, module: str) -> str:
    """A file as told to the author: from the folder that holds its package."""
    path = Path(file)
    count = module.count(".") + (2 if path.stem == "__init__" else 1)
    return "/".join(path.parts[-count:])


def imported(tree: ast.AST) -> dict[str, str]:
    """Dotted origin of each name that is imported in a piece of code, outside of the functions in it."""
    names: dict[str, str] = {}
    for node in _outside_functions(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                names[each.asname or each.name.partition(".")[0]] = (
                    each.name if each.asname else each.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def _first_line(node: ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, Function | ast.Lambda):
            yield node
            yield from _outside_functions(node)
