"""Whether this process polls its task queues, as the Temporal server sees it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.worker import Worker

from workers.heartbeat import Heartbeat, Pulse

CHECK_INTERVAL_S = 20.0

MAX_POLL_AGE_S = 180.0
"""Seconds from one poll to the next, at the latest: a poll without a task takes about a minute."""

_RPC_TIMEOUT = timedelta(seconds=10)

_KIND_NAMES = {
    TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW: "workflows",
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: "activities",
}


class PollWatch:
    """Watches the polls of one task queue and kind by this process."""

    def __init__(self, client: Client, worker: Worker, kind: TaskQueueType.ValueType, pulse: Pulse) -> None:
        self._client = client
        self._worker = worker
        self._kind = kind
        self._pulse = pulse
        self._last_poll = 0

    async def check(self) -> None:
        """Record a success if this process has polled since the last check. Never raises.

        Compares the server's times with each other, not with the clock of this machine.
        """
        self._pulse.turn()
        try:
            polled = await self._newest_poll()
        except Exception as error:
            self._pulse.fail(error)
            return
        if not self._worker.is_running:
            self._pulse.fail(RuntimeError("the worker has stopped"))
        elif polled > self._last_poll:
            self._last_poll = polled
            self._pulse.succeed()

    async def _newest_poll(self) -> int:
        """Return the server's time of this process's newest poll, in nanoseconds; 0 if it lists none."""
        answer = await self._client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=self._worker.task_queue),
                task_queue_type=self._kind,
            ),
            timeout=_RPC_TIMEOUT,
        )
        polls = (
            poller.last_access_time.ToNanoseconds()
            for poller in answer.pollers
            if poller.identity == self._client.identity
        )
        return max(polls, default=0)


async def watch_polls(client: Client, workers: Sequence[Worker], heartbeat: Heartbeat) -> None:
    """Watch the polls of these workers until cancelled, one pulse per task queue and kind. Never raises."""
    watches = []
    for worker in workers:
        config = worker.config()
        kinds = [TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW] if config.get("workflows") else []
        kinds += [TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY] if config.get("activities") else []
        for kind in kinds:
            name = f"polling {worker.task_queue} for {_KIND_NAMES[kind]}"
            watches.append(PollWatch(client, worker, kind, heartbeat.pulse(name, MAX_POLL_AGE_S)))
    while True:
        await asyncio.gather(*(watch.check() for watch in watches))
        await asyncio.sleep(CHECK_INTERVAL_S)
