"""What the record of an address means for messages to it: which are closed, until when and why. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy.checks.eligibility import soft_bounce_closure
from policy.durations import format_compact_duration
from policy.limits import Limits
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL
from profiles.messaging.addresses import AddressState

CHANNEL_BY_ADDRESS_TYPE = {kind: channel for channel, kind in ADDRESS_TYPE_BY_CHANNEL.items()}
"""Identifier type of an address → the channel of its messages."""


class AddressStatus(StrEnum):
    """Which messages the address is closed for by bounces and complaints. Consents are not looked at."""

    OPEN = "open"
    CLOSED_FOR_MARKETING = "closed_for_marketing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AddressSummary:
    """The status of an address, with its reason."""

    status: AddressStatus
    since: datetime | None
    until: datetime | None
    """When it opens by itself; None: not by time."""
    reason: str


def summarize_address(state: AddressState, limits: Limits, at: datetime) -> AddressSummary:
    """Return what the gate makes of the bounces and complaints of an address."""
    if state.problem == "complained":
        reason = "a message to it was reported as spam; nothing reopens it"
        return AddressSummary(AddressStatus.CLOSED, state.since, None, reason)
    if state.problem == "bounced" and state.reopened_at is not None:
        reason = "it bounced for good, and an operator reopened it for transactional messages"
        return AddressSummary(AddressStatus.CLOSED_FOR_MARKETING, state.since, None, reason)
    if state.problem == "bounced":
        tried = any(each.problem == "bounced" for each in state.reopenings)
        reason = "it bounced for good, again after it was reopened" if tried else "it bounced for good"
        return AddressSummary(AddressStatus.CLOSED, state.since, None, reason)
    if state.problem is not None:
        reason = f"it has the problem {state.problem}, which this version does not know"
        return AddressSummary(AddressStatus.CLOSED, state.since, None, reason)
    counted = [each.time for each in state.soft_bounces if each.lifted_at is None]
    if (closure := soft_bounce_closure(counted, limits.bounces, at)) is not None:
        times, until = closure
        window = format_compact_duration(limits.bounces.window)
        reason = f"{times} messages to it bounced softly in {window}"
        since = until - limits.bounces.pause
        return AddressSummary(AddressStatus.CLOSED_FOR_MARKETING, since, until, reason)
    if counted:
        reason = f"soft bounces that count: {len(counted)}; {limits.bounces.soft} in "
        reason += f"{format_compact_duration(limits.bounces.window)} close it for marketing"
        return AddressSummary(AddressStatus.OPEN, None, None, reason)
    return AddressSummary(AddressStatus.OPEN, None, None, "no bounce and no complaint that counts")
