"""What a run asked of Temporal, step by step: as its history says, and as the code of today asks again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.contrib.pydantic import pydantic_data_converter

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
class Step:
    """One command; an activity by its type, with the one-line summary it was given."""

    kind: str
    name: str = ""
    summary: str = ""
    event_id: int = 0
    """Where in the history; 0 for what the code asks."""

    def __str__(self) -> str:
        if self.kind == _TIMER:
            return f"the timer '{self.summary}'" if self.summary else "a timer"
        said = f"{self.kind} {self.name}".rstrip()
        return f"{said} ({self.summary})" if self.summary else said

    def fits(self, other: "Step") -> bool:
        """Whether a replay takes one for the other: it compares kinds and activity types only."""
        return self.kind == other.kind and self.name == other.name


def step_of_event(event: HistoryEvent) -> Step | None:
    """The step a history event records, or None where it records none."""
    kind = _attributes(event)
    at, summary = event.event_id, _summary(event.user_metadata)
    match kind:
        case "timer_started":
            return Step(_TIMER, "", summary, at)
        case "activity_task_scheduled":
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            return Step(_ACTIVITY, name, summary, at)
        case "start_child_workflow_execution_initiated":
            child = event.start_child_workflow_execution_initiated_event_attributes.workflow_type.name
            return Step(_CHILD, child, summary, at)
        case "marker_recorded":
            return Step(_PATCH, "", "", at)
    return Step(_ENDED[kind], "", "", at) if kind in _ENDED else None


def step_of_command(command: WorkflowCommand) -> Step | None:
    """The step a command asks for, or None where a history records none of its kind."""
    kind, summary = command.WhichOneof("variant") or "", _summary(command.user_metadata)
    match kind:
        case "start_timer":
            return Step(_TIMER, "", summary)
        case "schedule_activity":
            return Step(_ACTIVITY, command.schedule_activity.activity_type, summary)
        case "start_child_workflow_execution":
            return Step(_CHILD, command.start_child_workflow_execution.workflow_type, summary)
        case "set_patch_marker":
            return Step(_PATCH)
    return Step(_ENDS[kind]) if kind in _ENDS else None


def steps_of_commands(commands: Sequence[WorkflowCommand]) -> list[Step]:
    """The steps of one task; a timer or activity that it takes back at once reaches no history."""
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
    """What a run waits for, as far as its history says: its running timers and activities."""
    open_steps: dict[int, Step] = {}
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


def has_ended(events: Sequence[HistoryEvent]) -> bool:
    """Whether the history is that of a run that is over."""
    return bool(events) and _attributes(events[-1]) in _ENDED


def _attributes(event: HistoryEvent) -> str:
    return (event.WhichOneof("attributes") or "").removesuffix("_event_attributes")


def _summary(metadata: UserMetadata) -> str:
    if not metadata.HasField("summary"):
        return ""
    payload = Payload()
    payload.CopyFrom(metadata.summary)
    return str(pydantic_data_converter.payload_converter.from_payload(payload))
