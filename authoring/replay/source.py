"""The code of a story as it stands in its files: its class, its own methods, and what its module defines."""

import ast
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from authoring.graph.code import Unreadable
from journeys.vocabulary import Journey

Function = ast.FunctionDef | ast.AsyncFunctionDef

Definition = Function | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Source:
    """One journey's code. Nothing of it is run; line numbers are those of its file."""

    cls: type[Journey]

    @cached_property
    def file(self) -> Path:
        """The file of the story. Raises ``Unreadable``."""
        try:
            return Path(inspect.getfile(self.cls))
        except (OSError, TypeError) as error:
            raise Unreadable(f"the file of {self.cls.__qualname__} cannot be found: {error}") from error

    @cached_property
    def story(self) -> ast.AsyncFunctionDef:
        """The author's ``run``. Raises ``Unreadable``."""
        found = self.method("run")
        if not isinstance(found, ast.AsyncFunctionDef):
            raise Unreadable(f"{self.cls.__qualname__} has no `async def run(self, entry)` in its class body")
        return found

    @cached_property
    def declared(self) -> dict[str, ast.expr]:
        """Arguments of ``@journey`` as written."""
        return {
            keyword.arg: keyword.value
            for decorator in self._classes[0].decorator_list
            if isinstance(decorator, ast.Call)
            for keyword in decorator.keywords
            if keyword.arg
        }

    def method(self, name: str) -> Function | None:
        """A method of the author's own, of the class or of a class between it and ``Journey``."""
        for node in self._classes:
            for each in node.body:
                if isinstance(each, Function) and each.name == name:
                    return each
        return None

    def defined(self, name: str) -> Definition | None:
        """A function or constant of the story's own module."""
        found: Definition | None = None
        for node in _parsed(self.file).body:
            if isinstance(node, Definition) and name in _names(node):
                found = node
        return found

    @cached_property
    def _classes(self) -> list[ast.ClassDef]:
        own = [base for base in self.cls.__mro__ if issubclass(base, Journey) and base is not Journey]
        return [_class(base) for base in own]


def _class(cls: type) -> ast.ClassDef:
    try:
        file = Path(inspect.getfile(cls))
        first = inspect.getsourcelines(cls)[1]
    except (OSError, TypeError) as error:
        raise Unreadable(
            f"the code of {cls.__qualname__} cannot be read: {error}; keep the class in a .py file"
        ) from error
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__ and _first_line(node) == first:
            return node
    raise Unreadable(f"{file} holds no class {cls.__name__} at line {first}; has it changed since the start?")


def _first_line(node: ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text("utf-8"))
    except (OSError, SyntaxError) as error:
        raise Unreadable(f"{file} cannot be read: {error}") from error


def _names(node: Definition) -> list[str]:
    """The names it gives a meaning to."""
    if isinstance(node, Function):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
