"""Words for decisions: the profile, an experiment's arm, a choice among options, the author's activities."""

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
    """Words for decisions that need the profile or have to be recorded; other decisions are plain Python."""

    @overload
    async def profile(self) -> Profile: ...
    @overload
    async def profile(self, kind: type[P]) -> P: ...
    async def profile(self, kind: type[Profile] = Profile) -> Profile:
        """The current profile: orders, rhythm, channels, zone; with a class of your own, its traits as well.

        A snapshot as of this call. A trait that does not fit its type has its default.
        """
        self._details.set_status("Reading the profile")
        read = await self._activities.profile(kind.declared())
        self._stop_if_ended()
        profile, unfit = kind.read_from(read)
        if unfit:
            self._details.add_line(f"traits that do not fit their type: {', '.join(unfit)}")
        return profile

    def experiment(self, name: str, **arms: int) -> str:
        """The profile's arm of an experiment, in proportion to the weights: ``offer=50, control=50``.

        A profile has the same arm of an experiment in every journey and run. The exposure is recorded
        with the run's next activity. Raises ValueError for invalid weights.
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
        """One of several options: drawn by weight, the same in all of the run; or the best ``by`` a score.

        The first of equal scores is taken; None without options. Raises ValueError for invalid weights.
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
        """Perform an activity of your own: a function with ``@activity.defn`` that your module lists.

        The module lists it in ``ACTIVITIES``. It is retried until it succeeds or ``within`` has
        passed, so it has to be idempotent. ``attempt`` limits each attempt. Its argument and its
        result are written into Temporal's history: pass ids, no personal data. Raises temporalio's
        ActivityError when it fails permanently.
        """
        name = str(getattr(effect, "__name__", effect)).replace("_", " ")
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
