"""Scenarios in YAML: the table of verbs, and the reader, which reports faults with their lines."""

import difflib
import inspect
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from authoring.testing.shopper import Shopper
from local.time_travel import TravelError, parse_duration
from workers.errors import UserError

SCENARIO_KEYS = ("shopper", "starts_at", "products", "also_runs", "effects", "story")
"""Top-level keys of a scenario."""

SAMPLE_SCENARIO = """\
story:
  - adds: lamp
  - waits: 2h
  - buys: lamp
    where: store
"""


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One step of a scenario."""

    line: int
    verb: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """The content of a scenario file."""

    file_name: str
    story: tuple[ScenarioStep, ...]
    shopper: Mapping[str, Any] = field(default_factory=dict)
    starts_at: datetime | time | None = None
    products: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    also_runs: tuple[str, ...] = ()
    effects: Mapping[str, Any] = field(default_factory=dict)


class InvalidScenario(UserError):
    """A scenario with faults; the message has one line for each."""

    def __init__(self, file: str, faults: list[tuple[int, str]]) -> None:
        self.faults = tuple(sorted(faults))
        listed = "".join(f"\n  {file}:{line}: {said}" for line, said in self.faults)
        super().__init__(f"this scenario cannot be told:{listed}")


_EXCLUDED_METHODS = frozenset({"profile_id", "reload"})

_EXAMPLE_VALUES = {
    "timedelta": "2h",
    "datetime": "09:00",
    "quantity": "2",
    "channel": "sms",
    "order": "order-1",
}


@dataclass(frozen=True, slots=True)
class ShopperVerb:
    """One verb of the test kit's shopper, with the parameters that a scenario may set."""

    name: str
    positional_parameters: tuple[str, ...]
    """Parameters that may be given without a name, in order; a scenario fills the first."""
    keyword_parameters: tuple[str, ...]
    """All parameters that may be given by name."""
    required_parameters: frozenset[str]
    parameter_types: Mapping[str, Any]
    accepts_list: bool
    """Whether a list fills several positional parameters."""
    accepts_mapping: bool
    """Whether a mapping fills keyword parameters of any name."""

    def parameter_at(self, number: int) -> str:
        """Return the parameter that the value at this position fills."""
        names = self.positional_parameters
        return names[min(number, len(names) - 1)] if names else ""

    @property
    def example(self) -> str:
        """Return a line of a scenario with this verb, as an example."""
        first = self.parameter_at(0)
        kind = str(self.parameter_types.get(first, ""))
        value = next(
            (example for name, example in _EXAMPLE_VALUES.items() if name in kind or name == first), "lamp"
        )
        return f"- {self.name}: {value}" if first else f"- {self.name}"


def convert_value(text: str, kind: Any) -> Any:
    """Convert a scalar of the file to the type of a parameter. Raises ValueError with the expected form."""
    kinds = typing.get_args(kind) or (kind,)
    if typing.get_origin(kind) is typing.Literal:
        if text not in kinds:
            raise ValueError(f"expected one of {', '.join(map(str, kinds))}; got {text!r}")
        return text
    if timedelta in kinds:
        try:
            return parse_duration(text)
        except TravelError as error:
            raise ValueError(str(error)) from None
    if time in kinds or datetime in kinds:
        return _parse_time(text)
    if int in kinds:
        if not text.isdecimal():
            raise ValueError(f"expected a whole number; got {text!r}")
        return int(text)
    return text


def _parse_time(text: str) -> datetime | time:
    for read in (time.fromisoformat, datetime.fromisoformat):
        try:
            found: datetime | time = read(text)
        except ValueError:
            continue
        if isinstance(found, datetime) and found.utcoffset() is None:
            break
        return found
    raise ValueError(
        f"expected a time such as 09:00, or an instant such as 2030-06-03T09:00+02:00; got {text!r}"
    )


def _to_verb(name: str, method: Any) -> ShopperVerb:
    hints = typing.get_type_hints(method)
    parameters = [each for each in inspect.signature(method).parameters.values() if each.name != "self"]
    many = [each for each in parameters if each.kind is each.VAR_POSITIONAL]
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    first = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    return ShopperVerb(
        name=name,
        positional_parameters=tuple(each.name for each in (many or first[:1])),
        keyword_parameters=tuple(each.name for each in named),
        required_parameters=frozenset(each.name for each in first if each.default is each.empty),
        parameter_types={each.name: hints.get(each.name, Any) for each in parameters},
        accepts_list=bool(many),
        accepts_mapping=any(each.kind is each.VAR_KEYWORD for each in parameters),
    )


VERBS: dict[str, ShopperVerb] = {
    name: _to_verb(name, method)
    for kind in reversed(Shopper.__mro__)
    for name, method in vars(kind).items()
    if inspect.iscoroutinefunction(method) and not name.startswith("_") and name not in _EXCLUDED_METHODS
}
"""All verbs of a shopper, by name."""


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises ``InvalidScenario`` with all faults, ``UserError`` without a file."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}; name a scenario file, YAML or Python") from error
    return parse_scenario(text, path.name)


def parse_scenario(text: str, file: str = "scenario") -> Scenario:
    """Parse a scenario. Raises ``InvalidScenario``."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = f"no YAML: {getattr(error, 'problem', None) or error}"
        raise InvalidScenario(file, [(mark.line + 1 if mark else 1, said)]) from error
    reader = _ScenarioReader()
    scenario = reader.read_root(file, root)
    if reader.faults:
        raise InvalidScenario(file, reader.faults)
    return scenario


class _ScenarioReader:
    """Reads YAML nodes, because plain values have lost their line numbers."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, str]] = []
        self._loader = yaml.SafeLoader("")

    def read_root(self, file: str, root: Node | None) -> Scenario:
        if not isinstance(root, MappingNode):
            self._add_fault(root, f"expected a mapping with a `story`, such as:\n{SAMPLE_SCENARIO}")
            return Scenario(file, ())
        said: dict[str, Node] = {}
        for name, key, value in self._iter_pairs(root):
            said[name] = value
            if name not in SCENARIO_KEYS:
                there = f"{_suggest(name, SCENARIO_KEYS)}; it has: {', '.join(SCENARIO_KEYS)}"
                self._add_fault(key, f"there is no {name!r} in a scenario{there}")
        if "story" not in said:
            what = "a list of what the shopper does, such as `- adds: lamp`"
            self._add_fault(root, f"there is no `story`: {what}")
        return Scenario(
            file_name=file,
            story=tuple(self._read_story(said["story"])) if "story" in said else (),
            shopper=self._read_mapping(said.get("shopper"), "shopper"),
            starts_at=self._read_starts_at(said.get("starts_at")),
            products=self._read_products(said.get("products")),
            also_runs=self._read_strings(said.get("also_runs")),
            effects=self._read_mapping(said.get("effects"), "effects"),
        )

    def _read_story(self, node: Node) -> Iterator[ScenarioStep]:
        if not isinstance(node, SequenceNode) or not node.value:
            self._add_fault(node, "expected a list of what the shopper does, such as `- adds: lamp`")
            return
        for item in node.value:
            if isinstance(item, ScalarNode):
                yield from self._read_step(item, item.value, None, {})
            elif isinstance(item, MappingNode) and item.value:
                pairs = {name: (key, value) for name, key, value in self._iter_pairs(item)}
                verb = next((name for name in pairs if name in VERBS), next(iter(pairs)))
                rest = {name: value for name, (_, value) in pairs.items() if name != verb}
                yield from self._read_step(pairs[verb][0], verb, pairs[verb][1], rest)
            else:
                self._add_fault(item, "expected one thing the shopper does, such as `- adds: lamp`")

    def _read_step(
        self, at: Node, name: str, value: Node | None, rest: dict[str, Node]
    ) -> Iterator[ScenarioStep]:
        verb = VERBS.get(name)
        if verb is None:
            said = f"a shopper cannot {name!r}{_suggest(name, VERBS)}; they can: {', '.join(VERBS)}"
            self._add_fault(at, said)
            return
        named = {**rest}
        positional: list[Node] = []
        if isinstance(value, MappingNode) and verb.accepts_mapping:
            named |= {key: node for key, _, node in self._iter_pairs(value)}
        elif isinstance(value, SequenceNode) and verb.accepts_list:
            positional = list(value.value)
        elif value is not None and not _is_null(value):
            positional = [value]
        before = len(self.faults)
        self._check_arguments(at, verb, positional, named)
        arguments = tuple(
            self._read_argument(verb, verb.parameter_at(n), node) for n, node in enumerate(positional)
        )
        keywords = {key: self._read_argument(verb, key, node) for key, node in named.items()}
        if len(self.faults) == before:
            yield ScenarioStep(at.start_mark.line + 1, name, arguments, keywords)

    def _check_arguments(
        self, at: Node, verb: ShopperVerb, positional: list[Node], named: dict[str, Node]
    ) -> None:
        places, known, count = verb.positional_parameters, verb.keyword_parameters, len(positional)
        for name, node in named.items():
            if name not in known and not verb.accepts_mapping:
                there = f"{_suggest(name, known)}; it has: {', '.join(known) or 'nothing besides'}"
                self._add_fault(node, f"`{verb.name}` knows no {name!r}{there}")
        if count > len(places) and not verb.accepts_list:
            self._add_fault(at, f"`{verb.name}` takes {len(places) or 'no'} value, got {count}")
        required = verb.required_parameters - named.keys()
        if missing := [name for name in places[count:] if name in required]:
            self._add_fault(at, f"`{verb.name}` needs {' and '.join(missing)}, such as `{verb.example}`")

    def _read_argument(self, verb: ShopperVerb, name: str, node: Node) -> Any:
        kind = verb.parameter_types.get(name, Any)
        if isinstance(node, ScalarNode) and not _is_null(node):
            try:
                return convert_value(node.value, kind) if kind is not Any else self._read_value(node)
            except ValueError as error:
                self._add_fault(node, f"`{verb.name}`: {error}")
                return None
        if not isinstance(node, ScalarNode) and kind is not Any and "dict" not in str(kind):
            what = "list" if isinstance(node, SequenceNode) else "names and values"
            self._add_fault(node, f"`{verb.name}` takes one value, no {what}")
            return None
        return self._read_value(node)

    def _read_starts_at(self, node: Node | None) -> datetime | time | None:
        if node is None:
            return None
        try:
            return _parse_time(getattr(node, "value", ""))
        except (ValueError, TypeError) as error:
            self._add_fault(node, f"`starts_at`: {error}")
            return None

    def _read_products(self, node: Node | None) -> dict[str, dict[str, Any]]:
        found = self._read_mapping(node, "products")
        for name, details in found.items():
            if not isinstance(details, dict):
                example = f"`{name}: {{price: 39.0}}`"
                self._add_fault(node, f"`products`: say of {name} what it is, as in {example}")
        return found

    def _read_strings(self, node: Node | None) -> tuple[str, ...]:
        value = [] if node is None else self._read_value(node)
        return tuple(str(name) for name in (value if isinstance(value, list) else [value]))

    def _read_mapping(self, node: Node | None, what: str) -> dict[str, Any]:
        if node is None or _is_null(node):
            return {}
        if not isinstance(node, MappingNode):
            self._add_fault(node, f"`{what}`: expected names and values, as in `{{name: value}}`")
            return {}
        return {name: self._read_value(value) for name, _, value in self._iter_pairs(node)}

    def _iter_pairs(self, node: MappingNode) -> Iterator[tuple[str, Node, Node]]:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                self._add_fault(key, f"{name!r} is there twice")
            seen.add(name)
            yield name, key, value

    def _read_value(self, node: Node) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            self._add_fault(node, f"cannot be read: {error}")
            return None

    def _add_fault(self, node: Node | None, said: str) -> None:
        self.faults.append((1 if node is None else node.start_mark.line + 1, said))


def _is_null(node: Node) -> bool:
    return str(node.tag) == "tag:yaml.org,2002:null"


def _suggest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
