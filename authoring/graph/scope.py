"""The names in a journey's code, and what they stand for at the place that is being read."""

import ast
import sys
from collections import ChainMap, Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from authoring.graph.flow import StepResult
from journeys.source.reader import (
    UNKNOWN,
    Function,
    UnreadableSource,
    positional_parameters,
    read_journey,
    resolve,
)
from journeys.vocabulary.definition import JourneyDefinition

_COLLECTIONS = ("list", "tuple", "Sequence", "set", "frozenset", "Iterable")


@dataclass(frozen=True, slots=True)
class StoryCode:
    """The code of one journey that a flow is made from. None of it is run."""

    definition: JourneyDefinition
    run: ast.AsyncFunctionDef
    declared: Mapping[str, ast.expr]
    """Arguments of ``@journey`` as written."""
    scope: Mapping[str, Any]
    """Global names of the journey's module, and of those its class derives from."""
    methods: Mapping[str, Function]
    """The author's own methods, without ``run``."""
    functions: Mapping[str, Function]
    """Functions of the journey's module."""

    @property
    def entry(self) -> str:
        """Name of the parameter for the entry event."""
        names = positional_parameters(self.run)
        return names[1] if len(names) > 1 else ""

    def resolve(self, expression: ast.expr) -> Any:
        """The constant, global value or enum member that an expression names; None where it is unknown."""
        found = resolve(expression, lambda name: self.scope.get(name, UNKNOWN))
        return None if found is UNKNOWN else found


def code_of(definition: JourneyDefinition) -> StoryCode:
    """Read a journey's code. Raises ``UnreadableSource`` with the reason and what to do."""
    try:
        source = read_journey(definition)
        methods = {name: function for name, (_, function) in source.methods.items()}
    except (OSError, SyntaxError, TypeError) as error:
        raise UnreadableSource(
            f"the code of {definition.name} cannot be read: {error}; a picture is drawn from the class as it "
            "stands in its file, so keep the class in a .py file"
        ) from error
    run = methods.pop("run", None)
    if not isinstance(run, ast.AsyncFunctionDef):
        raise UnreadableSource(
            f"{definition.name} has no `async def run(self, entry)` in its class body; write it there"
        )
    scope = ChainMap(*(dict(vars(sys.modules[each.module.module])) for each in source.classes))
    return StoryCode(definition, run, source.declared, scope, methods, source.module.functions)


@dataclass(slots=True)
class LocalNames:
    """Local names of the function that is being read, with those of its callers that it refers to."""

    entry: str
    local: frozenset[str]
    assigned: Mapping[str, ast.expr]
    """The value of each name that is assigned once."""
    lambda_parameters: frozenset[str] = frozenset()
    """Parameters of lambdas, called "it" in phrases."""
    results: dict[str, StepResult] = field(default_factory=dict)
    collections: set[str] = field(default_factory=set)
    """Names of collections."""
    loop_variables: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, run: Function, entry: str) -> "LocalNames":
        """Names of ``run``."""
        parameters = {each.arg for each in ast.walk(run.args) if isinstance(each, ast.arg)} - {"self"}
        return cls(entry, frozenset(bound_names(run.body)) | parameters, _assigned(run.body, parameters))

    def within(self, body: Sequence[ast.stmt], parameters: frozenset[str]) -> "LocalNames":
        """Names inside a method that is called here; its own names hide those of its caller."""
        other = frozenset(bound_names(body)) | parameters
        return LocalNames(
            "" if self.entry in other else self.entry,
            self.local | other,
            {name: value for name, value in self.assigned.items() if name not in other}
            | _assigned(body, parameters),
            results={name: result for name, result in self.results.items() if name not in other},
            collections=self.collections - other,
            loop_variables=self.loop_variables - other,
        )

    def inside(self, parameters: Sequence[str]) -> "LocalNames":
        """Names inside a lambda."""
        results = {name: result for name, result in self.results.items() if name not in parameters}
        return replace(self, lambda_parameters=frozenset(parameters), results=results)

    def bind(self, name: str, result: StepResult | None, *, is_collection: bool = False) -> None:
        """From here on a name stands for this result, or for something unknown."""
        self.results.pop(name, None)
        self.collections.discard(name)
        self.loop_variables.discard(name)
        if result is not None:
            self.results[name] = result
        if is_collection:
            self.collections.add(name)

    def result(self, expression: ast.expr) -> StepResult | None:
        """The result that a name stands for; None for other expressions."""
        return self.results.get(expression.id) if isinstance(expression, ast.Name) else None

    def noun(self, name: str) -> str:
        """What to call a name; empty where nothing is known of it."""
        if name in self.lambda_parameters:
            return "it"
        if name in self.results:
            return self.results[name].name
        if name in self.loop_variables:
            return f"the {name}"
        return "the entry" if name == self.entry else ""

    def owner(self, name: str) -> str:
        """A name as the owner of a property; empty for a name that is not local."""
        if name in self.results:
            result = self.results[name].name
            return result if result == "the person" else f"the {name}"
        return self.noun(name) or (f"the {name}" if name in self.local else "")

    def possessive(self, name: str) -> str:
        """Return the owner in the genitive: "the item's"."""
        owner = self.owner(name)
        if owner == "it":
            return "its"
        return owner and f"{owner}{chr(39) if owner.endswith('s') else chr(39) + 's'}"

    def condition(self, name: str, holds: bool) -> str:
        """A name as a condition; empty where nothing is known of it."""
        if name in self.results:
            return self.results[name].conditions[0 if holds else 1]
        if name in self.collections:
            return f"{'any' if holds else 'no'} {name}"
        return ""


def is_collection(value: ast.expr, function: Function | None) -> bool:
    """Whether a value certainly is a collection."""
    if function is not None and function.returns is not None:
        return ast.unparse(function.returns).partition("[")[0].rpartition(".")[2] in _COLLECTIONS
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("sorted", "list", "tuple")
    return isinstance(value, ast.ListComp | ast.List | ast.Tuple)


def bound_names(body: Sequence[ast.AST]) -> list[str]:
    """Names that are bound in this code, each as often as it is bound."""
    names = []
    for node in nodes(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.append(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.append(name)
    return names


def nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of this code, without the bodies of functions in it."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield node
            yield from nodes(list(ast.iter_child_nodes(node)))


def _assigned(body: Sequence[ast.AST], parameters: Iterable[str]) -> dict[str, ast.expr]:
    once = Counter([*bound_names(body), *parameters])
    return {
        node.targets[0].id: node.value
        for node in nodes(body)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        and once[node.targets[0].id] == 1
    }  # fmt: skip
