"""The common part of the send gate and the audience gate: verdict, database row, exposures, open holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from temporalio.exceptions import ApplicationError

from activities.contracts import CloseRun, HoldSpec, JoinAudience, SendMessage
from activities.gate.mapping import to_facts, to_message_row, to_plan
from policy.checks.first_contacts import counts_as_first_contact
from policy.checks.frequency_caps import required_history
from policy.checks.result import error_verdict
from policy.facts import Facts, FirstContactLimits, FirstContacts, Plan
from policy.gate import decide
from policy.limits import Limits
from policy.replay import decision_inputs, policy_version
from policy.verdict import Allow, CheckRecord, MessageClass, Reason, Verdict, Withhold
from profiles.messaging.claims import MessageRow
from profiles.messaging.first_contacts import count_first_contacts, record_first_contact
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from profiles.runs import holds
from profiles.runs.exposures import record_exposures

DEFAULT_FIRST_CONTACT_LIMITS = FirstContactLimits()


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A verdict, its facts, and the row to be written."""

    verdict: Verdict
    facts: Facts | None
    """None where the snapshot could not be converted to facts; the reason is ``error`` then."""
    message_row: MessageRow
    zone: str
    """The profile's zone, else the default."""


class Decider:
    """Decides by one policy; has no state between calls."""

    def __init__(
        self,
        limits: Limits,
        *,
        default_zone: str = "UTC",
        first_contacts: FirstContactLimits = DEFAULT_FIRST_CONTACT_LIMITS,
    ) -> None:
        self.limits = limits
        self._first_contact_limits = first_contacts
        self._required_history = required_history(limits)
        self._policy_version = policy_version(limits)
        self.default_zone = default_zone

    def snapshot_query(
        self, request: SendMessage, at: datetime, message_class: MessageClass
    ) -> SnapshotQuery:
        """Return the query for the snapshot that this policy needs."""
        return SnapshotQuery(
            UUID(request.run_id),
            request.step,
            request.channel.value,
            at,
            request.cart_id,
            tuple((item.key, item.sku) for item in request.promoting or () if item.key),
            request.choose,
            lookback=self._required_history,
            needs_claim_rate=request.channel in self.limits.budgets,
            shown_items=tuple((item.key, item.sku) for item in request.showing if item.key),
            is_marketing=message_class is MessageClass.MARKETING,
        )

    async def decide(
        self,
        connection: object,
        request: SendMessage,
        plan: Plan,
        snapshot: Snapshot,
        at: datetime,
        *,
        breaker_open_until: datetime | None = None,
    ) -> DecisionRecord:
        """Decide at the run's current time. Locks held: the profile's.

        Writes nothing but the count of messages that unverified events have caused.

        ``breaker_open_until`` is the end of the circuit breaker's backoff for the channel's provider.
        """
        held = await describe_open_holds(connection, snapshot.profile_id, request.hold_while, at)
        try:
            facts = to_facts(snapshot, request.channel, self.default_zone, held, breaker_open_until)
        except Exception as error:
            verdict = error_verdict(plan.expires_at, at, error)
            row = to_message_row(request, snapshot, plan, verdict, at, self._policy_version)
            return DecisionRecord(verdict, None, row, self.default_zone)
        verdict = decide(plan, facts, self.limits, at)
        sender = ""
        if isinstance(verdict, Allow) and counts_as_first_contact(plan, facts):
            # Counted last, since all that are counted wait for each other.
            facts, sender = await self._with_first_contacts(connection, request, snapshot, facts, at)
            verdict = decide(plan, facts, self.limits, at)
        basis = decision_inputs(plan, facts, at)
        row = to_message_row(request, snapshot, plan, verdict, at, self._policy_version, basis)
        if isinstance(verdict, Allow) and facts.first_contacts is not None:
            await record_first_contact(connection, row, sender)
        return DecisionRecord(verdict, facts, row, facts.zone)

    async def _with_first_contacts(
        self, connection: object, request: SendMessage, snapshot: Snapshot, facts: Facts, at: datetime
    ) -> tuple[Facts, str]:
        """Return the facts with the messages so far, and the label of the key that started the run."""
        standing, channel = snapshot.existing_message, request.channel
        counts = await count_first_contacts(
            connection,
            UUID(request.run_id),
            standing.message_id if standing else None,
            channel=channel.value,
            address=snapshot.address(channel.value) or "",
            at=at,
        )
        contacts = FirstContacts(
            counts.in_hour, counts.by_sender_in_hour, counts.to_address_in_day, self._first_contact_limits
        )
        return replace(facts, first_contacts=contacts), counts.sender

    def undecided_row(
        self,
        request: SendMessage,
        message_class: MessageClass,
        topic: str,
        snapshot: Snapshot,
        verdict: Withhold,
        at: datetime,
    ) -> MessageRow:
        """Return the row of a message that is withheld without a decision."""
        plan = to_plan(request, message_class, topic, snapshot.existing_message)
        return to_message_row(request, snapshot, plan, verdict, at, self._policy_version)


def input_verdict(request: SendMessage | JoinAudience) -> Withhold:
    """Return the verdict on a request that could not be decoded.

    Raises a permanent ApplicationError where not even its run or its step could, as nothing can be recorded.
    """
    if not request.run_id or not request.step:
        raise ApplicationError(request.input_fault, type="UndecodableInput", non_retryable=True)
    checks = (CheckRecord("input", passed=False, detail=request.input_fault),)
    return Withhold(Reason.ERROR, request.input_fault, checks=checks)


async def save_exposures(connection: object, request: SendMessage | CloseRun) -> None:
    """Record the request's exposures to experiments."""
    if request.exposures:
        exposures = [(exposure.experiment, exposure.arm, exposure.at) for exposure in request.exposures]
        await record_exposures(connection, UUID(request.run_id), exposures)


async def describe_open_holds(
    connection: object, profile_id: UUID, hold_specs: Sequence[HoldSpec], at: datetime
) -> tuple[str, ...]:
    """Return each open hold in words ("a support ticket 17"), with the channel's id of the case."""
    if not hold_specs:
        return ()
    definitions = [holds.HoldDefinition(spec.opened, spec.closed, spec.by) for spec in hold_specs]
    says = {spec.opened: spec.says or spec.opened for spec in hold_specs}
    open_holds = await holds.load_open_holds(connection, profile_id, definitions, at)
    return tuple(f"{says[hold.opened]} {hold.ref or ''}".strip() for hold in open_holds)
