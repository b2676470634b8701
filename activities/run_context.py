"""The context of a run in an activity: its current time, and the error for a run that does not exist."""

from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError


def no_such_run(message: str) -> ApplicationError:
    """Return the permanent error for a run that is not in Postgres: Waypost did not start the workflow."""
    return ApplicationError(message, type="NoSuchRun", non_retryable=True)


def run_now(clock_offset_s: float) -> datetime:
    """Return when this attempt started, by Temporal's clock (never the worker's) plus the run's offset."""
    return activity.info().started_time + timedelta(seconds=clock_offset_s)
