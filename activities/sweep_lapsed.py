"""Run the sweep for lapsed customers."""

from temporalio import activity

from activities.contracts import Sweep, Swept
from profiles.database import Database
from profiles.ingest import Ingest
from profiles.lapsed import DEFAULT_LAPSE, Lapse, sweep_lapsed


class SweepActivities:
    """Sweeps that enter people by writing events."""

    def __init__(self, database: Database, ingest: Ingest, lapse: Lapse = DEFAULT_LAPSE) -> None:
        self._database = database
        self._ingest = ingest
        self._lapse = lapse

    @activity.defn(name="sweep_lapsed")
    async def sweep_lapsed(self, request: Sweep) -> Swept:
        """Until nobody is left to find; idempotent."""
        entered = 0
        while found := await sweep_lapsed(
            self._database, self._ingest, lapse=self._lapse, limit=request.batch
        ):
            entered += found
        return Swept(entered=entered)
