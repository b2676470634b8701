"""A run's now inside an activity: Temporal's clock of this attempt, never the worker's."""

from datetime import datetime, timedelta

from temporalio import activity


def run_now(clock_offset_s: float) -> datetime:
    """When this attempt started, on the run's clock; virtual where time was skipped, also across retries."""
    return activity.info().started_time + timedelta(seconds=clock_offset_s)


class NoSuchRun(LookupError):
    """The run is not in Postgres: the workflow was started by somebody else."""
