"""The send gate's transaction: lock, read, let ``policy`` decide, write down what it says, commit."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.held import open_in_words
from activities.terms import ask_of, facts_of, plan_of, planned_of, ranking
from policy.facts import Facts, Plan
from policy.gate import decide
from policy.limits import Limits
from policy.quiet_hours import open_until
from policy.replay import basis_of, version_of
from policy.undecided import unreadable
from policy.verdict import Allow, Channel, MessageClass, Verdict
from profiles.claims import (
    Planned,
    Snapshot,
    Standing,
    lock_person_of,
    mark_unknown,
    read_under_lock,
    write_decision,
)
from profiles.database import Database
from profiles.exposures import record_exposures
from profiles.patience import GIVE_UP_S

_ACCEPTED = frozenset({"sent", "delivered", "bounced", "opened", "clicked"})
_UNSENT = frozenset({"withheld", "deferred", "released"})
"""All else may have been sent, also a status that this version does not know."""


class NoSuchRun(LookupError):
    """The run is not in Postgres: the workflow was started by somebody else."""


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
        self._limits = limits
        self._policy = version_of(limits)
        self._default_zone = default_zone

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
        ask = ask_of(request, at, self._limits)

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
            held = await holds_of(connection, snapshot, request, at)
            plan = plan_of(request, message_class, topic, standing)

            def read() -> Facts:
                facts = facts_of(snapshot, request.channel, at, self._default_zone, held)
                return replace(facts, breaker_open_until=breaker_open_until)

            facts, verdict = decided(plan, read, self._limits, at)
            planned = planned_of(request, snapshot, plan, verdict, at)
            basis = basis_of(plan, facts, at) if facts else None
            await write_decision(connection, replace(planned, policy=self._policy, basis=basis))
            await expose(connection, request)
            if facts and isinstance(verdict, Allow):
                return self._claim(planned, verdict, snapshot, plan, facts, at, channels)
            zone = facts.zone if facts else self._default_zone
            return Refusal(planned.message_id, verdict, snapshot, zone, channels)

        return await self._database.run(work, lock_person_of(ask), GIVE_UP_S)

    def _claim(
        self,
        planned: Planned,
        verdict: Allow,
        snapshot: Snapshot,
        plan: Plan,
        facts: Facts,
        at: datetime,
        channels: tuple[Channel, ...],
    ) -> Claim:
        return Claim(
            message_id=planned.message_id,
            token=planned.token or planned.message_id,
            address=planned.address or "",
            items=verdict.items,
            removed=verdict.removed,
            snapshot=snapshot,
            valid_for=open_until(plan, facts, self._limits, at) - at,
            zone=facts.zone,
            channels=channels,
        )


def decided(
    plan: Plan, read: Callable[[], Facts], limits: Limits, at: datetime
) -> tuple[Facts | None, Verdict]:
    """The facts that ``read`` makes of a snapshot, and the verdict; none and ``error`` else."""
    try:
        facts = read()
    except Exception as error:
        return None, unreadable(plan.expires_at, at, error)
    return facts, decide(plan, facts, limits, at)


async def holds_of(
    connection: object, snapshot: Snapshot, request: SendMessage, at: datetime
) -> tuple[str, ...]:
    """What is open with the person and holds the message back, in words; asked under the lock."""
    if not request.hold_while:
        return ()
    return await open_in_words(connection, snapshot.profile_id, request.hold_while, at)


async def expose(connection: object, request: SendMessage) -> None:
    """Put on record which arms of experiments the person has come to."""
    if request.exposures:
        exposures = [(one.experiment, one.arm, one.at) for one in request.exposures]
        await record_exposures(connection, UUID(request.run_id), exposures)
