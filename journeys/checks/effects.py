"""Checks of an author's own activities: those that a story performs are known to a worker."""

from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

from journeys.checks.fault import Fault
from journeys.checks.part import argument
from journeys.checks.story import Story

_DEFINED = "__temporal_activity_definition"


def faults(story: Story, effects: Sequence[Any] | None) -> Iterator[Fault]:
    """Every ``perform`` of a function that is no activity, or that no module lists in ``ACTIVITIES``."""
    listed = {getattr(effect, _DEFINED).name for effect in effects or () if hasattr(effect, _DEFINED)}
    for part, call, word in story.words():
        effect = argument(call, "effect", 0) if word == "perform" else None
        function = part.meaning(effect) if effect is not None else None
        if not isinstance(function, FunctionType):
            continue
        if (definition := getattr(function, _DEFINED, None)) is None:
            yield part.fault(
                call,
                f"self.perform: {function.__name__} is no activity; write @activity.defn above it",
            )
        elif effects is not None and definition.name not in listed:
            yield part.fault(
                call,
                f"self.perform: {function.__name__} is in no ACTIVITIES, so no worker runs it; write "
                f"ACTIVITIES = ({function.__name__},) beside JOURNEYS",
            )
