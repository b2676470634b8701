"""The context of a run in an activity: its current time, and the error for a run that does not exist."""

from datetime import datetime, timedelta

from temporalio import activity


class NoSuchRun(LookupError):
    """The run is not in Postgres: the workflow was not started by Waypost."""


def run_now(clock_offset_s: float) -> datetime:
    """Return when this attempt started, by Temporal's clock plus the run's offset, never the worker's clock.

    With time travel it is the virtual time, also in retries.
    """
    return activity.info().started_time + timedelta(seconds=clock_offset_s)
