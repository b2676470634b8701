"""Checks of what ``@journey`` declares: name, start, key, filter, endings, re-entry, holdout, merges."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, get_args

from journeys.checks.events import not_an_event
from journeys.checks.fault import Fault, meant
from journeys.checks.properties import properties_of
from journeys.checks.story import Story
from journeys.vocabulary.definition import PERSON, OnMerge
from journeys.vocabulary.endings import Ending, cart_is_empty_or_bought
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.segment import Segment
from policy.reentry import After, AtMost
from profiles.events import ProductUpdated

ON_MERGE = get_args(OnMerge)

_NAME = re.compile(r"\w[\w.-]{0,99}")


def faults(story: Story) -> Iterator[Fault]:
    """Everything but the story itself."""
    yield from _name(story)
    yield from _events(story)
    yield from _key(story)
    for name, does in (("where", "whether it starts a run"), ("keyed_by", "the key of its run")):
        yield from _function(story, name, does)
    yield from _numbers(story)
    yield from _on_merge(story)


def _name(story: Story) -> Iterator[Fault]:
    name = story.definition.name
    if not _NAME.fullmatch(name):
        yield story.fault(
            story.declared.get("name"),
            f"{name!r} cannot be a journey's name: it stands in workflow ids and addresses, so it takes up "
            "to 100 letters, digits, - _ and . only; as in price-drop",
        )


def _events(story: Story) -> Iterator[Fault]:
    definition = story.definition
    starts = [each for each in definition.entries if not isinstance(each, Segment)]
    if not definition.entries:
        yield story.fault(story.declared.get("starts_on"), "starts_on names no event, so no run ever starts")
    yield from _kinds(story, "starts_on", starts)
    if ProductUpdated in starts:
        yield story.fault(
            story.declared.get("starts_on"),
            "ProductUpdated names nobody, so it starts no run; whose cart holds the product is told by "
            "PriceDropped, BackInStock and OutOfStock",
        )
    also = definition.also_listens_to
    if isinstance(also, tuple | list):
        yield from _kinds(story, "also_listens_to", also)
    else:
        node = story.declared.get("also_listens_to")
        yield story.fault(node, f"also_listens_to takes a tuple, got {_named(also)}; add a comma")
    yield from _endings(story)
    for hold in definition.hold_while:
        if not isinstance(hold, Hold):
            yield story.fault(
                story.declared.get("hold_while"),
                f"hold_while takes cases such as ticket_is_open, got {_named(hold)}; write holding(…)",
            )


def _endings(story: Story) -> Iterator[Fault]:
    node = story.declared.get("ends_on")
    for ending in story.definition.ends_on:
        if not isinstance(ending, Ending):
            yield story.fault(
                node, f"ends_on takes endings, got {_named(ending)}; as in ends_on=goal(OrderCompleted)"
            )
        elif not ending.events:
            yield story.fault(
                node, "an ending names no event, so it ends nothing; as in goal(OrderCompleted)"
            )
        else:
            yield from _kinds(story, "ends_on", ending.events)
        if ending is cart_is_empty_or_bought and story.definition.keyed_by != "cart_id":
            yield story.fault(
                node,
                "cart_is_empty_or_bought ends nothing here: the journey is not about a cart; write "
                'keyed_by="cart_id", or ends_on=goal(OrderCompleted)',
            )


def _kinds(story: Story, argument: str, kinds: Iterable[Any]) -> Iterator[Fault]:
    for kind in kinds:
        if isinstance(kind, list):
            yield story.fault(story.declared.get(argument), f"{argument} takes a tuple, got a list; use ( )")
        elif reason := not_an_event(kind):
            yield story.fault(story.declared.get(argument), f"{argument}: {reason}")


def _key(story: Story) -> Iterator[Fault]:
    key, kinds = story.definition.keyed_by, story.start_kinds
    if not isinstance(key, str) or key in (PERSON, "cart_id") or kinds is None:
        return
    for kind in kinds:
        known = properties_of(kind)
        if key not in known:
            yield story.fault(
                story.declared.get("keyed_by"),
                f"keyed_by={key!r}: {kind.__name__} declares no such property, so it would never start a run"
                + meant(key, {*known, PERSON}),
            )


def _function(story: Story, argument: str, does: str) -> Iterator[Fault]:
    function: Callable[..., Any] | str | None = getattr(story.definition, argument)
    if not callable(function):
        return
    node = story.declared.get(argument)
    if inspect.iscoroutinefunction(function):
        yield story.fault(node, f"{argument}={_named(function)} is async, and is never awaited; write def")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        yield story.fault(
            node,
            f"{argument}={_named(function)} takes {inspect.signature(function)}; it is given one event, and "
            f"returns {does}",
        )
    except ValueError:
        return  # Some builtins have no signature.


def _numbers(story: Story) -> Iterator[Fault]:
    node = story.declared.get("reentry")
    match story.definition.reentry:
        case After(period=timedelta() as period) if period < timedelta(0):
            yield story.fault(node, f"reentry: After a negative time ({period}); as in After(days(3))")
        case After(period=period) if not isinstance(period, timedelta):
            yield story.fault(
                node, f"reentry: After takes a length of time, got {period!r}; as in After(days(3))"
            )
        case AtMost(times=int() as times) if times < 1:
            yield story.fault(node, f"reentry: AtMost({times}) lets nobody in; as in AtMost(1)")
    holdout = story.definition.holdout
    if not isinstance(holdout, int | float) or not 0 <= holdout <= 100:
        yield story.fault(
            story.declared.get("holdout"), f"holdout={holdout!r}: expected a percentage, from 0 to 100"
        )


def _on_merge(story: Story) -> Iterator[Fault]:
    word = story.definition.on_merge
    if word not in ON_MERGE:
        yield story.fault(
            story.declared.get("on_merge"),
            f'on_merge={word!r}: expected "continue" (a run goes on under the person that its own turns out '
            'to be) or "end" (it ends at once, as merged)',
        )


def _named(value: Any) -> str:
    name = getattr(value, "__name__", None)
    return "the lambda" if name == "<lambda>" else str(name or value)
