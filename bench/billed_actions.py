"""Billed actions of a run on Temporal Cloud, counted from its history."""

from collections import Counter
from collections.abc import Iterable

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_ACTION_KINDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "start",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signal",
    EventType.EVENT_TYPE_TIMER_STARTED: "timer",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attributes",
}


def count_billed_actions(history: Iterable[HistoryEvent], *, started_with_signal: bool) -> Counter[str]:
    """Return the number of billed actions by kind.

    A start with its signal is one action; each attempt of an activity is one. Not billed are current details,
    summaries, search attributes set at the start, and queries.
    https://docs.temporal.io/cloud/actions
    """
    counted: Counter[str] = Counter()
    for event in history:
        if kind := _ACTION_KINDS.get(event.event_type):
            counted[kind] += 1
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            # The history has only the last attempt, with its number.
            counted["activity attempt"] += event.activity_task_started_event_attributes.attempt
    if started_with_signal:
        counted["signal"] -= 1
    return +counted
