"""Temporal schedules of sweeps: one per segment, and for lapsed customers, products and templates.

Operators may pause a schedule. The workflow of each sweep shows its result as current details.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import RetryPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JOURNEY_QUEUE, SegmentSweepResult, SweepRequest, SweepResult, SweepSegment

SEGMENT_SCHEDULE_PREFIX = "waypost-segment-"
"""Prefix of the ids of segment schedules and of the workflows that they start."""

_SEGMENT_SWEEP_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=5), maximum_attempts=6
)
"""About ten minutes of retries; then the workflow fails, and the next sweep starts as scheduled."""


@dataclass(frozen=True, slots=True)
class ScheduledSweep:
    """One sweep and its schedule."""

    schedule_id: str
    activity: str
    interval: timedelta
    description: str
    """What the sweep looks for, shown to operators."""


LAPSED_SCHEDULE_ID = "waypost-sweeps"
"""Id of the schedule of the sweep for lapsed customers."""

LAPSED_SWEEP = ScheduledSweep(LAPSED_SCHEDULE_ID, "sweep_lapsed", timedelta(hours=1), "lapsed customers")

PRODUCT_SWEEP = ScheduledSweep(
    "waypost-products", "sweep_products", timedelta(minutes=1), "products in open carts that changed"
)

TEMPLATE_SWEEP = ScheduledSweep(
    "waypost-templates", "sweep_templates", timedelta(minutes=1), "templates that bounce or annoy too many"
)

OPT_IN_SWEEP = ScheduledSweep(
    "waypost-opt-in",
    "sweep_opt_in_requests",
    timedelta(minutes=1),
    "addresses that have to confirm",
)

SCHEDULED_SWEEPS = (LAPSED_SWEEP, PRODUCT_SWEEP, TEMPLATE_SWEEP, OPT_IN_SWEEP)


@workflow.defn(name="sweep-segment")
class SegmentSweepWorkflow:
    """Workflow that finds the new members of one segment."""

    @workflow.run
    async def run(self, request: SweepSegment) -> SegmentSweepResult:
        """Run one sweep, as one activity."""
        workflow.set_current_details(f"asks who belongs to {request.segment}")
        swept: SegmentSweepResult = await workflow.execute_activity(
            "sweep_segment",
            request,
            result_type=SegmentSweepResult,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=_SEGMENT_SWEEP_RETRY,
            summary=request.segment,
        )
        workflow.set_current_details(swept.summary)
        return swept


async def ensure_segment_schedules(client: Client, segments: Mapping[str, timedelta]) -> None:
    """Create, update and delete schedules to match these segments (name → interval). Idempotent.

    A new schedule runs a sweep at once. A changed interval is applied; a paused schedule stays paused.
    Schedules of removed segments are deleted, because each of their sweeps would fail. Their members stay in
    Postgres and are used again if the segment returns.
    All workers share one task queue and so one version of the code; the last worker to start decides.
    """
    for name, every in segments.items():
        await _ensure_segment_schedule(client, name, every)
    schedule_ids = {SEGMENT_SCHEDULE_PREFIX + name for name in segments}
    async for schedule in await client.list_schedules():
        if schedule.id.startswith(SEGMENT_SCHEDULE_PREFIX) and schedule.id not in schedule_ids:
            await _delete_schedule(client, schedule.id)


async def _ensure_segment_schedule(client: Client, name: str, every: timedelta) -> None:
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=every / 10)

    async def changed(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        schedule = found.description.schedule
        if [interval.every for interval in schedule.spec.intervals] == [every]:
            return None
        schedule.spec = spec
        return ScheduleUpdate(schedule)

    schedule_id, request = SEGMENT_SCHEDULE_PREFIX + name, SweepSegment(segment=name)
    schedule = _schedule(schedule_id, "sweep-segment", [request], f"who newly belongs to {name}", spec)
    try:
        await client.create_schedule(schedule_id, schedule, trigger_immediately=True)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(changed)


def _schedule(
    schedule_id: str, workflow_name: str, args: Sequence[object], looks_for: str, spec: ScheduleSpec
) -> Schedule:
    """Return a schedule of a sweep; its workflows have its id."""
    action = ScheduleActionStartWorkflow(
        workflow_name,
        args=args,
        id=schedule_id,
        task_queue=JOURNEY_QUEUE,
        static_summary=f"find {looks_for}",
    )
    return Schedule(action=action, spec=spec, policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP))


async def _delete_schedule(client: Client, schedule_id: str) -> None:
    try:
        await client.get_schedule_handle(schedule_id).delete()
    except RPCError as error:
        # The list is eventually consistent, and another worker may have deleted it first.
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


@workflow.defn(name="sweep")
class SweepWorkflow:
    """Workflow of a sweep that looks for changes which no channel reports as an event."""

    @workflow.run
    async def run(
        self,
        request: SweepRequest,
        activity: str = LAPSED_SWEEP.activity,
        looks_for: str = LAPSED_SWEEP.description,
    ) -> SweepResult:
        """Run one sweep, as one activity."""
        found: SweepResult = await workflow.execute_activity(
            activity,
            request,
            result_type=SweepResult,
            start_to_close_timeout=timedelta(minutes=10),
            summary=f"find {looks_for}",
        )
        workflow.set_current_details(f"{looks_for}: {found.entered} found")
        return found


async def ensure_sweep_schedules(client: Client) -> None:
    """Create the missing schedules of ``SCHEDULED_SWEEPS``. Existing ones, changed or paused, stay as is."""
    for sweep in SCHEDULED_SWEEPS:
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=sweep.interval)])
        args = [SweepRequest(), sweep.activity, sweep.description]
        schedule = _schedule(sweep.schedule_id, "sweep", args, sweep.description, spec)
        try:
            await client.create_schedule(sweep.schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            continue
