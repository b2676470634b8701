"""Read the source code of a journey and resolve the names in it. None of the code is run."""

import ast
import builtins
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from journeys.source.vocabulary import WORDS, WordCall
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.segment import Segment
from profiles.events import Event

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.Assign | ast.AnnAssign

_VOCABULARY = "journeys.vocabulary"


class UnreadableSource(Exception):
    """The source code of a journey cannot be found or parsed."""


class _Unknown:
    """The value of an expression that cannot be known without running it."""


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class ModuleSource:
    """The source code of one module."""

    module: str
    file: str
    """From the folder that holds the package, as error messages show it."""
    tree: ast.Module
    scope: Mapping[str, Any]
    """Values of the module's global names."""

    @cached_property
    def imports(self) -> dict[str, str]:
        """Dotted origin of each name that is imported outside of functions."""
        return imported_names(self.tree)

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Functions that the module defines, by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, Function)}

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """Functions and assigned names of the module; the last of several definitions of a name."""
        return {
            name: node
            for node in self.tree.body
            if isinstance(node, Definition)
            for name in _defined_names(node)
        }


@dataclass(frozen=True)
class ClassSource:
    """The source code of one class."""

    cls: type
    module: ModuleSource
    node: ast.ClassDef


@dataclass(frozen=True)
class FunctionSource:
    """One function that a journey runs: a method, a function that one of them calls, or a filter."""

    journey: str
    module: ModuleSource
    node: Function | ast.Lambda
    receiver: str
    """Name of the parameter that holds the journey, usually ``self``; empty where there is none."""

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes in the order of the code, without blocks under ``workflow.unsafe``."""
        return tuple(self._walk(self.node))

    def _walk(self, node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.With) and any(self._is_unsafe(item.context_expr) for item in node.items):
            return
        yield node
        for child in ast.iter_child_nodes(node):
            yield from self._walk(child)

    def _is_unsafe(self, expression: ast.expr) -> bool:
        name = self.qualified_name(expression)
        return name.startswith("temporalio.workflow") and ".unsafe." in name

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.node) for child in ast.iter_child_nodes(node)}

    @cached_property
    def bindings(self) -> dict[str, int]:
        """How often each name is bound in the function, parameters counted."""
        counts: Counter[str] = Counter()
        for node in ast.walk(self.node):
            match node:
                case (
                    (ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name))
                    | (ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)))
                    | (ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)))
                    | (ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name))
                ):
                    counts[name] += 1
        return counts

    @cached_property
    def imports(self) -> dict[str, str]:
        """Dotted origin of each name that is imported in the function."""
        return {
            name: origin
            for node in ast.walk(self.node)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name, origin in imported_names(ast.Module([node], [])).items()
        }

    def resolve(self, expression: ast.expr) -> Any:
        """The constant, module-level value or enum member that an expression names, else ``UNKNOWN``."""
        return resolve(expression, self._value_of)

    def _value_of(self, name: str) -> Any:
        if name in self.bindings or name in self.imports:
            return UNKNOWN
        if name in self.module.scope:
            return self.module.scope[name]
        return getattr(builtins, name, UNKNOWN)

    def qualified_name(self, expression: ast.expr) -> str:
        """Dotted origin of what an expression names, such as ``datetime.datetime.now``; empty if unknown.

        Imports are followed, so the name under which the code uses it does not matter.
        """
        value = self.resolve(expression)
        if isinstance(value, ModuleType):
            return value.__name__
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        match expression:
            case ast.Name(id=name) if name in self.imports:
                return self.imports[name]
            case ast.Name(id=name) if name not in self.bindings:
                return self.module.imports.get(name) or _origin(value)
            case ast.Attribute(value=base, attr=name):
                return f"{owner}.{name}" if (owner := self.qualified_name(base)) else ""
            case ast.Call(func=function):
                return f"{result}()" if (result := self.qualified_name(function)) else ""
        return ""


@dataclass(frozen=True)
class JourneySource:
    """The source code of one journey: its declaration, and every function that its ``run`` reaches."""

    definition: JourneyDefinition
    module: ModuleSource
    node: ast.ClassDef

    @property
    def journey(self) -> str:
        """The journey's name."""
        return self.definition.name

    @cached_property
    def declared(self) -> dict[str, ast.expr]:
        """Arguments of ``@journey`` as written."""
        calls = [each for each in self.node.decorator_list if isinstance(each, ast.Call)]
        return {each.arg: each.value for call in calls for each in call.keywords if each.arg}

    @cached_property
    def classes(self) -> list[ClassSource]:
        """The journey's class and the author's classes that it derives from, in resolution order."""
        classes = [ClassSource(self.definition.cls, self.module, self.node)]
        for cls in self.definition.cls.__mro__[1:]:
            if cls.__module__.startswith(_VOCABULARY) or cls.__module__ == "builtins":
                continue
            try:
                classes.append(class_source(cls))
            except (OSError, SyntaxError, TypeError):
                continue  # A class that was created in another way has no code of the author to read.
        return classes

    @cached_property
    def methods(self) -> dict[str, tuple[ModuleSource, Function]]:
        """Methods of these classes, each with its module; the first class that defines one counts."""
        methods: dict[str, tuple[ModuleSource, Function]] = {}
        for each in self.classes:
            for node in each.node.body:
                if isinstance(node, Function):
                    methods.setdefault(node.name, (each.module, node))
        return methods

    @cached_property
    def run(self) -> FunctionSource | None:
        """The method ``run``; None where no class body contains it."""
        return self._method(*self.methods["run"]) if "run" in self.methods else None

    @cached_property
    def functions(self) -> tuple[FunctionSource, ...]:
        """``run``, the methods it uses and the functions of their modules that it calls, each once."""
        waiting = [self.run] if self.run else []
        functions: dict[ast.AST, FunctionSource] = {}
        while waiting:
            function = waiting.pop(0)
            if function.node not in functions:
                functions[function.node] = function
                waiting.extend(self._used_by(function))
        return tuple(functions.values())

    def _used_by(self, function: FunctionSource) -> Iterator[FunctionSource]:
        for node in function.nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == function.receiver and name:
                    if attr in self.methods:
                        yield self._method(*self.methods[attr])
                case ast.Call(func=ast.Name(id=name)) as call:
                    value, module = function.resolve(call.func), function.module
                    own = module.functions.get(name)
                    if own is not None and _is_plain(value) and value.__module__ == module.module:
                        receiver = _receiver_in(call, own, function.receiver)
                        yield FunctionSource(function.journey, module, own, receiver)

    def _method(self, module: ModuleSource, node: Function) -> FunctionSource:
        names = [] if is_static(node) else positional_parameters(node)
        return FunctionSource(self.journey, module, node, names[0] if names else "")

    def word_calls(self, *names: str) -> Iterator[tuple[FunctionSource, WordCall]]:
        """Every call of these words, by default of all, except words that the author has overridden."""
        wanted = [name for name in names or WORDS if name not in self.methods]
        for function in self.functions:
            for node in function.nodes:
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=word)) if word in wanted:
                        if name == function.receiver and name:
                            yield function, WordCall(WORDS[word], node)

    @cached_property
    def start_kinds(self) -> tuple[type[Event], ...] | None:
        """Events that start a run; None where the declaration names something else."""
        if not all(is_event(each) or isinstance(each, Segment) for each in self.definition.entries):
            return None
        return self.definition.starts_on or None


def read_journey(definition: JourneyDefinition) -> JourneySource:
    """Read a journey's source code. Raises OSError, SyntaxError or TypeError where it cannot be read."""
    own = class_source(definition.cls)
    return JourneySource(definition, own.module, own.node)


def class_source(cls: type) -> ClassSource:
    """Read a class's source code. Raises OSError, SyntaxError or TypeError where it cannot be read."""
    lines, index = inspect.findsource(cls)
    tree = ast.parse("".join(lines))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == cls.__name__]
    matching = [node for node in nodes if _first_line(node) <= index + 1 <= node.lineno]
    if not matching:
        raise OSError("its class is not in its file; keep it there under its own name")
    name = cls.__module__
    module = ModuleSource(name, display_path(inspect.getfile(cls), name), tree, vars(sys.modules[name]))
    return ClassSource(cls, module, matching[0])


def display_path(file: str, module: str) -> str:
    """A module's file from the folder that holds its package."""
    path = Path(file)
    count = module.count(".") + (2 if path.stem == "__init__" else 1)
    return "/".join(path.parts[-count:])


def imported_names(tree: ast.AST) -> dict[str, str]:
    """Dotted origin of each name that a piece of code imports outside of the functions in it."""
    names: dict[str, str] = {}
    for node in _outside_functions(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                package = each.name.partition(".")[0]
                names[each.asname or package] = each.name if each.asname else package
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def resolve(expression: ast.expr, value_of: Callable[[str], Any]) -> Any:
    """The constant, value of a name or enum member that an expression names, else ``UNKNOWN``.

    ``value_of`` looks a plain name up. Computes nothing: a call has no value here.
    """
    match expression:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return value_of(name)
        case ast.Attribute(value=base, attr=name):
            owner = resolve(base, value_of)
            if isinstance(owner, ModuleType):
                return vars(owner).get(name, UNKNOWN)
            if isinstance(owner, type) and issubclass(owner, Enum):
                return owner.__members__.get(name, UNKNOWN)
    return UNKNOWN


def is_event(value: Any) -> bool:
    """Whether a value is a class of events."""
    return isinstance(value, type) and issubclass(value, Event)


def activity_name(function: Any) -> str | None:
    """Name of the activity that a function is by ``@activity.defn``; None for other functions."""
    definition = getattr(function, "__temporal_activity_definition", None)
    return None if definition is None else str(definition.name)


def is_static(function: Function) -> bool:
    """Whether a method is decorated with ``@staticmethod``."""
    return any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)


def positional_parameters(function: Function | ast.Lambda) -> list[str]:
    """Names of the parameters that take positional arguments."""
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args)]


def _defined_names(node: Definition) -> list[str]:
    if isinstance(node, Function):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _first_line(node: ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, Function | ast.Lambda):
            yield node
            yield from _outside_functions(node)


def _origin(value: Any) -> str:
    if not callable(value):
        return ""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""


def _is_plain(function: Any) -> bool:
    """Whether a function runs within the story; an activity runs elsewhere."""
    return isinstance(function, FunctionType) and activity_name(function) is None


def _receiver_in(call: ast.Call, function: Function, receiver: str) -> str:
    """Name of the parameter through which a called function gets the journey; empty where it does not."""
    given = [
        *zip(positional_parameters(function), call.args, strict=False),
        *((each.arg, each.value) for each in call.keywords),
    ]
    for name, value in given:
        if name and receiver and isinstance(value, ast.Name) and value.id == receiver:
            return name
    return ""
