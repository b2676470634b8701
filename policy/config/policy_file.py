"""Reads the policy file, and lists the values in force as TOML with the source of each."""

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
    """The policy is invalid; the message has a line for each fault."""

    def __init__(self, name: str, faults: tuple[ConfigError, ...]) -> None:
        listed = "\n".join(f"  * {fault}" for fault in faults)
        super().__init__(f"{name} cannot be used:\n{listed}")
        self.name = name
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits in force, and the source of each value."""

    limits: Limits = field(default_factory=Limits)
    name: str = ""
    """The file's name; empty where there is none."""
    lines: dict[Place, int] = field(default_factory=dict)
    """Value that the file sets → its line."""
    variables: dict[Place, str] = field(default_factory=dict)
    """Value that an environment variable sets → the variable's name."""

    def line_of(self, place: Place) -> int | None:
        """Return the line at which the file sets a value or a list around it; None for a default."""
        return line_of(self.lines, place)

    def set_by(self, place: Place) -> str:
        """Return the source of a value, in words."""
        if place in self.variables:
            return self.variables[place]
        line = self.line_of(place)
        return "default" if line is None else f"line {line}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force."""

    path: str
    value: str
    """As TOML."""
    set_by: str
    """A line of the file, an environment variable, or "default"."""

    def __str__(self) -> str:
        return f"{self.path} = {self.value}"


def read_policy(text: str, name: str = "the policy") -> Policy:
    """Read a policy from TOML. Values that the text does not set keep their defaults.

    A table sets the keys that it names and leaves the others at their defaults; a list replaces the default
    list. Raises ``PolicyFaults`` with all faults, each with its line, path, expected and actual value.
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


def _of_syntax(message: str, text: str) -> ConfigError:
    position = _PLACE_OF_SYNTAX.search(message)
    last = text.count("\n") + (not text.endswith("\n"))
    line = int(position[1]) if position and position[1] else last
    column = f" in column {position[2]}" if position and position[2] else ""
    problem = _PLACE_OF_SYNTAX.sub("", message)
    return ConfigError(line, "", "TOML", problem, f"not TOML: {problem}{column}")


def settings_of(policy: Policy) -> list[Setting]:
    """Return all values in force, in the order of the fields of ``Limits``."""
    values = _values(policy.limits, Limits, ())
    return [
        Setting(dotted(place), in_toml(value, hint), policy.set_by(place)) for place, value, hint in values
    ]


def in_toml(value: Any, hint: Any = None) -> str:
    """Format a value as TOML."""
    match value:
        case None:
            return json.dumps(FOR_GOOD[0] if timedelta in union_members(hint) else NONE)
        case time():
            return json.dumps(value.isoformat("minutes" if not value.second else "seconds"))
        case date():
            return value.isoformat()
        case frozenset():
            return f"[{', '.join(sorted(in_toml(entry) for entry in value))}]"
        case tuple() | list():
            return f"[{', '.join(in_toml(entry) for entry in value)}]"
        case Mapping():
            return _inline({str(key): in_toml(entry) for key, entry in value.items()})
    if not is_dataclass(value):
        return json.dumps(encode_value(value), ensure_ascii=False)
    hints = field_types(cast(Any, type(value)))
    given = [(entry, getattr(value, entry.name)) for entry in fields(value)]
    stated = [(entry.name, inner) for entry, inner in given if (inner, entry.default) != (None, None)]
    return _inline({name: in_toml(inner, hints[name]) for name, inner in stated})


def _values(value: Any, hint: Any, place: Place) -> Iterator[tuple[Place, Any, Any]]:
    if is_dataclass(value):
        for name, inner in field_types(cast(Any, type(value))).items():
            yield from _values(getattr(value, name), inner, (*place, name))
    elif isinstance(value, Mapping) and value:
        for key, entry in value.items():
            yield from _values(entry, None, (*place, str(key)))
    else:
        yield place, value, hint


def _inline(pairs: Mapping[str, str]) -> str:
    listed = ", ".join(f"{dotted((key,))} = {value}" for key, value in pairs.items())
    return f"{{ {listed} }}" if pairs else "{}"
