"""Virtual time: run histories, a clock for each run, and the detection that all runs are idle.

Timers of several runs fire in the order in which they are due.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType, PendingActivityState, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import RunResult
from authoring.testing.environment import Waypost
from authoring.testing.errors import IdleTimeout, StoryFailed

_OMITTED_ACTIVITIES = frozenset({"send_message", "join_audience", "close_run"})
"""Activities without a step of their own: their effects are read from the database."""

_AUTHOR_ERROR_TYPES = frozenset({"UnknownTemplate", "NoStandIn"})
"""Error types that a retry cannot resolve."""

_STORY_ERROR_CAUSES = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
    }
)
"""Failures of a workflow task by the journey's code; a signal during a task fails it too, without harm."""

_IDLE_TIMEOUT_S = 20.0

_IDLE_POLL_INTERVAL_S = 0.004

_ADVANCE_POLL_INTERVAL_S = 0.25

_TIMER_BATCH_WINDOW = timedelta(seconds=5)
"""Timers due within this time of each other, or of the target, fire in one move."""

_TIMER_OVERSHOOT = timedelta(seconds=3)
"""How far a run is moved past a timer: a stop within milliseconds of it may be missed by the server."""

_SELECT_STARTED_RUNS = "SELECT * FROM run WHERE temporal_run_id IS NOT NULL ORDER BY entered_at, run_id"


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One step of a run, by Temporal's clock."""

    at: datetime
    summary: str
    until: datetime | None = None
    """For a wait: its latest end."""


@dataclass(slots=True)
class RunHistory:
    """One run's history as far as it has been read."""

    steps: list[HistoryStep] = field(default_factory=list)
    _story_error: str = ""
    _author_error: str = ""
    _timer_deadlines: dict[int, datetime] = field(default_factory=dict)
    _last_event_id: int = 0

    def update(self, events: Sequence[HistoryEvent]) -> None:
        """Apply a whole history; events that were applied before are skipped."""
        for event in events:
            if event.event_id > self._last_event_id:
                self._apply_event(event)
                self._last_event_id = event.event_id

    @property
    def error(self) -> str:
        """The error that the author has to correct, as Temporal reports it; empty where there is none."""
        return self._author_error or self._story_error

    @property
    def next_timer_at(self) -> datetime | None:
        """When the next timer fires, by Temporal's clock."""
        return min(self._timer_deadlines.values(), default=None)

    def _apply_event(self, event: HistoryEvent) -> None:
        at = to_datetime(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_TIMER_STARTED:
                due = at + event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
                self._timer_deadlines[event.event_id] = due
                self.steps.append(HistoryStep(at, _event_summary(event), due))
            case EventType.EVENT_TYPE_TIMER_FIRED:
                self._timer_deadlines.pop(event.timer_fired_event_attributes.started_event_id, None)
            case EventType.EVENT_TYPE_TIMER_CANCELED:
                self._timer_deadlines.pop(event.timer_canceled_event_attributes.started_event_id, None)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                kind = event.activity_task_scheduled_event_attributes.activity_type.name
                if kind not in _OMITTED_ACTIVITIES:
                    self.steps.append(HistoryStep(at, _event_summary(event) or kind))
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                self._record_author_error(event.activity_task_started_event_attributes.last_failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                self._record_author_error(event.activity_task_failed_event_attributes.failure)
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                self._story_error = (
                    format_failure(failed.failure) if failed.cause in _STORY_ERROR_CAUSES else ""
                )
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                self._story_error = ""

    def _record_author_error(self, failure: Failure) -> None:
        if is_author_error(failure):
            self._author_error = format_failure(failure)


def is_author_error(failure: Failure) -> bool:
    """Whether an activity failed with an error that only the author can correct."""
    return failure.application_failure_info.type in _AUTHOR_ERROR_TYPES


def format_failure(failure: Failure) -> str:
    """Return a failure with its type and its stack trace."""
    kind = failure.application_failure_info.type
    text = f"{kind}: {failure.message}" if kind and kind not in failure.message else failure.message
    return f"{text}\n{failure.stack_trace.rstrip()}" if failure.stack_trace.strip() else text


def to_datetime(stamp: Timestamp) -> datetime:
    """Convert a protobuf timestamp."""
    return stamp.ToDatetime(tzinfo=UTC)


def _event_summary(event: HistoryEvent) -> str:
    payload = event.user_metadata.summary
    return str(PayloadConverter.default.from_payload(payload, str)) if payload.data else ""


@dataclass(slots=True)
class RunClock:
    """One run: the position of its clock, and its history."""

    run_id: UUID
    journey: str
    handle: WorkflowHandle[Any, RunResult]
    calendar_offset: timedelta
    """From Temporal's clock to the test's calendar."""
    position: datetime
    """How far the test has moved the run. The run's own clock is ahead of it by the real time elapsed."""
    current_time: datetime
    history: RunHistory = field(default_factory=RunHistory)
    ended: bool = False
    history_length: int = 0

    @property
    def next_timer_at(self) -> datetime | None:
        """When the next timer fires, relative to the position."""
        due = self.history.next_timer_at
        return None if due is None else self.position + (due + self.calendar_offset - self.current_time)

    def is_behind(self, until: datetime) -> bool:
        """Whether the run has to move so that all timers due at ``until`` have fired."""
        return self.position < until or (
            self.next_timer_at is not None and self.next_timer_at <= until + _TIMER_BATCH_WINDOW
        )


class VirtualClock:
    """The clocks of all runs of one Waypost."""

    def __init__(self, waypost: Waypost) -> None:
        self.waypost = waypost
        self.run_clocks: dict[UUID, RunClock] = {}

    @property
    def live_run_clocks(self) -> list[RunClock]:
        """The clocks of runs that have not ended."""
        return [run for run in self.run_clocks.values() if not run.ended]

    async def run_until_idle(self) -> None:
        """Deliver the outbox, and wait until every run is at a wait or a retry and nothing is queued.

        Raises ``StoryFailed`` where a journey's code raised, and ``IdleTimeout`` after 20 seconds.
        """
        deadline = asyncio.get_running_loop().time() + _IDLE_TIMEOUT_S
        await self.waypost.deliver_outbox()
        while True:
            await self._add_new_runs()
            moving = [run for run in self.live_run_clocks if not await self._refresh_and_check_idle(run)]
            # A run may have queued something for another run before it became idle.
            if not moving and not await self.waypost.deliver_outbox():
                return
            if failed := self.waypost.workers_error:
                raise failed
            if asyncio.get_running_loop().time() > deadline:
                raise self._idle_timeout(moving)
            await asyncio.sleep(_IDLE_POLL_INTERVAL_S)

    async def advance_to(self, until: datetime) -> None:
        """Move all runs to ``until``, timer by timer in the order they are due, and then the test's clock."""
        await self.run_until_idle()
        while behind := [run for run in self.live_run_clocks if run.is_behind(until)]:
            goal = (
                until if len(behind) == 1 else min([until, *(run.next_timer_at or until for run in behind)])
            )
            for run in behind:
                if (due := run.next_timer_at) is not None and due <= goal + _TIMER_BATCH_WINDOW:
                    await self._advance_run(run, max(goal, due + _TIMER_OVERSHOOT))
                elif goal == until:
                    await self._advance_run(run, until)
            self.waypost.clock = max(self.waypost.clock, min(goal, until))
            await self.run_until_idle()
        self.waypost.clock = until

    async def _advance_run(self, run: RunClock, to: datetime) -> None:
        by = max(to - run.position, timedelta(milliseconds=1))
        run.position += by
        moving = asyncio.ensure_future(self.waypost.skipper.fast_forward(run.handle, by))
        try:
            await self._wait_for_advance(run, moving)
            await moving
        except RPCError as error:
            # The run has just ended, which is no error.
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        finally:
            moving.cancel()

    async def _wait_for_advance(self, run: RunClock, moving: asyncio.Future[bool]) -> None:
        """Wait until a run has moved; time does not pass while a story raises or an activity hangs."""
        loop = asyncio.get_running_loop()
        length, deadline = run.history_length, loop.time() + _IDLE_TIMEOUT_S
        while not (await asyncio.wait({moving}, timeout=_ADVANCE_POLL_INTERVAL_S))[0]:
            await self._refresh_and_check_idle(run)
            if run.history_length != length:
                length, deadline = run.history_length, loop.time() + _IDLE_TIMEOUT_S
            if loop.time() > deadline:
                raise self._idle_timeout([run])

    def _idle_timeout(self, moving: list[RunClock]) -> IdleTimeout:
        names = ", ".join(dict.fromkeys(run.journey for run in moving)) or "the outbox"
        return IdleTimeout(
            f"{names} did not come to rest within {_IDLE_TIMEOUT_S:g} s: does an activity hang, or does "
            "the story go round without waiting?"
        )

    async def _add_new_runs(self) -> None:
        for row in await self.waypost.fetch_rows(_SELECT_STARTED_RUNS):
            if row["run_id"] not in self.run_clocks:
                # A run that the end of another run started has the position of that run.
                position = max(self.waypost.clock, row["entered_at"])
                self.run_clocks[row["run_id"]] = RunClock(
                    run_id=row["run_id"],
                    journey=row["journey"],
                    handle=self.waypost.handle(row),
                    calendar_offset=timedelta(seconds=row["clock_offset_s"]),
                    position=position,
                    current_time=position,
                )

    async def _refresh_and_check_idle(self, run: RunClock) -> bool:
        description = await run.handle.describe()
        raw = description.raw_description
        info = raw.workflow_extended_info.time_skipping_info
        skipped = raw.workflow_extended_info.HasField("time_skipping_info")
        now = to_datetime(info.current_time) if skipped else datetime.now(UTC)
        run.current_time = now + run.calendar_offset
        if description.history_length != run.history_length:
            run.history.update((await run.handle.fetch_history()).events)
            run.history_length = description.history_length
        run.ended = description.status is not WorkflowExecutionStatus.RUNNING
        self._raise_story_error(run, description)
        if run.ended:
            return True
        if raw.HasField("pending_workflow_task") or not all(map(_is_retrying, raw.pending_activities)):
            return False
        return run.history.next_timer_at is None or run.history.next_timer_at > now

    def _raise_story_error(self, run: RunClock, description: WorkflowExecutionDescription) -> None:
        mistakes = [
            format_failure(pending.last_failure)
            for pending in description.raw_description.pending_activities
            if is_author_error(pending.last_failure)
        ]
        if fault := run.history.error or next(iter(mistakes), ""):
            run.ended = True  # report the failure once
            raise StoryFailed(f"{run.journey} cannot go on: {fault}")


def _is_retrying(pending: Any) -> bool:
    """Whether a pending activity failed and waits for its next attempt."""
    scheduled = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return bool(scheduled and pending.attempt > 1 and pending.HasField("last_failure"))
