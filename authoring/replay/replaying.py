"""Replay histories through the code of the working tree, and keep what it asked for on the way."""

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from authoring.replay.steps import Step, steps_of_commands
from journeys.vocabulary import Journey
from workers.worker import create_workflow_runner


@dataclass(slots=True)
class Asked:
    """What the code asked for in one replay."""

    steps: list[Step] = field(default_factory=list)
    raised: str = ""
    """The error the story raised, and where; empty where it raised none."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One history after its replay."""

    history: WorkflowHistory
    failure: str
    """Temporal's words; empty where the history replays."""
    asked: Asked


async def replayed(
    journeys: Sequence[type[Journey]], histories: AsyncIterator[WorkflowHistory]
) -> AsyncIterator[Replayed]:
    """Replay as the worker runs: the same sandbox, the same converter. Nothing reaches a server."""
    recorder = _Recorder(create_workflow_runner())
    replayer = Replayer(
        workflows=journeys,
        workflow_runner=recorder,
        data_converter=pydantic_data_converter,
        # Each failure would otherwise be logged as well, beside the report of it.
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
    )
    with _silent():
        async with replayer.workflow_replay_iterator(histories) as results:
            async for result in results:
                failure = "" if result.replay_failure is None else str(result.replay_failure)
                yield Replayed(result.history, failure, recorder.take(result.history.run_id))


class _Recorder(WorkflowRunner):
    """The worker's runner, with an ear for what each run asks of Temporal."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self._asked: dict[str, Asked] = {}

    def take(self, run_id: str) -> Asked:
        """What one run asked for; forgotten afterwards."""
        return self._asked.pop(run_id, Asked())

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        asked = self._asked[det.info.run_id] = Asked()
        return _Overheard(self._runner.create_instance(det), asked)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


class _Overheard(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, asked: Asked) -> None:
        self._instance = instance
        self._asked = asked

    def activate(self, act: Any) -> WorkflowActivationCompletion:
        completion = self._instance.activate(act)
        self._asked.steps += steps_of_commands(completion.successful.commands)
        if completion.HasField("failed"):
            failure = completion.failed.failure
            kind = failure.application_failure_info.type
            place = _place(failure.stack_trace)
            self._asked.raised = f"{kind}: {failure.message}".strip(": ") + (f" ({place})" if place else "")
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
    """Where an error came from: the last line of its trace outside installed packages."""
    lines = [line.strip() for line in trace.splitlines() if line.strip().startswith('File "')]
    own = [line for line in lines if "site-packages" not in line]
    if not own:
        return ""
    file, line, *_ = own[-1].removeprefix('File "').split(", ")
    return f"{'/'.join(file.rstrip(chr(34)).split('/')[-2:])}:{line.removeprefix('line ')}"


@contextmanager
def _silent() -> Iterator[None]:
    """No lines of the SDK's own about runs that fail: the report tells them."""
    logger = logging.getLogger("temporalio")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
