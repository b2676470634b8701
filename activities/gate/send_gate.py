"""The send gate's transaction: lock, read, let ``policy`` decide, write down what it says, commit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.decider import Decided, Decider, expose
from activities.gate.mapping import plan_of, ranking
from activities.run_context import NoSuchRun
from policy.checks.quiet_hours import open_until
from policy.facts import Plan
from policy.limits import Limits
from policy.verdict import Allow, Channel, MessageClass, Verdict
from profiles.db.database import Database
from profiles.messaging.claims import (
    GIVE_UP_S,
    Planned,
    decision_of,
    lock_free_people_of,
    lock_person_of,
    mark_unknown,
    read_those_locked,
    read_under_lock,
)
from profiles.messaging.snapshot import Snapshot, Standing

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


Answer = Claim | Refusal | Settled | Elsewhere


@dataclass(frozen=True, slots=True)
class Case:
    """A message to be decided on."""

    request: SendMessage
    message_class: MessageClass
    topic: str
    at: datetime
    """The run's now."""
    among: Collection[Channel] = ()
    """The channels to choose from where the request asks to choose."""
    breaker_open_until: datetime | None = None
    """The channel's provider is left alone until then."""


class Gate:
    """Decides and claims; holds no state between calls."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone)

    async def hear(self, case: Case) -> Answer:
        """Decide on one message; whatever the answer, it is committed when this returns.

        Raises ``NoSuchRun``. A claim found in another's hands becomes ``unknown``: that one may have called.
        """
        ask = self._decider.ask_of(case.request, case.at)

        async def work(connection: object) -> Answer:
            snapshot = await read_under_lock(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {case.request.run_id}")
            answer, planned = await self._decide(connection, case, snapshot)
            await self._database.commit(connection, decision_of(planned) if planned else "")
            return answer

        return await self._database.run(work, lock_person_of(ask), GIVE_UP_S)

    async def hear_together(self, cases: Sequence[Case]) -> list[Answer | None]:
        """Decide on messages to several people in one transaction: all that are answered are committed.

        None, and nothing decided, where the person is locked by somebody else, or is also meant by a case
        before: those are to be heard alone. Waits for nobody's lock.
        """
        asks = [self._decider.ask_of(case.request, case.at) for case in cases]

        async def work(connection: object) -> list[Answer | None]:
            answers: list[Answer | None] = []
            written: list[Planned] = []
            for case, snapshot in zip(cases, await read_those_locked(connection, asks), strict=True):
                if snapshot is None:
                    answers.append(None)
                    continue
                answer, planned = await self._decide(connection, case, snapshot)
                answers.append(answer)
                if planned:
                    written.append(planned)
            await self._database.commit(connection, decision_of(*written) if written else "")
            return answers

        return await self._database.run(work, lock_free_people_of(asks), GIVE_UP_S)

    async def _decide(
        self, connection: object, case: Case, snapshot: Snapshot
    ) -> tuple[Answer, Planned | None]:
        """With the person's lock held; and what is to be written down, where anything is."""
        request, standing = case.request, snapshot.standing
        if standing and standing.status in _ACCEPTED:
            return Settled(standing, accepted=True), None
        if standing and standing.status not in _UNSENT:
            await mark_unknown(connection, standing.message_id)
            return Settled(standing, accepted=False), None
        channels = ranking(snapshot, case.among) if request.choose else ()
        if standing is None and channels and channels[0] is not request.channel:
            return Elsewhere(channels, snapshot), None
        plan = plan_of(request, case.message_class, case.topic, standing)
        decided = await self._decider.decide(
            connection, request, plan, snapshot, case.at, breaker_open_until=case.breaker_open_until
        )
        await expose(connection, request)
        return self._answer(decided, plan, snapshot, case.at, channels), decided.planned

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
