"""Replay histories through the code of the working tree, and describe where the two differ."""

import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from authoring.replay.history import RunStep, received_events, step_of_event, steps_of_commands
from journeys.vocabulary import Journey
from workers.worker import create_workflow_runner

_EVENT = re.compile(r"HistoryEvent(?:\(id: | \{ event_id: )(\d+)")

_UNPATCHED = re.compile(r"patch marker encountered for change (\S+), but there is no")

_MESSAGE = re.compile(r'message: "(.*?)", source: ', re.DOTALL)

_GUARD = (
    'guard the change (if workflow.patched("a-word-for-it"): the new way, else: the old one), or give '
    "the new story a name of its own beside the old one (@journey(name=…)), or let these runs end first"
)

_VARYING = re.compile(r" until .*| #\d+")
"""Parts of a summary that differ between runs with the same cause."""


@dataclass(slots=True)
class ReplayedCommands:
    """The commands of the code in one replay."""

    steps: list[RunStep] = field(default_factory=list)
    replayed: int = 0
    """How many of the steps belong to tasks that the history has completed."""
    raised: str = ""
    """The error that the journey raised, and where; empty where it raised none."""


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """A history after its replay."""

    history: WorkflowHistory
    failure: str
    """Temporal's message; empty where Temporal finds that the history replays."""
    commands: ReplayedCommands
    lost_entry: str = ""
    """The event that started the run, if the journey starts on none that the run has received."""

    @property
    def steps(self) -> list[RunStep]:
        """The steps that the history records."""
        return [step for event in self.history.events if (step := step_of_event(event))]

    @property
    def breaks(self) -> bool:
        """Whether the run would break.

        Temporal compares only the steps that a history records. A step that the code takes in a completed
        task after the last of them fails the next task of the run. A run without an entry event never starts
        its story, which is no failure for Temporal.
        """
        waits_for_entry = bool(self.lost_entry) and not self.commands.steps
        return bool(self.failure) or waits_for_entry or self.commands.replayed > len(self.steps)


async def replay(
    journeys: Sequence[type[Journey]], histories: AsyncIterator[WorkflowHistory]
) -> AsyncIterator[ReplayedRun]:
    """Replay with the worker's sandbox and converter. Sends nothing to a server."""
    recorder = _Recorder(create_workflow_runner())
    starts = {each.definition.name: each.definition.start_names for each in journeys}
    replayer = Replayer(
        workflows=journeys,
        workflow_runner=recorder,
        data_converter=pydantic_data_converter,
        # The report contains each failure; it need not be logged as well.
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
    )
    with _without_logging():
        async with replayer.workflow_replay_iterator(histories) as results:
            async for result in results:
                failure = "" if result.replay_failure is None else str(result.replay_failure)
                commands = recorder.take(result.history.run_id)
                yield ReplayedRun(result.history, failure, commands, _lost_entry(result.history, starts))


def _lost_entry(history: WorkflowHistory, starts: Mapping[str, frozenset[str]]) -> str:
    started = history.events[0].workflow_execution_started_event_attributes
    received = received_events(history.events)
    return received[0] if received and starts[started.workflow_type.name].isdisjoint(received) else ""


class _Recorder(WorkflowRunner):
    """The worker's runner, which also records the commands of each run."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self._commands: dict[str, ReplayedCommands] = {}

    def take(self, run_id: str) -> ReplayedCommands:
        """Return and drop the commands of a run."""
        return self._commands.pop(run_id, ReplayedCommands())

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        commands = self._commands[det.info.run_id] = ReplayedCommands()
        return _RecordingInstance(self._runner.create_instance(det), commands)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


class _RecordingInstance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, commands: ReplayedCommands) -> None:
        self._instance = instance
        self._commands = commands

    def activate(self, act: Any) -> WorkflowActivationCompletion:
        completion = self._instance.activate(act)
        steps = steps_of_commands(completion.successful.commands)
        self._commands.steps += steps
        if act.is_replaying:
            self._commands.replayed += len(steps)
        if completion.HasField("failed"):
            failure = completion.failed.failure
            kind = failure.application_failure_info.type
            place = _place(failure.stack_trace)
            self._commands.raised = f"{kind}: {failure.message}".strip(": ") + (
                f" ({place})" if place else ""
            )
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def _place(trace: str) -> str:
    """The place of an error: the last line of its trace outside of installed packages."""
    lines = [line.strip() for line in trace.splitlines() if line.strip().startswith('File "')]
    own = [line for line in lines if "site-packages" not in line]
    if not own:
        return ""
    file, line, *_ = own[-1].removeprefix('File "').split(", ")
    return f"{'/'.join(file.rstrip(chr(34)).split('/')[-2:])}:{line.removeprefix('line ')}"


@contextmanager
def _without_logging() -> Iterator[None]:
    """Suppress the SDK's log lines about runs that fail; the report contains them."""
    logger = logging.getLogger("temporalio")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the code first differs from a history. Equal differences at different events are one cause."""

    description: str
    remedy: str
    event_id: int
    """The event in the history; 0 where Temporal names none."""


def difference(run: ReplayedRun) -> Difference:
    """The first difference of a run that breaks."""
    steps, commands = run.steps, run.commands.steps
    if run.commands.raised:
        return _raised(run, steps)
    if run.lost_entry:
        return _without_entry(run.lost_entry)
    if patch := _UNPATCHED.search(run.failure):
        return _unpatched(patch[1], steps)
    if not run.failure:
        description = f"history waits here, the code now asks for {_plain(commands[len(steps)])}"
        return Difference(description, _GUARD, run.history.events[-1].event_id)
    pairs = enumerate(zip_longest(steps, commands))
    at = next((n for n, (step, now) in pairs if not (step and now and step.matches(now))), len(steps))
    if named := _EVENT.search(run.failure):
        # The event that Temporal names takes precedence.
        at = next((n for n, step in enumerate(steps) if step.event_id == int(named[1])), at)
    if at >= len(steps):
        return Difference(_message(run.failure), _GUARD, int(named[1]) if named else 0)
    now = f"asks for {_plain(commands[at])}" if at < len(commands) else "asks for nothing"
    description = f"history has {_plain(steps[at])} here, the code now {now}"
    return Difference(description, _GUARD, steps[at].event_id)


def _raised(run: ReplayedRun, steps: list[RunStep]) -> Difference:
    done = len(run.commands.steps)
    here = f"history has {_plain(steps[done])} here" if done < len(steps) else "history waits here"
    at = steps[done].event_id if done < len(steps) else run.history.events[-1].event_id
    return Difference(
        f"{here}, the code now raises {run.commands.raised}",
        "mend the story; a run whose story raises stands still until it no longer does, and then goes on",
        at,
    )


def _without_entry(event: str) -> Difference:
    return Difference(
        f"the run started on {event}, the journey now starts on none of the events that the run has received",
        "keep the event in starts_on until these runs have ended; `where` can refuse it for new runs",
        0,
    )


def _unpatched(patch: str, steps: list[RunStep]) -> Difference:
    at = next((step.event_id for step in steps if step.kind == "patch marker"), 0)
    return Difference(
        f"history went the new way of patch {patch!r}, the code now knows no such patch",
        f'keep workflow.patched("{patch}"), or workflow.deprecate_patch("{patch}") once no run of the old '
        "way is left, in the story until these runs have ended",
        at,
    )


def _plain(step: RunStep) -> str:
    return str(RunStep(step.kind, step.name, _VARYING.sub("", step.summary)))


def _message(failure: str) -> str:
    found = _MESSAGE.search(failure)
    return (found[1] if found else failure)[:300]
