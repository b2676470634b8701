"""Activities of a run other than sends, with their timeouts and retries; a wait with a limit; exposures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.contracts import (
    JOURNEY_QUEUE,
    Contract,
    DeliveryReports,
    Exposure,
    HoldSpec,
    JoinAudience,
    OpenHolds,
    ProfileSnapshot,
    ReadDeliveryReports,
    ReadHolds,
    ReadProfile,
    RunStart,
    SendResult,
    SendStatus,
    SuggestedItems,
    SuggestItems,
    WithdrawConsent,
    WithdrawConsentResult,
)
from journeys.vocabulary.narrative import CurrentDetails
from journeys.vocabulary.unverified import UnverifiedValues
from policy.verdict import Channel
from profiles.events import Item

Result = TypeVar("Result", bound=Contract)

DB_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


async def execute_db_activity(
    name: str, request: Contract, result_type: type[Result], summary: str
) -> Result:
    """Execute an activity that only uses Postgres; it is idempotent and is retried without a limit."""
    result: Result = await workflow.execute_activity(
        name,
        request,
        result_type=result_type,
        task_queue=JOURNEY_QUEUE,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=DB_RETRY_POLICY,
        summary=summary,
    )
    return result


async def wait_until(condition: Callable[[], bool], within: timedelta | None, summary: str) -> bool:
    """Wait until a condition holds; False once ``within`` has passed."""
    try:
        await workflow.wait_condition(condition, timeout=within, timeout_summary=summary)
    except TimeoutError:
        return False
    return True


class Exposures:
    """A run's exposures, each experiment once; they are reported with the next activity, at no extra cost."""

    def __init__(self) -> None:
        self._arms: dict[str, Exposure] = {}
        self._reported: dict[str, None] = {}

    def add(self, experiment: str, arm: str, at: datetime) -> bool:
        """Record an exposure; False where the experiment is recorded already."""
        if experiment in self._arms:
            return False
        self._arms[experiment] = Exposure(experiment=experiment, arm=arm, at=at)
        return True

    @property
    def unreported(self) -> tuple[Exposure, ...]:
        """Exposures that no activity has received."""
        return tuple(one for name, one in self._arms.items() if name not in self._reported)

    def mark_reported(self, exposures: tuple[Exposure, ...]) -> None:
        """Mark exposures as reported. Called when the activity that received them has returned."""
        self._reported.update(dict.fromkeys(one.experiment for one in exposures))


@dataclass(slots=True)
class RunContext:
    """State that all activities of a run share."""

    start: RunStart
    details: CurrentDetails
    now: Callable[[], datetime]
    hold_while: tuple[HoldSpec, ...] = ()
    holdout: float = 0.0
    exposures: Exposures = field(default_factory=Exposures)
    zone: str | None = None
    """The profile's zone, as of the last activity that returned it."""
    steps: dict[str, int] = field(default_factory=dict)
    unverified: UnverifiedValues = field(default_factory=UnverifiedValues)

    def next_step_key(self, name: str) -> str:
        """Return the key of the next step of that name. With the run's id it is the send key."""
        count = self.steps[name] = self.steps.get(name, 0) + 1
        return name if count == 1 else f"{name} #{count}"


class ActivityCalls:
    """Audiences, opt-outs and reads of one run."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    async def retarget(
        self, items: Sequence[Item], audience: str, until: timedelta, cart_id: str | None
    ) -> None:
        """See ``Journey.retarget``."""
        s = self._context
        s.details.set_status(f"Entering ad audience {audience}")
        exposures = s.exposures.unreported
        request = JoinAudience(
            run_id=s.start.run_id,
            step=s.next_step_key(f"audience {audience}"),
            journey=s.start.journey,
            audience=audience,
            items=tuple(items),
            expires_at=s.now() + until,
            cart_id=cart_id,
            clock_offset_s=s.start.clock_offset_s,
            hold_while=s.hold_while,
            holdout=s.holdout,
            exposures=exposures,
        )
        result = await execute_db_activity("join_audience", request, SendResult, f"ads {audience}")
        s.exposures.mark_reported(exposures)
        if result.status is SendStatus.SENT:
            s.details.add_line(f"entered ad audience {audience} for {', '.join(result.items)}")
        else:
            reason = result.reason.value if result.reason else result.status.value
            why = f" ({result.detail})" if result.detail else ""
            s.details.add_line(f"not entered into ad audience {audience}: {reason}{why}")

    async def opt_out(self, channel: Channel, topic: str) -> None:
        """See ``Journey.opt_out``."""
        s = self._context
        s.details.set_status(f"Ending {topic} by {channel.value}")
        request = WithdrawConsent(
            run_id=s.start.run_id,
            step=s.next_step_key(f"opt out {channel.value} {topic}"),
            channel=channel,
            topic=topic,
            clock_offset_s=s.start.clock_offset_s,
        )
        await execute_db_activity(
            "withdraw_consent", request, WithdrawConsentResult, f"opt out of {channel.value} {topic}"
        )
        s.details.add_line(f"opted out of {topic} by {channel.value}")

    async def reports_deliveries(self) -> bool:
        """See ``Journey.reports_deliveries``."""
        request = ReadDeliveryReports(clock_offset_s=self._context.start.clock_offset_s)
        read = await execute_db_activity(
            "read_delivery_reports", request, DeliveryReports, "look for deliveries of the shop"
        )
        return read.any_recent

    async def suggestions(self, limit: int) -> tuple[Item, ...]:
        """See ``Journey.suggestions``."""
        start = self._context.start
        request = SuggestItems(run_id=start.run_id, limit=limit, clock_offset_s=start.clock_offset_s)
        suggested = await execute_db_activity(
            "suggest_items", request, SuggestedItems, f"suggest {limit} items"
        )
        self._context.unverified.add_items(suggested.items)
        return suggested.items

    async def profile(self, traits: tuple[str, ...]) -> ProfileSnapshot:
        """See ``Journey.profile``."""
        start = self._context.start
        request = ReadProfile(run_id=start.run_id, traits=traits, clock_offset_s=start.clock_offset_s)
        read = await execute_db_activity("read_profile", request, ProfileSnapshot, "read the profile")
        self._context.zone = read.zone
        self._context.unverified.add_traits(read)
        return read

    async def zone(self) -> str:
        """Return the profile's zone: the last known one, else read it now."""
        return self._context.zone or (await self.profile(())).zone

    async def open_holds(self, holds: tuple[HoldSpec, ...]) -> tuple[str, ...]:
        """Return descriptions of the profile's open holds."""
        start = self._context.start
        request = ReadHolds(run_id=start.run_id, hold_while=holds, clock_offset_s=start.clock_offset_s)
        names = ", ".join(ask.says for ask in holds)
        return (await execute_db_activity("read_holds", request, OpenHolds, f"look for {names}")).held
