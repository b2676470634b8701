"""The send gate's transaction: lock, read, let ``policy`` decide, write down what it says, commit."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from activities.contracts import SendMessage
from policy.facts import ConsentFact, Facts, Limits, Plan, PlannedItem, SentFact, Suppression
from policy.gate import decide
from policy.quiet_hours import common_close
from policy.verdict import Allow, Channel, Defer, MessageClass, Verdict
from policy.zones import resolve_zone
from profiles.carts import as_items
from profiles.claims import Ask, Planned, Snapshot, Standing, mark_unknown, read_under_lock, write_decision
from profiles.database import Database
from profiles.events import Item
from profiles.ids import new_id

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not now, or not at all."""

    message_id: UUID
    verdict: Verdict
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
        self, request: SendMessage, message_class: MessageClass, topic: str, at: datetime
    ) -> Claim | Refusal | Settled:
        """Decide on one message at the run's now; whatever the answer, it is committed when this returns.

        Raises ``NoSuchRun``. A claim found in another's hands becomes ``unknown``: that one may have called.
        """
        ask = Ask(UUID(request.run_id), request.step, request.channel.value, at, request.cart_id)

        async def work(connection: object) -> Claim | Refusal | Settled:
            snapshot = await read_under_lock(connection, ask)
            if snapshot is None:
                raise NoSuchRun(f"no run {request.run_id}")
            standing = snapshot.standing
            if standing and standing.status in _ACCEPTED:
                return Settled(standing, accepted=True)
            if standing and standing.status in _NEVER_AGAIN:
                await mark_unknown(connection, standing.message_id)
                return Settled(standing, accepted=False)
            facts = facts_of(snapshot, request.channel, at, self._default_zone)
            verdict = decide(plan_of(request, message_class, topic), facts, self._limits, at)
            planned = planned_of(request, snapshot, message_class, verdict, at)
            await write_decision(connection, planned)
            if isinstance(verdict, Allow):
                return self._claim(planned, verdict, snapshot, request, facts.zones, at)
            return Refusal(planned.message_id, verdict, snapshot)

        return await self._database.run(work)

    def _claim(
        self,
        planned: Planned,
        verdict: Allow,
        snapshot: Snapshot,
        request: SendMessage,
        zones: tuple[str, ...],
        at: datetime,
    ) -> Claim:
        valid_for = request.expires_at - at
        if hours := self._limits.quiet_hours.get(request.channel):
            closing = common_close(hours, zones, at)
            valid_for = min(valid_for, closing - at) if closing else valid_for
        return Claim(
            message_id=planned.message_id,
            token=planned.token or planned.message_id,
            address=planned.address or "",
            items=verdict.items,
            removed=verdict.removed,
            snapshot=snapshot,
            valid_for=valid_for,
        )


def facts_of(snapshot: Snapshot, channel: Channel, at: datetime, default_zone: str) -> Facts:
    """A snapshot in the words of ``policy``."""
    address = snapshot.address(channel.value)
    phone = snapshot.address("sms")
    zone = resolve_zone(
        _text(snapshot.traits.get("timezone")), snapshot.context_timezone, phone, default_zone
    )
    return Facts(
        run_state=snapshot.run_state,
        erased=snapshot.erased,
        has_address=address is not None or channel is Channel.ADS,
        address_problem=snapshot.problems.get(address or ""),
        opted_out=snapshot.opt_outs.get(address or "", ()),
        consents=tuple(
            ConsentFact(c, topic, state == "granted", source) for c, topic, state, source in snapshot.consents
        ),
        address_from_order=snapshot.email_from_order,
        suppressions=tuple(Suppression(*row) for row in snapshot.suppressions),
        cart=None if snapshot.cart is None else planned_items(as_items(snapshot.cart)),
        sent=tuple(SentFact(Channel(name), sent_at) for name, sent_at in snapshot.sent),
        zone=zone.zone,
        zone_source=zone.source,
        zones=zone.zones,
    )


def planned_items(items: tuple[Item, ...]) -> tuple[PlannedItem, ...]:
    """Items as the gate compares them."""
    return tuple(PlannedItem(item.product_id, item.sku) for item in items)


def plan_of(request: SendMessage, message_class: MessageClass, topic: str) -> Plan:
    """A request in the words of ``policy``."""
    return Plan(
        channel=request.channel,
        message_class=message_class,
        topic=topic,
        promoting=None if request.promoting is None else planned_items(request.promoting),
        expires_at=request.expires_at,
        journey=request.journey,
        cart_id=request.cart_id if request.promoting is not None else None,
    )


def planned_of(
    request: SendMessage, snapshot: Snapshot, message_class: MessageClass, verdict: Verdict, at: datetime
) -> Planned:
    """A verdict as it is written down."""
    standing = snapshot.standing
    planned = Planned(
        decision_id=new_id(),
        message_id=standing.message_id if standing else new_id(),
        profile_id=snapshot.profile_id,
        run_id=UUID(request.run_id),
        step=request.step,
        journey=request.journey,
        channel=request.channel.value,
        template=request.template,
        message_class=message_class.value,
        status="withheld",
        verdict="withhold",
        at=at,
        items=tuple(item.key for item in request.promoting or ()),
        items_removed=verdict.removed,
        checks=tuple({"name": c.name, "passed": c.passed, "detail": c.detail} for c in verdict.checks),
        address=snapshot.address(request.channel.value),
    )
    match verdict:
        case Allow(items=items):
            shown = items or tuple(item.key for item in request.showing)
            return replace(planned, status="claimed", verdict="allow", items=shown, token=new_id())
        case Defer(reason=reason, until=until, detail=detail):
            return replace(
                planned, status="deferred", verdict="defer", reason=reason.value, detail=detail, until=until
            )
        case refused:
            return replace(planned, reason=refused.reason.value, detail=refused.detail)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
