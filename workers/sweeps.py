"""The scheduled sweeps: operators see in Temporal when each ran and what it found, and may pause it."""

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
)

from activities.contracts import JOURNEY_QUEUE, Sweep, Swept


@dataclass(frozen=True, slots=True)
class ScheduledSweep:
    """One sweep, and how often it is made."""

    schedule_id: str
    activity: str
    every: timedelta
    looks_for: str
    """In words, for operators."""


SCHEDULE_ID = "waypost-sweeps"
"""The schedule of the sweep for lapsed customers."""

LAPSED = ScheduledSweep(SCHEDULE_ID, "sweep_lapsed", timedelta(hours=1), "lapsed customers")
PRODUCTS = ScheduledSweep(
    "waypost-products", "sweep_products", timedelta(minutes=1), "products in open carts that changed"
)
TEMPLATES = ScheduledSweep(
    "waypost-templates", "sweep_templates", timedelta(minutes=1), "templates that bounce or annoy too many"
)
SWEEPS = (LAPSED, PRODUCTS, TEMPLATES)


@workflow.defn(name="sweep")
class SweepWorkflow:
    """Find people whom no event of a channel brings in."""

    @workflow.run
    async def run(
        self, request: Sweep, activity: str = LAPSED.activity, looks_for: str = LAPSED.looks_for
    ) -> Swept:
        """One sweep, as one activity."""
        found: Swept = await workflow.execute_activity(
            activity,
            request,
            result_type=Swept,
            start_to_close_timeout=timedelta(minutes=10),
            summary=f"find {looks_for}",
        )
        workflow.set_current_details(f"{looks_for}: {found.entered} found")
        return found


async def ensure_schedule(client: Client) -> None:
    """Make the schedules that are not there yet; one that operators changed or paused stays as it is."""
    for sweep in SWEEPS:
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                "sweep",
                args=[Sweep(), sweep.activity, sweep.looks_for],
                id=sweep.schedule_id,
                task_queue=JOURNEY_QUEUE,
                static_summary=f"find {sweep.looks_for}",
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=sweep.every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
        )
        try:
            await client.create_schedule(sweep.schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            continue
