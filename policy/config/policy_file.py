"""Says the policy in force value by value, as the file would say it, and where each was set."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, time, timedelta
from typing import Any, cast

from policy.config.codec import encode_value, field_types, union_members
from policy.config.toml_reader import (
    FOR_GOOD,
    NONE,
    ConfigError,
    Place,
    decode_toml,
    dotted,
    line_of,
    lines_of,
    value_at,
)
from policy.limits import Limits

_PLACE_OF_SYNTAX = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class PolicyFaults(ValueError):
    """The policy cannot be used; the message has a line for each fault."""

    def __init__(self, name: str, faults: tuple[ConfigError, ...]) -> None:
        told = "\n".join(f"  * {fault}" for fault in faults)
        super().__init__(f"{name} cannot be used:\n{told}")
        self.name = name
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force, and where each value of it was set."""

    limits: Limits = field(default_factory=Limits)
    name: str = ""
    """The file's; empty where there is none."""
    lines: dict[Place, int] = field(default_factory=dict)
    """Values that the file sets → their lines."""
    variables: dict[Place, str] = field(default_factory=dict)
    """Values that a variable of the environment sets → its name."""

    def line_of(self, place: Place) -> int | None:
        """Where the file sets a value, or the list that it is a part of; None: it is a default."""
        return line_of(self.lines, place)

    def set_by(self, place: Place) -> str:
        """Who sets a value, in words."""
        if place in self.variables:
            return self.variables[place]
        line = self.line_of(place)
        return "default" if line is None else f"line {line}"


def read_policy(text: str, name: str = "the policy") -> Policy:
    """``Limits`` as the text overrides their defaults. An empty text overrides nothing.

    A table overrides what it names and leaves the rest at its default; a list replaces the default list.
    Raises ``PolicyFaults`` with every fault, each with its line, path, and what was expected and came.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyFaults(name, (_of_syntax(str(error), text),)) from error
    lines = lines_of(text)
    limits, faults = decode_toml(Limits(), raw, lines)
    if faults:
        raise PolicyFaults(name, tuple(faults))
    values = {place: line for place, line in lines.items() if not isinstance(value_at(raw, place), dict)}
    return Policy(limits, name, values)


def _of_syntax(said: str, text: str) -> ConfigError:
    found = _PLACE_OF_SYNTAX.search(said)
    last = text.count("\n") + (not text.endswith("\n"))
    line = int(found[1]) if found and found[1] else last
    column = f" in column {found[2]}" if found and found[2] else ""
    problem = _PLACE_OF_SYNTAX.sub("", said)
    return ConfigError(line, "", "TOML", problem, f"not TOML: {problem}{column}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force."""

    path: str
    value: str
    """As TOML."""
    set_by: str
    """A line of the file, a variable of the environment, or the default."""

    def __str__(self) -> str:
        return f"{self.path} = {self.value}"


def settings_of(policy: Policy) -> list[Setting]:
    """Every value in force, in the order in which ``Limits`` has them."""
    found = _values(policy.limits, Limits, ())
    return [
        Setting(dotted(place), in_toml(value, hint), policy.set_by(place)) for place, value, hint in found
    ]


def in_toml(value: Any, hint: Any = None) -> str:
    """A value as the file would say it."""
    match value:
        case None:
            return json.dumps(FOR_GOOD[0] if timedelta in union_members(hint) else NONE)
        case time():
            return json.dumps(value.isoformat("minutes" if not value.second else "seconds"))
        case date():
            return value.isoformat()
        case frozenset():
            return f"[{', '.join(sorted(in_toml(one) for one in value))}]"
        case tuple() | list():
            return f"[{', '.join(in_toml(one) for one in value)}]"
        case Mapping():
            return _inline({str(key): in_toml(one) for key, one in value.items()})
    if not is_dataclass(value):
        return json.dumps(encode_value(value), ensure_ascii=False)
    hints, given = (
        field_types(cast(Any, type(value))),
        [(one, getattr(value, one.name)) for one in fields(value)],
    )
    stated = [(one.name, inner) for one, inner in given if (inner, one.default) != (None, None)]
    return _inline({name: in_toml(inner, hints[name]) for name, inner in stated})


def _values(value: Any, hint: Any, place: Place) -> Iterator[tuple[Place, Any, Any]]:
    if is_dataclass(value):
        for name, inner in field_types(cast(Any, type(value))).items():
            yield from _values(getattr(value, name), inner, (*place, name))
    elif isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _values(one, None, (*place, str(key)))
    else:
        yield place, value, hint


def _inline(pairs: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{dotted((key,))} = {one}' for key, one in pairs.items())} }}" if pairs else "{}"
