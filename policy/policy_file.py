"""Reads what the shop sets from a TOML text into ``Limits``, and says all that is wrong with it at once."""

import re
import tomllib
from dataclasses import dataclass, field

from policy.limits import Limits
from policy.toml_lines import Place, line_of, lines_of
from policy.typed_reading import Fault, decode_toml, value_at

_PLACE_OF_SYNTAX = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class PolicyFaults(ValueError):
    """The policy cannot be used; the message has a line for each fault."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
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


def _of_syntax(said: str, text: str) -> Fault:
    found = _PLACE_OF_SYNTAX.search(said)
    last = text.count("\n") + (not text.endswith("\n"))
    line = int(found[1]) if found and found[1] else last
    column = f" in column {found[2]}" if found and found[2] else ""
    problem = _PLACE_OF_SYNTAX.sub("", said)
    return Fault(line, "", "TOML", problem, f"not TOML: {problem}{column}")
