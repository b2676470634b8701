"""The transaction of the send gate: lock, read, decide by ``policy``, write the decision, commit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from activities.gate.decider import DEFAULT_FIRST_CONTACT_LIMITS, Decider, save_exposures
from activities.gate.mapping import rank_for_profile, to_plan
from activities.run_context import no_such_run
from policy.checks.quiet_hours import allowed_until
from policy.facts import FirstContactLimits
from policy.limits import Limits
from policy.verdict import Allow, Channel, MessageClass, Reason, Verdict, Withhold
from profiles.db.database import Database
from profiles.messaging.claims import (
    GATE_DEADLINE_S,
    MessageRow,
    load_accepted_message,
    lock_profile_sql,
    lock_profiles_skip_locked_sql,
    mark_unknown,
    read_locked_snapshot,
    read_locked_snapshots,
    release_claim,
    write_decisions_sql,
)
from profiles.messaging.snapshot import ExistingMessage, Snapshot
from profiles.state.unit_of_work import ACCEPTED_STATUSES

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

    def __init__(
        self,
        database: Database,
        limits: Limits,
        *,
        default_zone: str = "UTC",
        first_contacts: FirstContactLimits = DEFAULT_FIRST_CONTACT_LIMITS,
    ) -> None:
        self._database = database
        self._decider = Decider(limits, default_zone=default_zone, first_contacts=first_contacts)

    async def decide(self, request: GateRequest) -> GateOutcome:
        """Decide on one message; the outcome is committed when this returns.

        Raises ``no_such_run``. An existing claim of another attempt is set to ``unknown``, since that attempt
        may have called the provider. Locks held: the profile's.
        """
        query = self._decider.snapshot_query(request.request, request.at, request.message_class)

        async def work(connection: object) -> GateOutcome:
            snapshot = await read_locked_snapshot(connection, query)
            if snapshot is None:
                raise no_such_run(f"no run {request.request.run_id}")
            outcome, row = await self._decide(connection, request, snapshot)
            await self._database.commit(connection, write_decisions_sql(row) if row else "")
            return outcome

        return await self._database.run(work, lock_profile_sql(query), GATE_DEADLINE_S)

    async def decide_batch(self, requests: Sequence[GateRequest]) -> list[GateOutcome | None]:
        """Decide on messages to several profiles in one transaction; all outcomes are committed.

        The outcome is None, and nothing is decided, where the profile is locked by another transaction, or an
        earlier request is for the same profile. Those requests are then decided alone. Waits for no lock.
        """
        queries = [
            self._decider.snapshot_query(request.request, request.at, request.message_class)
            for request in requests
        ]

        async def work(connection: object) -> list[GateOutcome | None]:
            outcomes: list[GateOutcome | None] = []
            written: list[MessageRow] = []
            for request, snapshot in zip(
                requests, await read_locked_snapshots(connection, queries), strict=True
            ):
                if snapshot is None:
                    outcomes.append(None)
                    continue
                outcome, row = await self._decide(connection, request, snapshot)
                outcomes.append(outcome)
                if row:
                    written.append(row)
            await self._database.commit(connection, write_decisions_sql(*written) if written else "")
            return outcomes

        return await self._database.run(work, lock_profiles_skip_locked_sql(queries), GATE_DEADLINE_S)

    async def withhold(self, request: GateRequest, verdict: Withhold) -> NotAllowed | PriorAttempt:
        """Record a message as withheld, without deciding; the outcome is committed when this returns.

        A message of an earlier attempt that may have been sent stays as it is, as in ``decide``.
        Raises ``no_such_run``. Locks held: the profile's.
        """
        message = request.request
        query = self._decider.snapshot_query(message, request.at, request.message_class)

        async def work(connection: object) -> NotAllowed | PriorAttempt:
            snapshot = await read_locked_snapshot(connection, query)
            if snapshot is None:
                raise no_such_run(f"no run {message.run_id}")
            if prior := await _prior_attempt(connection, snapshot.existing_message):
                await self._database.commit(connection)
                return prior
            row = self._decider.undecided_row(
                message, request.message_class, request.topic, snapshot, verdict, request.at
            )
            await self._database.commit(connection, write_decisions_sql(row))
            return NotAllowed(row.message_id, verdict, snapshot, self._decider.default_zone, ())

        return await self._database.run(work, lock_profile_sql(query), GATE_DEADLINE_S)

    async def release_unused(self, claim: SendClaim) -> None:
        """Release a claim that no one will use: the provider was certainly not called. Idempotent."""
        async with self._database.transaction() as connection:
            await release_claim(connection, claim.message_id, claim.token, Reason.ERROR.value)

    async def _decide(
        self, connection: object, request: GateRequest, snapshot: Snapshot
    ) -> tuple[GateOutcome, MessageRow | None]:
        """Return the outcome and the row to be written, if any. Locks held: the profile's."""
        message, standing = request.request, snapshot.existing_message
        if prior := await _prior_attempt(connection, standing):
            return prior, None
        if message.repeats and (
            reported := await load_accepted_message(connection, UUID(message.run_id), message.repeats)
        ):
            return PriorAttempt(reported, accepted=True), None
        channels = (
            rank_for_profile(snapshot, request.candidate_channels, request.message_class)
            if message.choose
            else ()
        )
        if standing is None and channels and channels[0] is not message.channel:
            return BetterChannel(channels, snapshot), None
        plan = to_plan(message, request.message_class, request.topic, standing)
        decided = await self._decider.decide(
            connection, message, plan, snapshot, request.at, breaker_open_until=request.breaker_open_until
        )
        await save_exposures(connection, message)
        row, verdict = decided.message_row, decided.verdict
        if decided.facts is None or not isinstance(verdict, Allow):
            return NotAllowed(row.message_id, verdict, snapshot, decided.zone, channels), row
        claim = SendClaim(
            message_id=row.message_id,
            token=row.token or row.message_id,
            address=row.address or "",
            items=verdict.items,
            removed=verdict.removed,
            snapshot=snapshot,
            valid_for=allowed_until(plan, decided.facts, self._decider.limits, request.at) - request.at,
            zone=decided.zone,
            channels=channels,
        )
        return claim, row


async def _prior_attempt(connection: object, standing: ExistingMessage | None) -> PriorAttempt | None:
    """Return the outcome of an earlier attempt that may have sent the message; else None.

    A claim becomes ``unknown``. Locks held: the profile's.
    """
    if standing and standing.status in ACCEPTED_STATUSES:
        return PriorAttempt(standing, accepted=True)
    if standing and standing.status not in _UNSENT_STATUSES:
        await mark_unknown(connection, standing.message_id)
        return PriorAttempt(standing, accepted=False)
    return None
