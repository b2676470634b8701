"""The decorator ``@journey``, which makes a class a journey and a Temporal workflow."""

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar, Unpack, overload

from temporalio import workflow

from activities.contracts import RunResult, RunStart
from journeys.vocabulary.definition import JourneyDefinition, OnMerge, to_kebab_case
from journeys.vocabulary.endings import Ending
from journeys.vocabulary.holds import Hold
from journeys.vocabulary.journey import Journey
from journeys.vocabulary.segment import Segment
from policy.reentry import Reentry, Unlimited
from profiles.events import Event, SegmentEntered

C = TypeVar("C", bound=type[Journey])
E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)


class JourneyOptions(TypedDict, total=False):
    """What a journey may declare besides its entry."""

    ends_on: Ending | tuple[Ending, ...]
    """Goals and exits, checked on every event."""
    reentry: Reentry
    """How often one key may enter; without a limit by default."""
    also_listens_to: tuple[type[Event], ...]
    """Events that its runs receive although the code does not name them."""
    hold_while: Hold | tuple[Hold, ...]
    """Marketing messages of this journey wait while one of these cases is open."""
    holdout: float
    """Percent of profiles, 0 to 100, that get no marketing of this journey, for comparison."""
    on_merge: OnMerge
    """What happens to a run when its profile is merged into an older one. "continue" (default): it goes on
    for that profile. "end": it ends at once, as ``merged``. A run keeps the value with which it began."""
    name: str
    """The journey's name; by default the class name in kebab-case."""


@overload
def journey(
    *, starts_on: type[E] | tuple[type[E]], keyed_by: str | Callable[[E], str | None],
    where: Callable[[E], bool] | None = None, **more: Unpack[JourneyOptions],
) -> Callable[[C], C]: ...  # fmt: skip
@overload
def journey(
    *, starts_on: tuple[type[E], type[E2]], keyed_by: str | Callable[[E | E2], str | None],
    where: Callable[[E | E2], bool] | None = None, **more: Unpack[JourneyOptions],
) -> Callable[[C], C]: ...  # fmt: skip
@overload
def journey(
    *, starts_on: tuple[type[E], type[E2], type[E3]], keyed_by: str | Callable[[E | E2 | E3], str | None],
    where: Callable[[E | E2 | E3], bool] | None = None, **more: Unpack[JourneyOptions],
) -> Callable[[C], C]: ...  # fmt: skip
@overload
def journey(
    *, starts_on: tuple[type[E], type[E2], type[E3], type[E4]],
    keyed_by: str | Callable[[E | E2 | E3 | E4], str | None],
    where: Callable[[E | E2 | E3 | E4], bool] | None = None, **more: Unpack[JourneyOptions],
) -> Callable[[C], C]: ...  # fmt: skip
@overload
def journey(
    *, starts_on: Segment | tuple[Segment, ...], keyed_by: str | Callable[[SegmentEntered], str | None],
    where: Callable[[SegmentEntered], bool] | None = None, **more: Unpack[JourneyOptions],
) -> Callable[[C], C]: ...  # fmt: skip
def journey(
    *, starts_on: Any, keyed_by: Any, where: Any = None, **more: Unpack[JourneyOptions]
) -> Callable[[C], C]:
    """Make a class a journey, and a Temporal workflow of its name.

    ``starts_on``: events that start a run if the filter ``where`` accepts them; or a segment, which
    starts a run for each new member. ``keyed_by``: a property's name, PERSON, or a function of the event;
    each key has one live run. Further arguments: see ``JourneyOptions``. A run receives the events that
    it starts, ends and holds on, those that the class's code names, and ``also_listens_to``.
    """

    def decorate(cls: C) -> C:
        story = cls.__dict__.get("run")
        if story is None:
            raise TypeError(
                f"{cls.__qualname__} is decorated with @journey and must define `async def run(self, entry)`"
            )
        definition = JourneyDefinition(
            name=more.get("name") or to_kebab_case(cls.__name__),
            cls=cls,
            entries=_as_tuple(starts_on),
            keyed_by=keyed_by,
            ends_on=_as_tuple(more.get("ends_on", ())),
            reentry=more.get("reentry") or Unlimited(),
            where=where,
            also_listens_to=more.get("also_listens_to", ()),
            hold_while=_as_tuple(more.get("hold_while", ())),
            holdout=more.get("holdout", 0.0),
            on_merge=more.get("on_merge", "continue"),
        )

        async def run(self: Journey, start: RunStart) -> RunResult:
            return await self._run_to_end()

        # The SDK requires a module-level name, and a run method that the class itself defines.
        run.__qualname__ = f"{cls.__name__}.run"
        run.__module__ = cls.__module__
        del run.__annotations__["self"]  # the SDK compares it with ``__init__``, which has none
        cls.definition = definition
        setattr(cls, "story", story)  # noqa: B010 - the author's `run` moves here,
        setattr(cls, "run", workflow.run(run))  # noqa: B010 - and Temporal's takes its name
        return workflow.defn(name=definition.name)(cls)

    return decorate


def _as_tuple(one_or_more: Any) -> tuple[Any, ...]:
    return one_or_more if isinstance(one_or_more, tuple) else (one_or_more,)
