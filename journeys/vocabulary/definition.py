"""What a journey declares: its name, what starts it, its key, its endings and how often it may be entered."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from journeys.vocabulary.endings import Ending
from policy.reentry import Reentry
from profiles.events import Event

PERSON = "person"
"""``keyed_by=PERSON``: one live run per person."""

KeyedBy = str | Callable[[Any], str | None]


@dataclass(frozen=True)
class JourneyDefinition:
    """One journey as declared; routing and the worker go by it."""

    name: str
    cls: type
    starts_on: tuple[type[Event], ...]
    keyed_by: KeyedBy
    ends_on: tuple[Ending, ...]
    reentry: Reentry
    where: Callable[[Any], bool] | None
    also_listens_to: tuple[type[Event], ...]

    @property
    def summary(self) -> str:
        """What the journey does, in its own first line."""
        module = sys.modules[self.cls.__module__]
        text = inspect.cleandoc(self.cls.__doc__ or module.__doc__ or self.name)
        return text.splitlines()[0]

    @property
    def folder(self) -> Path:
        """Where the journey's file lies, and beside it its messages."""
        return Path(inspect.getfile(self.cls)).parent

    @cached_property
    def start_names(self) -> frozenset[str]:
        """Names of the events that may start a run."""
        return frozenset(kind.event_name for kind in self.starts_on)

    @cached_property
    def listen_names(self) -> frozenset[str]:
        """Names of all events its runs are told of: what it starts or ends on, and what its code names."""
        declared = [*self.starts_on, *self.also_listens_to, *(e for end in self.ends_on for e in end.events)]
        return frozenset(kind.event_name for kind in [*declared, *_named_in(self.cls)])

    @property
    def key_property(self) -> str | None:
        """PERSON, a property's name, or None where a function computes the key."""
        return self.keyed_by if isinstance(self.keyed_by, str) else None

    def key_of(self, event: Event) -> str | None:
        """The key of the run this event belongs to, or None where it carries none."""
        by = self.keyed_by
        key = by(event) if callable(by) else getattr(event, by, None)
        return None if key is None else str(key)

    def admits(self, event: Event) -> bool:
        """Whether this event may start a run, by the journey's own filter."""
        return self.where is None or bool(self.where(event))

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Whether one more run of a key may start."""
        return self.reentry.may_enter(entries, at)


def kebab(name: str) -> str:
    """CartAbandonment → cart-abandonment."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _named_in(cls: type) -> list[type[Event]]:
    """Event classes that the class's code names: what a story waits for, it must be told of."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    names = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    scope = vars(sys.modules[cls.__module__])
    found = [scope.get(name) for name in names]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Event) and kind.event_name]
