"""The gate before an ad audience: decided, recorded and queued in one transaction."""

from dataclasses import replace
from datetime import datetime
from functools import partial

from activities.contracts import SendMessage
from activities.gate import NoSuchRun, decided, expose, holds_of
from activities.terms import ask_of, facts_of, plan_of, planned_of
from policy.limits import Limits
from policy.replay import basis_of, version_of
from policy.verdict import Allow, MessageClass, Verdict
from profiles.audiences import Place, join
from profiles.claims import lock_person_of, read_under_lock, write_decision
from profiles.database import Database
from profiles.patience import GIVE_UP_S

TOPIC = "marketing"


class AudienceGate:
    """Decides on entering an audience; the platform is told by the relay."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._limits = limits
        self._policy = version_of(limits)
        self._default_zone = default_zone

    async def enter(self, request: SendMessage, at: datetime) -> Verdict:
        """Decide at the run's now, and queue the entry where it is allowed. Idempotent per run and step."""
        ask = ask_of(request, at, self._limits)

        async def work(connection: object) -> Verdict:
            snapshot = await read_under_lock(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {request.run_id}")
            if snapshot.standing and snapshot.standing.status == "sent":
                return Allow(items=snapshot.standing.items)
            held = await holds_of(connection, snapshot, request, at)
            plan = plan_of(request, MessageClass.MARKETING, TOPIC)
            read = partial(facts_of, snapshot, request.channel, at, self._default_zone, held)
            facts, verdict = decided(plan, read, self._limits, at)
            planned = planned_of(request, snapshot, plan, verdict, at)
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
            basis = basis_of(plan, facts, at) if facts else None
            await write_decision(connection, replace(planned, policy=self._policy, basis=basis))
            await expose(connection, request)
            return verdict

        return await self._database.run(work, lock_person_of(ask), GIVE_UP_S)
