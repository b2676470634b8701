"""The gate before an ad audience: decided, recorded and queued in one transaction."""

from dataclasses import replace
from datetime import datetime

from activities.contracts import SendMessage
from activities.deciding import Decider, NoSuchRun, expose
from activities.terms import plan_of
from policy.limits import Limits
from policy.verdict import Allow, MessageClass, Verdict
from profiles.audiences import Place, join
from profiles.claims import decision_of, lock_person_of, read_under_lock
from profiles.database import Database
from profiles.patience import GIVE_UP_S

TOPIC = "marketing"


class AudienceGate:
    """Decides on entering an audience; the platform is told by the relay."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone)

    async def enter(self, request: SendMessage, at: datetime) -> Verdict:
        """Decide at the run's now, and queue the entry where it is allowed. Idempotent per run and step."""
        ask = self._decider.ask_of(request, at)

        async def work(connection: object) -> Verdict:
            snapshot = await read_under_lock(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {request.run_id}")
            if snapshot.standing and snapshot.standing.status == "sent":
                return Allow(items=snapshot.standing.items)
            plan = plan_of(request, MessageClass.MARKETING, TOPIC)
            decided = await self._decider.decide(connection, request, plan, snapshot, at)
            verdict, planned = decided.verdict, decided.planned
            if isinstance(verdict, Allow):
                planned = replace(planned, status="sent")
                left = [item for item in request.promoting or () if item.key in verdict.items]
                await join(
                    connection,
                    audience=request.template,
                    profile_id=snapshot.profile_id,
                    run_id=ask.run_id,
                    places=[Place(item.key, item.sku) for item in left],
                    at=at,
                )
            await expose(connection, request)
            await self._database.commit(connection, decision_of(planned))
            return verdict

        return await self._database.run(work, lock_person_of(ask), GIVE_UP_S)
