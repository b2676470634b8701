"""What a scenario says, as values, and how its faults are told: all at once, each with its line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from workers.faults import Fault


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a story."""

    line: int
    verb: str
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that a file says."""

    name: str
    story: tuple[Step, ...]
    shopper: Mapping[str, Any] = field(default_factory=dict)
    starts_at: datetime | time | None = None
    products: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    also_runs: tuple[str, ...] = ()
    effects: Mapping[str, Any] = field(default_factory=dict)


class ScenarioFaults(Fault):
    """A scenario that cannot be told; a line a fault."""

    def __init__(self, file: str, faults: list[tuple[int, str]]) -> None:
        self.faults = tuple(sorted(faults))
        listed = "".join(f"\n  {file}:{line}: {said}" for line, said in self.faults)
        super().__init__(f"this scenario cannot be told:{listed}")
