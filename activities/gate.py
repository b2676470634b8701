"""The send gate's transaction: lock, read, let ``policy`` decide, write down what it says, commit."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.held import open_in_words
from activities.terms import ask_of, facts_of, plan_of, planned_of, ranking
from policy.facts import Facts, Plan
from policy.gate import decide
from policy.limits import Limits
from policy.quiet_hours import open_until
from policy.verdict import Allow, Channel, MessageClass, Verdict
from profiles.claims import Planned, Snapshot, Standing, mark_unknown, read_under_lock, write_decision
from profiles.database import Database
from profiles.exposures import record_exposures

_ACCEPTED = frozenset({"sent", "delivered", "bounced", "opened", "clicked"})
_NEVER_AGAIN = frozenset({"claimed", "unknown", "unknown_final"})


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
        self._default_zone = default_zone

    async def claim(
        self,
        request: SendMessage,
        message_class: MessageClass,
        topic: str,
        at: datetime,
        *,
        among: Collection[Channel] = (),
    ) -> Claim | Refusal | Settled | Elsewhere:
        """Decide on one message at the run's now; whatever the answer, it is committed when this returns.

        ``among``: the channels to choose from where the request asks to choose. Raises ``NoSuchRun``. A
        claim found in another's hands becomes ``unknown``: that one may have called.
        """
        ask = ask_of(request, at)

        async def work(connection: object) -> Claim | Refusal | Settled | Elsewhere:
            snapshot = await read_under_lock(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {request.run_id}")
            if standing := snapshot.standing:
                if standing.status in _ACCEPTED:
                    return Settled(standing, accepted=True)
                if standing.status in _NEVER_AGAIN:
                    await mark_unknown(connection, standing.message_id)
                    return Settled(standing, accepted=False)
            channels = ranking(snapshot, among) if request.choose else ()
            if standing is None and channels and channels[0] is not request.channel:
                return Elsewhere(channels, snapshot)
            held = await holds_of(connection, snapshot, request, at)
            facts = facts_of(snapshot, request.channel, at, self._default_zone, held)
            plan = plan_of(request, message_class, topic)
            verdict = decide(plan, facts, self._limits, at)
            planned = planned_of(request, snapshot, message_class, verdict, at)
            await write_decision(connection, planned)
            await expose(connection, request)
            if isinstance(verdict, Allow):
                return self._claim(planned, verdict, snapshot, plan, facts, at, channels)
            return Refusal(planned.message_id, verdict, snapshot, facts.zone, channels)

        return await self._database.run(work)

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
