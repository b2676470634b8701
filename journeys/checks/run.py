"""Run all checks of one journey."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from journeys.checks.calls import check_draws, check_performs, check_words
from journeys.checks.declaration import check_declaration, check_run
from journeys.checks.determinism import check_order, check_outside_calls
from journeys.checks.errors import JourneyFault
from journeys.checks.messages import TemplateCatalog, check_channels, check_messages
from journeys.checks.properties import check_properties
from journeys.checks.waits import check_durations, check_events
from journeys.source.reader import JourneySource, read_journey
from journeys.vocabulary.definition import JourneyDefinition

_CHECKS = (
    check_declaration,
    check_run,
    check_words,
    check_events,
    check_properties,
    check_durations,
    check_draws,
    check_channels,
    check_outside_calls,
    check_order,
)


def faults_of(definition: JourneyDefinition, activities: Sequence[Any] | None = None) -> list[JourneyFault]:
    """Return all certain faults of a journey that can be seen without its message templates.

    ``activities``: those that the worker runs for journeys; None where they are not known. Runs none of
    the code. What the code alone does not decide is no fault. Code that cannot be read is a fault.
    """
    try:
        return faults_in(read_journey(definition), activities)
    except (OSError, SyntaxError, TypeError) as error:
        return [_unreadable(definition, error)]


def faults_in(source: JourneySource, activities: Sequence[Any] | None = None) -> list[JourneyFault]:
    """Return all certain faults of code that has been read."""
    checks = (*_CHECKS, partial(check_performs, activities=activities))
    return sorted({fault for check in checks for fault in _run(check, source)})


def message_faults_of(definition: JourneyDefinition, catalog: TemplateCatalog) -> list[JourneyFault]:
    """Return all certain faults of the messages that a journey sends."""
    try:
        return sorted(set(_run(partial(check_messages, catalog=catalog), read_journey(definition))))
    except (OSError, SyntaxError, TypeError) as error:
        return [_unreadable(definition, error)]


def _run(
    check: Callable[[JourneySource], Iterable[JourneyFault]], source: JourneySource
) -> list[JourneyFault]:
    try:
        return list(check(source))
    except Exception as error:
        # A check that raises must not stop a correct journey.
        text = f"a check of {source.journey} was skipped: {error!r}; please report it with the journey"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return []


def _unreadable(definition: JourneyDefinition, error: Exception) -> JourneyFault:
    text = f"its code cannot be read: {error}; keep the class in a .py file"
    return JourneyFault(definition.name, definition.cls.__module__, 0, text)
