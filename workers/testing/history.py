"""What a run's Temporal history tells: its waits, its timers still to fire, and a story that raised."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadConverter

_SHOWN_OTHERWISE = frozenset({"send_message", "join_audience", "close_run"})
"""Activities whose effects the ledger shows."""

_AUTHORS_MISTAKE = frozenset({"UnknownTemplate", "NoStandIn"})
"""Error types that no retry can mend."""

_RAISED = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
    }
)
"""A task also fails in good order, where a signal comes in while it is being answered."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a run did, by Temporal's clock."""

    at: datetime
    words: str
    until: datetime | None = None
    """Set for a wait: when it is over at the latest."""


@dataclass(slots=True)
class RunHistory:
    """One run's history as far as it has been read."""

    steps: list[Step] = field(default_factory=list)
    _raised: str = ""
    _mistake: str = ""
    _timers: dict[int, datetime] = field(default_factory=dict)
    _read: int = 0

    def read(self, events: Sequence[HistoryEvent]) -> None:
        """Take in a whole history; what has been read before is passed over."""
        for event in events:
            if event.event_id > self._read:
                self._take(event)
                self._read = event.event_id

    @property
    def fault(self) -> str:
        """What the author has to mend, in Temporal's words; empty while nothing is wrong."""
        return self._mistake or self._raised

    @property
    def due(self) -> datetime | None:
        """When the next timer fires, by Temporal's clock."""
        return min(self._timers.values(), default=None)

    def _take(self, event: HistoryEvent) -> None:
        at = instant(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_TIMER_STARTED:
                due = at + event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
                self._timers[event.event_id] = due
                self.steps.append(Step(at, _summary(event), due))
            case EventType.EVENT_TYPE_TIMER_FIRED:
                self._timers.pop(event.timer_fired_event_attributes.started_event_id, None)
            case EventType.EVENT_TYPE_TIMER_CANCELED:
                self._timers.pop(event.timer_canceled_event_attributes.started_event_id, None)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                kind = event.activity_task_scheduled_event_attributes.activity_type.name
                if kind not in _SHOWN_OTHERWISE:
                    self.steps.append(Step(at, _summary(event) or kind))
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                self._judge(event.activity_task_started_event_attributes.last_failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                self._judge(event.activity_task_failed_event_attributes.failure)
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                self._raised = in_words(failed.failure) if failed.cause in _RAISED else ""
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                self._raised = ""

    def _judge(self, failure: Failure) -> None:
        if is_authors_mistake(failure):
            self._mistake = in_words(failure)


def is_authors_mistake(failure: Failure) -> bool:
    """Whether an activity failed for something that only an author can mend."""
    return failure.application_failure_info.type in _AUTHORS_MISTAKE


def in_words(failure: Failure) -> str:
    """A failure with its kind, and where in the code it came from."""
    kind = failure.application_failure_info.type
    told = f"{kind}: {failure.message}" if kind and kind not in failure.message else failure.message
    return f"{told}\n{failure.stack_trace.rstrip()}" if failure.stack_trace.strip() else told


def instant(stamp: Timestamp) -> datetime:
    """A protobuf instant as Python's."""
    return stamp.ToDatetime(tzinfo=UTC)


def _summary(event: HistoryEvent) -> str:
    payload = event.user_metadata.summary
    return str(PayloadConverter.default.from_payload(payload, str)) if payload.data else ""
