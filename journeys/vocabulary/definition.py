"""The declaration of a journey: name, entries, key, endings and re-entry rule, for routing and the worker."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from journeys.vocabulary.endings import Ending
from journeys.vocabulary.fallback import EVENTS_BY_FALLBACK, Fallback
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.segment import Segment
from policy.reentry import Once, Reentry
from profiles.events import Event, SegmentEntered

PERSON = "person"
"""``keyed_by=PERSON``: one live run per profile."""

OnMerge = Literal["continue", "end"]

KeyedBy = str | Callable[[Any], str | None]


@dataclass(frozen=True)
class JourneyDefinition:
    """One journey as declared."""

    name: str
    cls: Any
    entries: tuple[type[Event] | Segment, ...]
    """Events and segments that start a run, as declared."""
    keyed_by: KeyedBy
    ends_on: tuple[Ending, ...]
    reentry: Reentry
    where: Callable[[Any], bool] | None
    also_listens_to: tuple[type[Event], ...]
    hold_while: tuple[Hold, ...] = ()
    holdout: float = 0.0
    on_merge: OnMerge = "continue"

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Segments with new members that enter."""
        return tuple(entry for entry in self.entries if isinstance(entry, Segment))

    @cached_property
    def starts_on(self) -> tuple[type[Event], ...]:
        """Events that may start a run; for a segment ``SegmentEntered``."""
        kinds = (SegmentEntered if isinstance(entry, Segment) else entry for entry in self.entries)
        return tuple(dict.fromkeys(kinds))

    @property
    def summary(self) -> str:
        """The first line of the class's or the module's docstring."""
        module = sys.modules[self.cls.__module__]
        text = inspect.cleandoc(self.cls.__doc__ or module.__doc__ or self.name)
        return text.splitlines()[0]

    @property
    def folder(self) -> Path:
        """The folder of the journey's module, which also holds its messages."""
        return Path(inspect.getfile(self.cls)).parent

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """Possible outcomes of a run, by the return type of the story and by the endings."""
        returns = inspect.get_annotations(self.cls.story, eval_str=False).get("return")
        if isinstance(returns, str):
            returns = vars(sys.modules[self.cls.__module__]).get(returns)
        members = returns if isinstance(returns, type) and issubclass(returns, StrEnum) else ()
        words = [str(member) for member in members]
        return tuple(dict.fromkeys([*words, *(word for ending in self.ends_on for word in ending.outcomes)]))

    @cached_property
    def start_names(self) -> frozenset[str]:
        """Names of the events that may start a run."""
        return frozenset(kind.event_name for kind in self.starts_on)

    @cached_property
    def listen_names(self) -> frozenset[str]:
        """Names of the events that its runs receive: those it starts, ends or holds on, or its code names."""
        declared = [*self.starts_on, *self.also_listens_to]
        declared += [kind for ending in self.ends_on for kind in ending.events]
        declared += [kind for hold in self.hold_while for kind in hold.events]
        return frozenset(kind.event_name for kind in [*declared, *_referenced_events(self.cls)])

    @cached_property
    def ending_names(self) -> frozenset[str]:
        """Names of the events that may end a run: goals and exits."""
        return frozenset(kind.event_name for ending in self.ends_on for kind in ending.events)

    def ended_by(self, event: Event) -> str | None:
        """Return the outcome with which this event ends a run without a cart; None if it ends none."""
        ended = next((found for each in self.ends_on if (found := each.evaluate(event, None))), None)
        return None if ended is None else ended.outcome

    @property
    def key_property(self) -> str | None:
        """PERSON, a property's name, or None where a function computes the key."""
        return self.keyed_by if isinstance(self.keyed_by, str) else None

    def key_of(self, event: Event) -> str | None:
        """Return the key of the run that this event belongs to; None where it has none."""
        by = self.keyed_by
        key = by(event) if callable(by) else getattr(event, by, None)
        return None if key is None else str(key)

    def admits(self, event: Event) -> bool:
        """Whether this event may start a run, by the journey's segments and its own filter."""
        if isinstance(event, SegmentEntered) and not any(segment.has(event) for segment in self.segments):
            return False
        return self.where is None or bool(self.where(event))

    @cached_property
    def counts_every_run(self) -> bool:
        """Whether a run that sent nothing uses up an entry as well.

        It does if the story may enter once only, and if it calls an activity of the author's: what that did,
        Waypost does not know.
        """
        return isinstance(self.reentry, Once) or _performs(self.cls)

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Whether one more run of a key may start, after entries at these times."""
        return self.reentry.may_enter(entries, at)


def to_kebab_case(name: str) -> str:
    """Convert a class name: CartAbandonment → cart-abandonment."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _referenced_events(cls: type) -> list[type[Event]]:
    """Return the events that the class's code names, also through holds and fallbacks."""
    names = dict.fromkeys(node.id for node in _nodes_of(cls) if isinstance(node, ast.Name))
    scope = vars(sys.modules[cls.__module__])
    return [kind for name in names for kind in _events_of_value(scope.get(name)) if kind.event_name]


def _performs(cls: type) -> bool:
    """Return whether the class's code calls an activity of the author's."""
    return any(isinstance(node, ast.Attribute) and node.attr == "perform" for node in _nodes_of(cls))


def _nodes_of(cls: type) -> Iterator[ast.AST]:
    """Yield the nodes of the class's code."""
    return ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls))))


def _events_of_value(named: Any) -> tuple[type[Event], ...]:
    match named:
        case type() if issubclass(named, Event):
            return (named,)
        case tuple():
            return tuple(kind for one in named for kind in _events_of_value(one))
        case Hold() | Fallback():
            return named.events
        case _ if callable(named) and named in EVENTS_BY_FALLBACK:
            return EVENTS_BY_FALLBACK[named]
    return ()
