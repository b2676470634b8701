"""The transaction of the send gate: lock, read, decide by ``policy``, write the decision, commit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.decider import Decider, DecisionRecord, save_exposures
from activities.gate.mapping import rank_for_profile, to_plan
from activities.run_context import NoSuchRun
from policy.checks.quiet_hours import allowed_until
from policy.facts import Plan
from policy.limits import Limits
from policy.verdict import Allow, Channel, MessageClass, Verdict
from profiles.db.database import Database
from profiles.messaging.claims import (
    GATE_DEADLINE_S,
    MessageRow,
    lock_profile_sql,
    lock_profiles_skip_locked_sql,
    mark_unknown,
    read_locked_snapshot,
    read_locked_snapshots,
    write_decisions_sql,
)
from profiles.messaging.snapshot import ExistingMessage, Snapshot

_ACCEPTED_STATUSES = frozenset({"sent", "delivered", "bounced", "opened", "clicked"})

_UNSENT_STATUSES = frozenset({"withheld", "deferred", "released"})
"""A message in any other status may have been sent, also in a status unknown to this version."""


@dataclass(frozen=True, slots=True)
class SendClaim:
    """A committed permission to call the provider once, within 5 seconds."""

    message_id: UUID
    token: UUID
    address: str
    items: tuple[str, ...]
    removed: tuple[str, ...]
    snapshot: Snapshot
    valid_for: timedelta | None
    """How long the provider may try to deliver; None: no limit."""
    zone: str
    channels: tuple[Channel, ...]
    """Ranked for the profile, where the request had ``choose``."""


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The message was withheld or deferred."""

    message_id: UUID
    verdict: Verdict
    snapshot: Snapshot
    zone: str
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class BetterChannel:
    """Another channel ranks higher for the profile; nothing was decided or written."""

    channels: tuple[Channel, ...]
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class PriorAttempt:
    """An earlier attempt has already settled this send key."""

    existing: ExistingMessage
    accepted: bool
    """True: the provider accepted the message. False: the outcome is unknown, and it is not sent again."""


GateOutcome = SendClaim | NotAllowed | PriorAttempt | BetterChannel


@dataclass(frozen=True, slots=True)
class GateRequest:
    """A message on which the gate is to decide."""

    request: SendMessage
    message_class: MessageClass
    topic: str
    at: datetime
    """The run's current time."""
    candidate_channels: Collection[Channel] = ()
    """The channels to rank, where the request has ``choose``."""
    breaker_open_until: datetime | None = None
    """End of the circuit breaker's backoff for the channel's provider; None: closed."""


class SendGate:
    """Decides on messages and claims them; has no state between calls."""

    def __init__(self, database: Database, limits: Limits, *, default_zone: str = "UTC") -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone)

    async def decide(self, case: GateRequest) -> GateOutcome:
        """Decide on one message; the outcome is committed when this returns.

        Raises ``NoSuchRun``. An existing claim of another attempt is set to ``unknown``, since that attempt
        may have called the provider. Locks held: the profile's.
        """
        ask = self._decider.snapshot_query(case.request, case.at)

        async def work(connection: object) -> GateOutcome:
            snapshot = await read_locked_snapshot(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {case.request.run_id}")
            answer, planned = await self._decide(connection, case, snapshot)
            await self._database.commit(connection, write_decisions_sql(planned) if planned else "")
            return answer

        return await self._database.run(work, lock_profile_sql(ask), GATE_DEADLINE_S)

    async def decide_batch(self, cases: Sequence[GateRequest]) -> list[GateOutcome | None]:
        """Decide on messages to several profiles in one transaction; all outcomes are committed.

        The outcome is None, and nothing is decided, where the profile is locked by another transaction, or an
        earlier request is for the same profile. Those requests are then decided alone. Waits for no lock.
        """
        asks = [self._decider.snapshot_query(case.request, case.at) for case in cases]

        async def work(connection: object) -> list[GateOutcome | None]:
            answers: list[GateOutcome | None] = []
            written: list[MessageRow] = []
            for case, snapshot in zip(cases, await read_locked_snapshots(connection, asks), strict=True):
                if snapshot is None:
                    answers.append(None)
                    continue
                answer, planned = await self._decide(connection, case, snapshot)
                answers.append(answer)
                if planned:
                    written.append(planned)
            await self._database.commit(connection, write_decisions_sql(*written) if written else "")
            return answers

        return await self._database.run(work, lock_profiles_skip_locked_sql(asks), GATE_DEADLINE_S)

    async def _decide(
        self, connection: object, case: GateRequest, snapshot: Snapshot
    ) -> tuple[GateOutcome, MessageRow | None]:
        """Decide on a snapshot. Returns the outcome and the row to be written, if any.

        Locks held: the profile's.
        """
        request, standing = case.request, snapshot.existing_message
        if standing and standing.status in _ACCEPTED_STATUSES:
            return PriorAttempt(standing, accepted=True), None
        if standing and standing.status not in _UNSENT_STATUSES:
            await mark_unknown(connection, standing.message_id)
            return PriorAttempt(standing, accepted=False), None
        channels = rank_for_profile(snapshot, case.candidate_channels) if request.choose else ()
        if standing is None and channels and channels[0] is not request.channel:
            return BetterChannel(channels, snapshot), None
        plan = to_plan(request, case.message_class, case.topic, standing)
        decided = await self._decider.decide(
            connection, request, plan, snapshot, case.at, breaker_open_until=case.breaker_open_until
        )
        await save_exposures(connection, request)
        return self._to_outcome(decided, plan, snapshot, case.at, channels), decided.message_row

    def _to_outcome(
        self,
        decided: DecisionRecord,
        plan: Plan,
        snapshot: Snapshot,
        at: datetime,
        channels: tuple[Channel, ...],
    ) -> SendClaim | NotAllowed:
        planned, verdict = decided.message_row, decided.verdict
        if decided.facts is None or not isinstance(verdict, Allow):
            return NotAllowed(planned.message_id, verdict, snapshot, decided.zone, channels)
        return SendClaim(
            message_id=planned.message_id,
            token=planned.token or planned.message_id,
            address=planned.address or "",
            items=verdict.items,
            removed=verdict.removed,
            snapshot=snapshot,
            valid_for=allowed_until(plan, decided.facts, self._decider.limits, at) - at,
            zone=decided.zone,
            channels=channels,
        )
