"""Closes runs: ends the run's row, and routes again the triggers that its story did not see."""

from collections.abc import Sequence
from uuid import UUID

from temporalio import activity

from activities.contracts import CloseResult, CloseRun
from activities.gate.decider import save_exposures
from activities.run_context import no_such_run, run_now
from profiles.db.database import Database
from profiles.runs.lifecycle import close_run
from profiles.runs.routing import Route


class RunActivities:
    """Activities on the row of a run."""

    def __init__(self, database: Database, routes: Sequence[Route], *, local: bool = False) -> None:
        self._database = database
        self._routes = tuple(routes)
        self._local = local

    @activity.defn(name="close_run")
    async def close_run(self, request: CloseRun) -> CloseResult:
        """End the run's row: ``profiles.runs.lifecycle.close_run``. Idempotent. Raises ``no_such_run``."""
        if request.exposures:
            async with self._database.transaction() as connection:
                await save_exposures(connection, request)
        try:
            closed = await close_run(
                self._database,
                self._routes,
                UUID(request.run_id),
                outcome=request.outcome,
                detail=request.detail,
                seen_event_ids=[UUID(event_id) for event_id in request.seen if _is_event_id(event_id)],
                at=run_now(request.clock_offset_s),
                local=self._local,
            )
        except KeyError as error:
            raise no_such_run(str(error)) from error
        return CloseResult(rerouted=closed.rerouted)


def _is_event_id(event_id: str) -> bool:
    # Signals sent by an operator have ids that are not event ids.
    try:
        UUID(event_id)
    except ValueError:
        return False
    return True
