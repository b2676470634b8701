"""The open runs of a live server, and the steps that a run's history records. Reads only."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JOURNEY_QUEUE

_MAX_CONCURRENT_FETCHES = 10

_OPEN = f'ExecutionStatus = "Running" AND TaskQueue = "{JOURNEY_QUEUE}"'

_TIMER, _ACTIVITY, _CHILD, _PATCH = "timer", "activity", "child workflow", "patch marker"

_ENDS = {
    "complete_workflow_execution": "the end of the run",
    "fail_workflow_execution": "the failure of the run",
    "cancel_workflow_execution": "the cancellation of the run",
    "continue_as_new_workflow_execution": "a continuation as a new run",
}

_ENDED = {
    "workflow_execution_completed": "the end of the run",
    "workflow_execution_failed": "the failure of the run",
    "workflow_execution_canceled": "the cancellation of the run",
    "workflow_execution_continued_as_new": "a continuation as a new run",
    "workflow_execution_terminated": "its termination",
    "workflow_execution_timed_out": "its time running out",
}

_ACTIVITY_ENDS = tuple(f"activity_task_{end}" for end in ("completed", "failed", "timed_out", "canceled"))


@dataclass(frozen=True, slots=True)
class RunStep:
    """A command of a run; an activity with its type, each with the summary that the code gave it."""

    kind: str
    name: str = ""
    summary: str = ""
    event_id: int = 0
    """The event in the history; 0 for a command of the code."""

    def __str__(self) -> str:
        if self.kind == _TIMER:
            return f"the timer '{self.summary}'" if self.summary else "a timer"
        text = f"{self.kind} {self.name}".rstrip()
        return f"{text} ({self.summary})" if self.summary else text

    def matches(self, other: "RunStep") -> bool:
        """Whether a replay accepts one for the other: it compares kinds and activity types only."""
        return self.kind == other.kind and self.name == other.name


def step_of_event(event: HistoryEvent) -> RunStep | None:
    """The step that a history event records; None where it records none."""
    kind = _attributes(event)
    at, summary = event.event_id, _summary(event.user_metadata)
    match kind:
        case "timer_started":
            return RunStep(_TIMER, "", summary, at)
        case "activity_task_scheduled":
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            return RunStep(_ACTIVITY, name, summary, at)
        case "start_child_workflow_execution_initiated":
            child = event.start_child_workflow_execution_initiated_event_attributes.workflow_type.name
            return RunStep(_CHILD, child, summary, at)
        case "marker_recorded":
            return RunStep(_PATCH, "", "", at)
    return RunStep(_ENDED[kind], "", "", at) if kind in _ENDED else None


def step_of_command(command: WorkflowCommand) -> RunStep | None:
    """The step of a command; None where a history records none of its kind."""
    kind, summary = command.WhichOneof("variant") or "", _summary(command.user_metadata)
    match kind:
        case "start_timer":
            return RunStep(_TIMER, "", summary)
        case "schedule_activity":
            return RunStep(_ACTIVITY, command.schedule_activity.activity_type, summary)
        case "start_child_workflow_execution":
            return RunStep(_CHILD, command.start_child_workflow_execution.workflow_type, summary)
        case "set_patch_marker":
            return RunStep(_PATCH)
    return RunStep(_ENDS[kind]) if kind in _ENDS else None


def steps_of_commands(commands: Sequence[WorkflowCommand]) -> list[RunStep]:
    """The steps of one task, without timers and activities that it cancels at once."""
    timers = {c.cancel_timer.seq for c in commands if c.HasField("cancel_timer")}
    activities = {c.request_cancel_activity.seq for c in commands if c.HasField("request_cancel_activity")}
    steps = []
    for command in commands:
        if command.HasField("start_timer") and command.start_timer.seq in timers:
            continue
        if command.HasField("schedule_activity") and command.schedule_activity.seq in activities:
            continue
        if step := step_of_command(command):
            steps.append(step)
    return steps


def waiting_for(events: Sequence[HistoryEvent]) -> str:
    """The running timers and activities in a history, as a phrase."""
    open_steps: dict[int, RunStep] = {}
    for event in events:
        if (step := step_of_event(event)) is not None and step.kind in (_TIMER, _ACTIVITY):
            open_steps[event.event_id] = step
        kind = _attributes(event)
        closing: Any = getattr(event, event.WhichOneof("attributes") or "user_metadata")
        if kind in ("timer_fired", "timer_canceled"):
            open_steps.pop(closing.started_event_id, None)
        if kind in _ACTIVITY_ENDS:
            open_steps.pop(closing.scheduled_event_id, None)
    return " and ".join(map(str, open_steps.values())) or "an event, without a time limit"


def received_events(events: Sequence[HistoryEvent]) -> list[str]:
    """Names of the signals in a history, in their order: events of the profile, and orders to the run."""
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


def has_ended(events: Sequence[HistoryEvent]) -> bool:
    """Whether the history is that of a closed run."""
    return bool(events) and _attributes(events[-1]) in _ENDED


def _attributes(event: HistoryEvent) -> str:
    return (event.WhichOneof("attributes") or "").removesuffix("_event_attributes")


def _summary(metadata: UserMetadata) -> str:
    if not metadata.HasField("summary"):
        return ""
    payload = Payload()
    payload.CopyFrom(metadata.summary)
    return str(pydantic_data_converter.payload_converter.from_payload(payload))


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """Open runs of these journeys, newest first, at most ``limit`` of them."""

    client: Client
    journeys: Sequence[str]
    limit: int | None = None

    async def count(self) -> int:
        """The number of open runs, without the limit."""
        return (await self.client.count_workflows(self._query())).count

    async def histories(self, ended: Callable[[], None]) -> AsyncIterator[WorkflowHistory]:
        """Yield their histories, some fetched ahead. Calls ``ended`` for each run that has closed since."""
        ahead: deque[asyncio.Task[WorkflowHistory | None]] = deque()
        try:
            async for run in self.client.list_workflows(self._query(), limit=self.limit):
                ahead.append(asyncio.create_task(self.history(run)))
                if len(ahead) >= _MAX_CONCURRENT_FETCHES and (history := await _next(ahead, ended)):
                    yield history
            while ahead:
                if history := await _next(ahead, ended):
                    yield history
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def history(self, run: WorkflowExecution) -> WorkflowHistory | None:
        """The history of a run; None where the run has closed."""
        try:
            history = await self.client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return None if has_ended(history.events) else history

    def _query(self) -> str:
        kinds = " OR ".join(f'WorkflowType = "{name}"' for name in self.journeys)
        return f"{_OPEN} AND ({kinds})"


async def orphaned_runs(client: Client, journeys: Sequence[str]) -> dict[str, list[str]]:
    """Return the workflow ids of Waypost's open runs with a type that is none of these journeys, by type."""
    others = " AND ".join(f'WorkflowType != "{name}"' for name in journeys)
    found: dict[str, list[str]] = {}
    async for run in client.list_workflows(f"{_OPEN} AND {others}"):
        # A run's id begins with its journey's name; the ids of sweeps on the same queue do not.
        if run.id.startswith(f"{run.workflow_type}/"):
            found.setdefault(run.workflow_type, []).append(run.id)
    return found


async def _next(
    ahead: deque[asyncio.Task[WorkflowHistory | None]], ended: Callable[[], None]
) -> WorkflowHistory | None:
    history = await ahead.popleft()
    if history is None:
        ended()
    return history
