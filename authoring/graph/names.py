"""What the local names of a story stand for, at the place that is being read."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from authoring.graph.result import Result
from journeys.checks.source import Function

_SEVERAL = ("list", "tuple", "Sequence", "set", "frozenset", "Iterable")


@dataclass(slots=True)
class Names:
    """Local names of the function that is being read; those of its caller where a call put them into it."""

    entry: str
    local: frozenset[str]
    given: Mapping[str, ast.expr]
    """What those names were given that are given one value only."""
    its: frozenset[str] = frozenset()
    """Parameters of a lambda: what it is given is "it"."""
    results: dict[str, Result] = field(default_factory=dict)
    several: set[str] = field(default_factory=set)
    """Names of collections."""
    each: set[str] = field(default_factory=set)
    """Names that a loop gives to one thing after another."""

    @classmethod
    def of(cls, story: Function, entry: str) -> "Names":
        """Names of a story itself."""
        parameters = {each.arg for each in ast.walk(story.args) if isinstance(each, ast.arg)} - {"self"}
        return cls(entry, _local(story.body) | parameters, _given(story.body, parameters))

    def within(self, body: Sequence[ast.stmt], parameters: frozenset[str]) -> "Names":
        """Names inside a method; its own are others than those around its call."""
        other = _local(body) | parameters
        return Names(
            "" if self.entry in other else self.entry,
            self.local | other,
            {name: value for name, value in self.given.items() if name not in other}
            | _given(body, parameters),
            results={name: result for name, result in self.results.items() if name not in other},
            several=self.several - other,
            each=self.each - other,
        )

    def inside(self, parameters: Sequence[str]) -> "Names":
        """Names inside a lambda."""
        results = {name: result for name, result in self.results.items() if name not in parameters}
        return replace(self, its=frozenset(parameters), results=results)

    def learn(self, name: str, result: Result | None, *, several: bool = False) -> None:
        """From here on this name stands for that result, or for nothing known."""
        self.results.pop(name, None)
        self.several.discard(name)
        self.each.discard(name)
        if result is not None:
            self.results[name] = result
        if several:
            self.several.add(name)

    def noun(self, name: str) -> str:
        """What a name is called where it is known; else empty."""
        if name in self.its:
            return "it"
        if name in self.results:
            return self.results[name].name
        if name in self.each:
            return f"the {name}"
        return "the entry" if name == self.entry else ""

    def who(self, name: str) -> str:
        """A name as the owner of something; empty for what is not local."""
        if name in self.results:
            named = self.results[name].name
            return named if named == "the person" else f"the {name}"
        noun = self.noun(name)
        return noun or (f"the {name}" if name in self.local else "")

    def whose(self, name: str) -> str:
        """The same in the genitive: "the item's"."""
        who = self.who(name)
        if who == "it":
            return "its"
        return who and f"{who}{chr(39) if who.endswith('s') else chr(39) + 's'}"

    def said(self, name: str, holds: bool) -> str:
        """A name as a condition, where it is known; else empty."""
        if name in self.results:
            return self.results[name].said[0 if holds else 1]
        if name in self.several:
            return f"{'any' if holds else 'no'} {name}"
        return ""


def is_several(value: ast.expr, function: Function | None) -> bool:
    """Whether a value is a collection, as far as it can be told."""
    if function is not None and function.returns is not None:
        return ast.unparse(function.returns).partition("[")[0].rpartition(".")[2] in _SEVERAL
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("sorted", "list", "tuple")
    return isinstance(value, ast.ListComp | ast.List | ast.Tuple)


def stored(body: Sequence[ast.AST]) -> list[str]:
    """Names that are given a value in this code, as often as they are."""
    names = []
    for node in nodes(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.append(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.append(name)
    return names


def nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All of this code, without the bodies of functions inside it."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield node
            yield from nodes(list(ast.iter_child_nodes(node)))


def _local(body: Sequence[ast.AST]) -> frozenset[str]:
    return frozenset(stored(body))


def _given(body: Sequence[ast.AST], parameters: Iterable[str]) -> dict[str, ast.expr]:
    once = Counter([*stored(body), *parameters])
    return {
        node.targets[0].id: node.value
        for node in nodes(body)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        and once[node.targets[0].id] == 1
    }  # fmt: skip
