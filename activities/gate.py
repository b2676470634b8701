"""The send gate's transaction: lock, read, let ``policy`` decide, write down what it says, commit."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.deciding import Decided, Decider, NoSuchRun, expose
from activities.terms import plan_of, ranking
from policy.facts import Plan
from policy.limits import Limits
from policy.quiet_hours import open_until
from policy.verdict import Allow, Channel, MessageClass, Verdict
from profiles.claims import Snapshot, Standing, decision_of, lock_person_of, read_under_lock
from profiles.database import Database
from profiles.patience import GIVE_UP_S
from profiles.settling import mark_unknown

_ACCEPTED = frozenset({"sent", "delivered", "bounced", "opened", "clicked"})
_UNSENT = frozenset({"withheld", "deferred", "released"})
"""All else may have been sent, also a status that this version does not know."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A committed licence to call the provider, once, within 5 seconds."""

    message_id: UUID
    token: UUID
    address: str
    items: tuple[str, ...]
    removed: tuple[str, ...]
    snapshot: Snapshot
    valid_for: timedelta | None
    """No later than this may the provider deliver."""
    zone: str
    channels: tuple[Channel, ...]
    """As they suit the person, where the run asked to choose."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not now, or not at all."""

    message_id: UUID
    verdict: Verdict
    snapshot: Snapshot
    zone: str
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another channel suits the person better; nothing was decided, and nothing written."""

    channels: tuple[Channel, ...]
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Settled:
    """An earlier attempt has already settled this send key."""

    standing: Standing
    accepted: bool
    """True: the provider took it. False: nobody knows, and nobody may call."""


class Gate:
    """Decides and claims; holds no state between calls."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone)

    async def claim(
        self,
        request: SendMessage,
        message_class: MessageClass,
        topic: str,
        at: datetime,
        *,
        among: Collection[Channel] = (),
        breaker_open_until: datetime | None = None,
    ) -> Claim | Refusal | Settled | Elsewhere:
        """Decide on one message at the run's now; whatever the answer, it is committed when this returns.

        ``among``: the channels to choose from where the request asks to choose. ``breaker_open_until``: the
        channel's provider is left alone until then. Raises ``NoSuchRun``. A claim found in another's hands
        becomes ``unknown``: that one may have called.
        """
        ask = self._decider.ask_of(request, at)

        async def work(connection: object) -> Claim | Refusal | Settled | Elsewhere:
            snapshot = await read_under_lock(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {request.run_id}")
            if standing := snapshot.standing:
                if standing.status in _ACCEPTED:
                    return Settled(standing, accepted=True)
                if standing.status not in _UNSENT:
                    await mark_unknown(connection, standing.message_id)
                    return Settled(standing, accepted=False)
            channels = ranking(snapshot, among) if request.choose else ()
            if standing is None and channels and channels[0] is not request.channel:
                return Elsewhere(channels, snapshot)
            plan = plan_of(request, message_class, topic, standing)
            decided = await self._decider.decide(
                connection, request, plan, snapshot, at, breaker_open_until=breaker_open_until
            )
            await expose(connection, request)
            await self._database.commit(connection, decision_of(decided.planned))
            return self._answer(decided, plan, snapshot, at, channels)

        return await self._database.run(work, lock_person_of(ask), GIVE_UP_S)

    def _answer(
        self, decided: Decided, plan: Plan, snapshot: Snapshot, at: datetime, channels: tuple[Channel, ...]
    ) -> Claim | Refusal:
        planned, verdict = decided.planned, decided.verdict
        if decided.facts is None or not isinstance(verdict, Allow):
            return Refusal(planned.message_id, verdict, snapshot, decided.zone, channels)
        return Claim(
            message_id=planned.message_id,
            token=planned.token or planned.message_id,
            address=planned.address or "",
            items=verdict.items,
            removed=verdict.removed,
            snapshot=snapshot,
            valid_for=open_until(plan, decided.facts, self._decider.limits, at) - at,
            zone=decided.zone,
            channels=channels,
        )
