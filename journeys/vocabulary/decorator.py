"""Make a class a journey, and so a Temporal workflow."""

from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow

from activities.contracts import RunResult, RunStart
from journeys.vocabulary.definition import JourneyDefinition, KeyedBy, kebab
from journeys.vocabulary.endings import Ending
from journeys.vocabulary.journey import Journey
from policy.reentry import Reentry, Unlimited
from profiles.events import Event

C = TypeVar("C", bound=type[Journey])


def journey(
    *,
    starts_on: type[Event] | tuple[type[Event], ...],
    keyed_by: KeyedBy,
    ends_on: Ending | tuple[Ending, ...] = (),
    reentry: Reentry | None = None,
    where: Callable[[Any], bool] | None = None,
    also_listens_to: tuple[type[Event], ...] = (),
    name: str | None = None,
) -> Callable[[C], C]:
    """Make a class a journey, and a Temporal workflow of its name (the class name in kebab-case).

    ``starts_on``: events that start a run, if ``where`` (a filter) lets them. ``keyed_by``: a property's
    name, PERSON, or a function of the event; one live run per key. ``ends_on``: goals and exits, checked on
    every event. ``reentry``: how often one key may enter; any time by default. A run is told of the events
    it starts and ends on, those the class's code names, and ``also_listens_to``.
    """

    def decorate(cls: C) -> C:
        told = cls.__dict__.get("run")
        if told is None:
            raise TypeError(
                f"{cls.__qualname__} is decorated with @journey and must define `async def run(self, entry)`"
            )
        definition = JourneyDefinition(
            name=name or kebab(cls.__name__),
            cls=cls,
            starts_on=starts_on if isinstance(starts_on, tuple) else (starts_on,),
            keyed_by=keyed_by,
            ends_on=ends_on if isinstance(ends_on, tuple) else (ends_on,),
            reentry=reentry or Unlimited(),
            where=where,
            also_listens_to=also_listens_to,
        )

        async def run(self: Journey, start: RunStart) -> RunResult:
            return await self._run_to_end()

        # The SDK wants a module-level name, and the run method's name to be the class's own.
        run.__qualname__ = f"{cls.__name__}.run"
        run.__module__ = cls.__module__
        del run.__annotations__["self"]  # the SDK compares it with __init__, which has none
        cls.definition = definition
        setattr(cls, "story", told)  # noqa: B010 - the author's `run` moves here,
        setattr(cls, "run", workflow.run(run))  # noqa: B010 - and Temporal's takes its name
        return workflow.defn(name=definition.name)(cls)

    return decorate
