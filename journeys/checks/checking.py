"""All checks of one journey."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from journeys.checks import (
    arms,
    declaration,
    effects,
    entry,
    events,
    lengths,
    messages,
    order,
    outside,
    properties,
    words,
)
from journeys.checks.catalog import Catalog
from journeys.checks.fault import Fault
from journeys.checks.story import Story, story_of
from journeys.vocabulary.definition import JourneyDefinition

_CHECKS = (
    declaration.faults,
    entry.faults,
    words.faults,
    events.faults,
    properties.faults,
    lengths.faults,
    arms.faults,
    messages.channel_faults,
    outside.faults,
    order.faults,
)


def faults_of(definition: JourneyDefinition, performed: Sequence[Any] | None = None) -> list[Fault]:
    """All that is certainly wrong with a journey and can be seen without its messages.

    ``performed``: the activities that the worker runs for stories; None where they are not known. Reads the
    journey's code and runs none of it; what cannot be told from the code alone is left alone. Code that
    cannot be read is a fault.
    """
    try:
        return faults_in(story_of(definition), performed)
    except (OSError, SyntaxError, TypeError) as error:
        return [_unreadable(definition, error)]


def faults_in(story: Story, performed: Sequence[Any] | None = None) -> list[Fault]:
    """The same, of code that has been read."""
    checks = (*_CHECKS, partial(effects.faults, effects=performed))
    return sorted({fault for check in checks for fault in _found(check, story)})


def message_faults_of(definition: JourneyDefinition, catalog: Catalog) -> list[Fault]:
    """All that is certainly wrong with the messages a journey sends."""
    try:
        return sorted(set(_found(partial(messages.faults, catalog=catalog), story_of(definition))))
    except (OSError, SyntaxError, TypeError) as error:
        return [_unreadable(definition, error)]


def _found(check: Callable[[Story], Iterable[Fault]], story: Story) -> list[Fault]:
    try:
        return list(check(story))
    except Exception as error:
        # A check that does not understand some code must not keep a journey from running that may be well.
        said = f"a check of {story.definition.name} was skipped: {error!r}; please report it with the journey"
        warnings.warn(said, RuntimeWarning, stacklevel=2)
        return []


def _unreadable(definition: JourneyDefinition, error: Exception) -> Fault:
    said = f"its code cannot be read: {error}; keep the class in a .py file"
    return Fault(definition.name, definition.cls.__module__, 0, said)
