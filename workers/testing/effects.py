"""An author's own activities, and functions that stand in for them."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from temporalio import activity

Effect = Callable[..., Any]
"""An activity of an author's own, or what stands in for one."""


def replaced(real: Sequence[Effect], stand_ins: Mapping[str, Effect]) -> list[Effect]:
    """The authors' activities, those with a stand-in replaced by it."""
    kept = [effect for effect in real if _name_of(effect) not in stand_ins]
    made = [
        effect if _name_of(effect) == name else activity.defn(name=name)(_copy(effect))
        for name, effect in stand_ins.items()
    ]
    return [*kept, *made]


def _name_of(effect: Effect) -> str | None:
    definition = getattr(effect, "__temporal_activity_definition", None)
    return None if definition is None else str(definition.name)


def _copy(effect: Effect) -> Effect:
    """The same function as another object, so that naming it as an activity does not change the test's."""
    if inspect.iscoroutinefunction(effect):

        @functools.wraps(effect)
        async def answer(*arguments: Any) -> Any:
            return await effect(*arguments)
    else:

        @functools.wraps(effect)
        async def answer(*arguments: Any) -> Any:
            return effect(*arguments)

    return answer
