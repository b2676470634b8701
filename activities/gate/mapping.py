"""Converts requests and snapshots to the types of ``policy``, and verdicts to rows of ``profiles``."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from activities.contracts import SendMessage
from policy.channel_choice import rank_channels
from policy.facts import (
    ActiveKillSwitch,
    CatalogItem,
    ConsentFact,
    Facts,
    Plan,
    PlannedItem,
    SentFact,
    StopKind,
    Suppression,
    WaitingFact,
)
from policy.hours.places import add_place_zones, country_for_phone, resolve_places
from policy.hours.time_zones import resolve_zone
from policy.limits import CapReachedAction, SuppressionScope
from policy.verdict import Allow, Channel, Defer, MessageClass, Verdict, Withhold
from profiles.db.sql import new_id
from profiles.events import Item
from profiles.messaging.claims import MessageRow
from profiles.messaging.snapshot import DeferredMessage, ExistingMessage, Snapshot
from profiles.reading.ids import normal_id
from profiles.state.cart import parse_lines

MARKETING_TOPICS = ("marketing", "all")
"""Consent topics that cover marketing in general."""

_ADDRESSED_BY_ANYBODY = (Channel.EMAIL, Channel.SMS)
"""Channels with addresses that a stranger may know or invent. A push token is known to its device alone."""

_STATUS_AND_VERDICT = {
    Allow: ("claimed", "allow"),
    Withhold: ("withheld", "withhold"),
    Defer: ("deferred", "defer"),
}
"""Type of the verdict → status of the message, and stored verdict."""


def rank_for_profile(
    snapshot: Snapshot, among: Collection[Channel], message_class: MessageClass
) -> tuple[Channel, ...]:
    """Rank the channels for the profile, best first.

    A transactional message keeps the order of ``Channel``, email first, unless the profile names a preferred
    channel: consents for marketing and reactions to marketing say nothing of where an order is confirmed.
    """
    candidates = [channel for channel in Channel if channel in among]
    is_marketing = message_class is MessageClass.MARKETING
    topics = MARKETING_TOPICS if is_marketing else (MessageClass.TRANSACTIONAL.value,)
    refused = [
        channel for channel, topic, state, *_ in snapshot.consents if state != "granted" and topic in topics
    ]
    counts = snapshot.engagement_counts if is_marketing else {}
    return rank_channels(
        candidates,
        reachable=[channel for channel in candidates if snapshot.address(channel.value)],
        refused=[channel for channel in candidates if channel.value in refused or "all" in refused],
        preferred=_text_or_none(snapshot.traits.get("preferred_channel")),
        engagement_counts={channel: counts.get(channel.value, 0) for channel in candidates},
    )


def to_facts(
    snapshot: Snapshot,
    channel: Channel,
    default_zone: str,
    held: tuple[str, ...] = (),
    breaker_open_until: datetime | None = None,
) -> Facts:
    """Convert a snapshot to facts. Raises ValueError for a stored value unknown to this version."""
    address = snapshot.address(channel.value)
    named = _text_or_none(snapshot.traits.get("timezone"))
    resolved = resolve_zone(named, snapshot.context_timezone, snapshot.address("sms"), default_zone)
    places = resolve_places(snapshot.traits, snapshot.address("sms"), resolved)
    zone = add_place_zones(places, resolved)
    stated_by_anybody = address is not None and channel in _ADDRESSED_BY_ANYBODY
    confirmed = not stated_by_anybody or address in snapshot.confirmed_addresses
    return Facts(
        person=str(snapshot.profile_id),
        held=held,
        out_of_stock=snapshot.out_of_stock,
        run_state=snapshot.run_state,
        erased=snapshot.erased,
        has_address=address is not None or channel is Channel.ADS,
        address_problem=snapshot.address_problems.get(address or ""),
        soft_bounces=snapshot.soft_bounces.get(address or "", ()),
        opted_out=snapshot.opt_outs.get(address or "", ()),
        consents=tuple(
            ConsentFact(c, topic, state == "granted", source) for c, topic, state, source in snapshot.consents
        ),
        address_from_order=snapshot.email_from_order,
        address_confirmed=confirmed,
        address_country=country_for_phone(address) if address and not confirmed else None,
        run_verified=snapshot.run_verified,
        unverified_grant=snapshot.unverified_grant,
        unverified_checkout=channel is Channel.EMAIL and snapshot.unverified_checkout,
        suppressions=tuple(
            # Rows of older versions have ids as they were sent.
            Suppression(
                normal_id(item) or item, normal_id(sku), until, event_id, SuppressionScope(scope), of, parts
            )
            for item, sku, until, event_id, scope, of, parts in snapshot.suppressions
        ),
        shelf=tuple(
            CatalogItem(row.item, row.sku or None, row.category, row.item_group, row.bundle)
            for row in snapshot.catalog
        ),
        cart=None if snapshot.cart is None else to_planned_items(parse_lines(snapshot.cart)),
        sent=tuple(
            SentFact(Channel(channel), sent_at, journey, topic, run, template, items)
            for channel, sent_at, journey, topic, run, template, items in snapshot.sent_messages
        ),
        waiting=tuple(_to_waiting_fact(deferred_message) for deferred_message in snapshot.deferred_messages),
        zone=zone.zone,
        zone_source=zone.source,
        zones=zone.zones,
        stopped=tuple(
            ActiveKillSwitch(StopKind(kind), name, since) for kind, name, since in snapshot.kill_switches
        ),
        claims_last_minute=snapshot.claims_last_minute,
        breaker_open_until=breaker_open_until,
        places=places,
    )


def to_planned_items(items: tuple[Item, ...]) -> tuple[PlannedItem, ...]:
    """Convert items to the form that the gate compares."""
    return tuple(PlannedItem(item.product_id, item.sku, item.category, item.group) for item in items)


def _to_waiting_fact(message: DeferredMessage) -> WaitingFact:
    return WaitingFact(
        Channel(message.channel), message.journey, message.topic, message.until, message.expires_at,
        message.planned_at, message.value, message.message_id,
    )  # fmt: skip


def to_plan(
    request: SendMessage, message_class: MessageClass, topic: str, standing: ExistingMessage | None = None
) -> Plan:
    """Convert a request to a plan; ``standing`` is the message of an earlier attempt."""
    return Plan(
        channel=request.channel,
        message_class=message_class,
        topic=topic,
        promoting=None if request.promoting is None else to_planned_items(request.promoting),
        expires_at=request.expires_at,
        journey=request.journey,
        cart_id=request.cart_id if request.promoting is not None else None,
        holdout=request.holdout,
        value=request.value,
        when_capped=CapReachedAction(request.when_capped) if request.when_capped else None,
        since=standing.planned_at if standing else None,
        message_id=str(standing.message_id) if standing else "",
        template=request.template,
        key=f"{request.run_id}/{request.step}",
    )


def to_message_row(
    request: SendMessage,
    snapshot: Snapshot,
    plan: Plan,
    verdict: Verdict,
    at: datetime,
    policy: str,
    basis: dict[str, Any] | None = None,
) -> MessageRow:
    """Convert a verdict to its row. ``basis``: the encoded inputs; ``policy``: the version of the limits."""
    standing = snapshot.existing_message
    status, stored_verdict = _STATUS_AND_VERDICT[type(verdict)]
    if isinstance(verdict, Allow):
        reason, detail, items = None, "", verdict.items or tuple(item.key for item in request.showing)
    else:
        reason, detail = verdict.reason.value, verdict.detail
        items = tuple(item.key for item in request.promoting or ())
    return MessageRow(
        decision_id=new_id(),
        message_id=standing.message_id if standing else new_id(),
        profile_id=snapshot.profile_id,
        run_id=UUID(request.run_id),
        step=request.step,
        journey=request.journey,
        channel=request.channel.value,
        template=request.template,
        message_class=plan.message_class.value,
        status=status,
        verdict=stored_verdict,
        at=at,
        items=items,
        items_removed=verdict.removed,
        reason=reason,
        detail=detail,
        checks=verdict.checks,
        until=verdict.until if isinstance(verdict, Defer) else None,
        address=snapshot.address(request.channel.value),
        token=new_id() if isinstance(verdict, Allow) else None,
        policy=policy,
        basis=basis,
        topic=plan.topic,
        value=plan.value,
        expires_at=plan.expires_at,
    )


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
