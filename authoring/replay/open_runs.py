"""The open runs of a live server: which there are, and their histories. Reads only."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JOURNEY_QUEUE
from authoring.replay.steps import has_ended

_AT_ONCE = 10
"""Histories fetched at the same time: quick for us, little for the server."""

_OPEN = f'ExecutionStatus = "Running" AND TaskQueue = "{JOURNEY_QUEUE}"'


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """Open runs of these journeys, newest first, ``limit`` of them at most."""

    client: Client
    journeys: Sequence[str]
    limit: int | None = None

    async def count(self) -> int:
        """How many there are, beyond any limit."""
        return (await self.client.count_workflows(self._query())).count

    async def histories(self, ended: Callable[[], None]) -> AsyncIterator[WorkflowHistory]:
        """Their histories, a few fetched ahead. ``ended`` is called for each that has ended meanwhile."""
        ahead: deque[asyncio.Task[WorkflowHistory | None]] = deque()
        try:
            async for run in self.client.list_workflows(self._query(), limit=self.limit):
                ahead.append(asyncio.create_task(self.history(run)))
                if len(ahead) >= _AT_ONCE and (history := await _next(ahead, ended)):
                    yield history
            while ahead:
                if history := await _next(ahead, ended):
                    yield history
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def history(self, run: WorkflowExecution) -> WorkflowHistory | None:
        """One run's history, or None where it has ended by now."""
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


async def of_no_journey(client: Client, journeys: Sequence[str]) -> dict[str, list[str]]:
    """Open runs on Waypost's queue whose type is none of these journeys: their workflow ids by type."""
    others = " AND ".join(f'WorkflowType != "{name}"' for name in journeys)
    found: dict[str, list[str]] = {}
    async for run in client.list_workflows(f"{_OPEN} AND {others}"):
        # A run's id begins with its journey's name; the sweeps on the same queue have ids of another kind.
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
