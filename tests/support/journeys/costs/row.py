"""What a word costs in one case, and what has to happen to see it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

TIMER, ACTIVITY = "timer", "activity"


@dataclass(frozen=True)
class Row:
    """One row of the table; the journey that carries it is told with it."""

    word: str
    """The word's name, as on ``Journey``."""
    case: str
    """What is special here."""
    costs: tuple[str, ...]
    """Billed actions in order, without the start, the end and the events the run is told of."""
    happens: tuple[timedelta | tuple[str, dict[str, Any]], ...] = ()
    """After the entry: time that passes, and events with their properties."""
    traits: dict[str, Any] = field(default_factory=dict)
    """Of the person, besides a yes to everything."""
    before: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Events before the entry."""
    later: timedelta = timedelta(0)
    """How long after noon it begins."""
    phone: bool = True
    """Whether there is one."""
