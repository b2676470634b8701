"""The words that decide: who is this, which arm of an experiment, which of several; and the author's own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, overload

from temporalio import workflow

from activities.contracts import JOURNEY_QUEUE
from journeys.vocabulary.durations import days
from journeys.vocabulary.effects import DB_RETRY_POLICY
from journeys.vocabulary.profile import Profile
from journeys.vocabulary.waiting import Waiting
from policy.experiments import assign_arm

P = TypeVar("P", bound=Profile)
T = TypeVar("T")
A = TypeVar("A")

ONE_DAY, HALF_A_MINUTE = days(1), timedelta(seconds=30)
_WEIGHT_SCALE = 1_000_000


class Deciding(Waiting):
    """Decisions are plain Python; these are the few that need the person, or have to be on record."""

    @overload
    async def profile(self) -> Profile: ...
    @overload
    async def profile(self, kind: type[P]) -> P: ...
    async def profile(self, kind: type[Profile] = Profile) -> Profile:
        """The person now: orders and when, rhythm, channels, zone; with a class of your own, its traits too.

        A snapshot, as old as this call. A trait that does not fit its type has its default.
        """
        self._details.set_status("Reading the profile")
        read = await self._activities.profile(kind.declared())
        self._stop_if_ended()
        profile, unfit = kind.read_from(read)
        if unfit:
            self._details.add_line(f"traits that do not fit their type: {', '.join(unfit)}")
        return profile

    def experiment(self, name: str, **arms: int) -> str:
        """The person's arm of an experiment, in proportion to the weights: ``offer=50, control=50``.

        The same person is always in the same arm of the same name, in every journey and run. The exposure is
        on record with whatever the run does next. Raises ValueError for weights that are none.
        """
        arm = assign_arm(self._start.customer_id, name, arms)
        if self._context.exposures.add(name, arm, self._now()):
            self._details.add_line(f"experiment {name}: {arm}")
        return arm

    @overload
    def choose(self, name: str, options: Mapping[T, float]) -> T: ...
    @overload
    def choose(self, name: str, options: Sequence[T], *, by: Callable[[T], float]) -> T | None: ...
    def choose(
        self,
        name: str,
        options: Mapping[Any, float] | Sequence[Any],
        *,
        by: Callable[[Any], float] | None = None,
    ) -> Any:
        """One of several: drawn by weight, the same one all through the run; or the best ``by`` a score.

        Of equal scores the first wins; of no options None. Raises ValueError for weights that are none.
        """
        if isinstance(options, Mapping):
            named = {
                f"{place:06d}": round(weight * _WEIGHT_SCALE) for place, weight in enumerate(options.values())
            }
            drawn = assign_arm(self._start.run_id, name, named)
            chosen = list(options)[int(drawn)]
        else:
            chosen = max(options, key=by, default=None) if by is not None else None
        self._details.add_line(f"{name}: {str(chosen)[:80]}")
        return chosen

    @overload
    async def perform(
        self, effect: Callable[[], Awaitable[T]], /, *, within: timedelta = ..., attempt: timedelta = ...
    ) -> T: ...
    @overload
    async def perform(
        self, effect: Callable[[A], Awaitable[T]], argument: A, /, *, within: timedelta = ...,
        attempt: timedelta = ...,
    ) -> T: ...  # fmt: skip
    async def perform(
        self, effect: Callable[..., Awaitable[Any]], /, *argument: Any, within: timedelta = ONE_DAY,
        attempt: timedelta = HALF_A_MINUTE,
    ) -> Any:  # fmt: skip
        """Do something of your own to the world: a ``@activity.defn`` function that your module lists in
        ``ACTIVITIES``.

        It is tried again until it succeeds or ``within`` is over, each attempt no longer than ``attempt``; so
        it has to be idempotent. Its argument and its answer are written into the history: ids, not people.
        Raises temporalio's ActivityError when it fails for good.
        """
        name = _activity_title(effect)
        self._details.set_status(f"Performing {name}")
        answer = await workflow.execute_activity(
            effect,
            args=list(argument),
            task_queue=JOURNEY_QUEUE,
            start_to_close_timeout=attempt,
            schedule_to_close_timeout=within,
            retry_policy=DB_RETRY_POLICY,
            summary=name,
        )
        self._stop_if_ended()
        return answer


def _activity_title(effect: Callable[..., Any]) -> str:
    return str(getattr(effect, "__name__", effect)).replace("_", " ")
