"""The scheduled sweep: operators see in Temporal when it ran and what it found, and may pause it."""

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
)

from activities.contracts import JOURNEY_QUEUE, Sweep, Swept

SCHEDULE_ID = "waypost-sweeps"
EVERY = timedelta(hours=1)


@workflow.defn(name="sweep")
class SweepWorkflow:
    """Find lapsed customers."""

    @workflow.run
    async def run(self, request: Sweep) -> Swept:
        """One sweep, as one activity."""
        found: Swept = await workflow.execute_activity(
            "sweep_lapsed",
            request,
            result_type=Swept,
            start_to_close_timeout=timedelta(minutes=10),
            summary="find lapsed customers",
        )
        workflow.set_current_details(f"{found.entered} lapsed customers found")
        return found


async def ensure_schedule(client: Client) -> None:
    """Make the schedule where it is not there yet; one that operators changed or paused stays as it is."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            "sweep",
            Sweep(),
            id=SCHEDULE_ID,
            task_queue=JOURNEY_QUEUE,
            static_summary="find people whom no event brings in",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        return
