"""Consent declarations in events, as rows of the ledger. Pure.

Which declaration is effective is not decided here, but in ``profiles.consent.ledger``.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from profiles.consent import evidence, replies
from profiles.consent.evidence import NO_EVIDENCE, ConsentEvidence
from profiles.consent.ledger import channel_addresses
from profiles.identity.identifiers import (
    ADDRESS_TYPE_BY_CHANNEL,
    identifier_key,
    implied_identifiers,
    sort_identifiers,
    split_key,
    type_of_key,
)
from profiles.reading.bounces import BounceKind, read_bounce
from profiles.state.bounds import (
    MAX_TOPIC_LENGTH,
    MAX_TOPICS,
    MAX_UNVERIFIED_TOPICS,
    MAX_WORD_LENGTH,
)
from profiles.state.event_records import IncomingEvent, MessageRef, StoredEvent
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import UnitOfWork

MARKETING_TOPIC = "marketing"

CONSENT_CHANGED = "Consent Changed"

BROAD_TOPICS = frozenset({MARKETING_TOPIC, "all", "transactional"})
"""Topics that every shop has."""

ADDRESS_PROOF_SOURCES = frozenset({"waypost/preferences", "waypost/consents", "waypost/opt-in"})
"""Sources of Waypost's own events by which the owner of an address, or an operator, declares a consent of
that address: the preferences page, the consents of a profile in the API, and the opt-in page."""

_UNVERIFIED_TOPICS_REPLACED = frozenset({"all", "transactional"})
"""Topics that stop transactional messages too. An unverified sender withdraws marketing with them."""

CONFIRMABLE_CHANNELS = ("email", "sms")
"""Channels on which the owner of an address can confirm a consent by a link in a message."""

OPT_OUT_EVENT_TYPES = frozenset({"Message Unsubscribed", "Message Complained"})
"""Events of a message that withdraw the consent to its channel."""

BOUNCED = "Message Bounced"

OPT_OUT_KINDS = frozenset({BounceKind.OPTED_OUT, BounceKind.COMPLAINED})
"""What a bounce may state that withdraws a consent, as those events do."""

REPLY_SOURCE = "reply"
"""Source of a consent that was declared by a reply to a message."""

WITHDRAWAL_MARK = "/withdrawal/"
"""Between the id of an event of which the withdrawal alone is stored, and a digest of its content."""

_WITHDRAWING_INTENTS = (replies.ReplyIntent.STOP, replies.ReplyIntent.DOUBTFUL)

_REPLY_ADDRESS_TYPE = ADDRESS_TYPE_BY_CHANNEL[replies.REPLY_CHANNEL]

MAX_TOPICS_PER_EVENT = 20
"""Topics that one ``Consent Changed`` may list."""

_CONSENT_CHANNELS = frozenset({"email", "sms", "push", "ads", "all"})


@dataclass(frozen=True, slots=True)
class _ConsentChange:
    """One declaration on a channel and topic."""

    channel: str
    topic: str
    granted: bool
    source: str
    evidence: ConsentEvidence = NO_EVIDENCE
    evidence_faults: tuple[str, ...] = ()
    """What is wrong with the evidence in the event."""


def record_consents_from_traits(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Record ``traits.consents``: ``{"email": true, "sms": {"granted": false, "method": "checkbox"}}``."""
    for declaration in _changes_in_traits(stored.incoming):
        _append(person, stored, changes, declaration, _declaring_key(stored))


def record_consent_change(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Record ``Consent Changed``, with channel, topic, state, source and evidence as properties."""
    for declaration in _changes_in_properties(stored.incoming):
        _append(person, stored, changes, declaration, _declaring_key(stored))


def record_message_opt_out(
    person: ProfileState, stored: StoredEvent, message: MessageRef, changes: UnitOfWork
) -> None:
    """Record one of ``OPT_OUT_EVENT_TYPES`` as a withdrawal of the message's channel.

    It is declared by the address that the message was sent to, else by the event's strongest identifier.
    """
    declared_by = _address_key(message) or _declaring_key(stored)
    _append(person, stored, changes, _change_in_message(message, stored.incoming), declared_by)


def record_opt_out_without_message(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Record one of ``OPT_OUT_EVENT_TYPES`` that refers to no message of ours, for the addresses it names."""
    for declaration in _changes_without_message(stored.incoming):
        _append(person, stored, changes, declaration, _declaring_key(stored))


def record_withdrawals(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Record the withdrawals of an event and nothing else of it."""
    for declaration in _withdrawals(stored):
        declared_by = (
            _reply_sender_key(stored) if declaration.source == REPLY_SOURCE else _declaring_key(stored)
        )
        _append(person, stored, changes, declaration, declared_by)


def record_reply(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Record the intent of a ``Message Replied`` by SMS, declared by the number that it came from."""
    sender_key = _reply_sender_key(stored)
    for declaration in _changes_in_reply(stored):
        # A restart needs a phone number as declarant: it lifts withdrawals of the same number only.
        if not declaration.granted or type_of_key(sender_key or "") == _REPLY_ADDRESS_TYPE:
            _append(person, stored, changes, declaration, sender_key)


def request_confirmations(stored: StoredEvent, changes: UnitOfWork, channel: str) -> None:
    """Request that the owners of an unverified event's addresses confirm a channel, or "all" of them."""
    for confirmable in CONFIRMABLE_CHANNELS:
        if channel in (confirmable, "all"):
            for kind, value in stored.incoming.identifiers:
                if kind == ADDRESS_TYPE_BY_CHANNEL[confirmable]:
                    changes.request_opt_in(confirmable, value, stored)


def apply_withdrawals(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> bool:
    """Return whether an event withdraws a consent. A withdrawal of ads ends the named profile's audiences."""
    withdrawn = [declaration.channel for declaration in _withdrawals(stored)]
    if "ads" in withdrawn or "all" in withdrawn:
        changes.leave_audiences(person, "opted_out")
    return bool(withdrawn)


def may_withdraw(incoming: IncomingEvent) -> bool:
    """Return whether an event may withdraw a consent, before the message that it refers to is known."""
    name = incoming.type
    if _opts_out(incoming):
        return True
    if name == "Message Replied":
        return replies.classify_reply(replies.reply_text(incoming.properties)) in _WITHDRAWING_INTENTS
    if name != CONSENT_CHANGED and "consents" not in incoming.traits:
        return False
    declared: list[_ConsentChange | str] = [*_changes_in_traits(incoming)]
    if name == CONSENT_CHANGED:
        declared += _changes_in_properties(incoming)
    return any(isinstance(each, _ConsentChange) and not each.granted for each in declared)


def proves_address(incoming: IncomingEvent) -> bool:
    """Return whether an event declares the consent of one address by a signed link, or by an operator."""
    is_own = incoming.verified and incoming.source in ADDRESS_PROOF_SOURCES
    return is_own and incoming.type == CONSENT_CHANGED and len(incoming.identifiers) == 1


def withdrawals_alone(incoming: IncomingEvent) -> list[IncomingEvent]:
    """Return events that withdraw what an event withdraws and do nothing else. Ids derive from the content.

    For an event that cannot be stored as a whole, such as one of which the id is taken by another event.
    """
    mark = f"{WITHDRAWAL_MARK}{hashlib.sha256(incoming.content_hash()).hexdigest()[:24]}"
    alone = replace(incoming, id=incoming.id + mark, traits={}, context={}, problems=())
    declared: list[_ConsentChange | str] = [*_changes_in_traits(incoming)]
    events = [
        replace(
            alone,
            id=f"{alone.id}/{each.channel}",
            type=CONSENT_CHANGED,
            properties={"channel": each.channel, "topic": each.topic, "state": "withdrawn"},
        )
        for each in declared
        if isinstance(each, _ConsentChange) and not each.granted
    ]
    if incoming.type in (CONSENT_CHANGED, "Message Replied", BOUNCED, *OPT_OUT_EVENT_TYPES) and may_withdraw(
        replace(incoming, traits={})
    ):
        events.append(alone)
    return events


def _opts_out(incoming: IncomingEvent) -> bool:
    """Return whether an event reports an opt-out or a complaint, whatever it names."""
    if incoming.type == BOUNCED:
        return read_bounce(incoming.properties, aliased_name(incoming)).kind in OPT_OUT_KINDS
    return incoming.type in OPT_OUT_EVENT_TYPES


def aliased_name(incoming: IncomingEvent) -> str:
    """Return the name that the sender gave the event where it is another; else an empty text."""
    return str(incoming.context.get("aliased_from") or "")


def reported_addresses(incoming: IncomingEvent) -> list[tuple[str, str]]:
    """Return (channel, address) of the addresses that a report without a message of ours is about."""
    channels = _reported_channels(incoming)
    keys = [identifier_key(*pair) for pair in incoming.identifiers]
    return [
        (channel, address)
        for channel, address in channel_addresses(keys)
        if channel in channels or "all" in channels
    ]


def _withdrawals(stored: StoredEvent) -> list[_ConsentChange]:
    incoming = stored.incoming
    declared: list[_ConsentChange | str] = [*_changes_in_traits(incoming)]
    if incoming.type == CONSENT_CHANGED:
        declared += _changes_in_properties(incoming)
    if _opts_out(incoming):
        if stored.message_ref is not None:
            declared.append(_change_in_message(stored.message_ref, incoming))
        else:
            declared += _changes_without_message(incoming)
    if incoming.type == "Message Replied":
        declared += _changes_in_reply(stored)
    return [each for each in declared if isinstance(each, _ConsentChange) and not each.granted]


def _changes_in_traits(incoming: IncomingEvent) -> Iterator[_ConsentChange | str]:
    """Yield declarations; in place of one that cannot be read, what is wrong with it."""
    consents = incoming.traits.get("consents")
    if consents is None:
        return
    for channel, value in sorted(consents.items()) if isinstance(consents, dict) else [("", None)]:
        path = f"traits.consents.{channel}".rstrip(".")
        fields = value if isinstance(value, dict) else {"granted": value}
        granted = fields.get("granted")
        if channel in _CONSENT_CHANNELS and isinstance(granted, bool):
            found = evidence.parse_evidence(fields, where=f"{path}.")
            yield _ConsentChange(channel, MARKETING_TOPIC, granted, incoming.source, *found)
        else:
            yield f"{path} must be true or false, or an object with granted, of a channel"


def _changes_in_properties(incoming: IncomingEvent) -> list[_ConsentChange | str]:
    """Return the declarations, one for each topic; in place of one that cannot be read, what is wrong."""
    topics = incoming.properties.get("topic")
    if not isinstance(topics, list):
        return [_change_in_properties(incoming.properties, incoming)]
    # A list of none names no topic, so that it is about all of them.
    return [
        _change_in_properties({**incoming.properties, "topic": topic}, incoming)
        for topic in topics[:MAX_TOPICS_PER_EVENT] or [None]
    ]


def _change_in_properties(properties: dict[str, Any], incoming: IncomingEvent) -> _ConsentChange | str:
    """Return the declaration, or what is wrong with it."""
    channel, topic, state = (str(properties.get(name) or "") for name in ("channel", "topic", "state"))
    if channel not in _CONSENT_CHANNELS or state not in ("granted", "withdrawn"):
        return "channel must be email, sms, push, ads or all; state granted or withdrawn"
    # Of any type; texts are cut already.
    topic = topic.strip()[:MAX_TOPIC_LENGTH].rstrip()
    source = str(properties.get("source") or incoming.source)[:MAX_WORD_LENGTH]
    return _ConsentChange(
        channel, topic or MARKETING_TOPIC, state == "granted", source, *evidence.parse_evidence(properties)
    )


def _change_in_message(message: MessageRef, incoming: IncomingEvent) -> _ConsentChange:
    evidence_and_faults = evidence.parse_evidence(incoming.properties, method="provider")
    return _ConsentChange(message.channel, MARKETING_TOPIC, False, "message", *evidence_and_faults)


def _changes_without_message(incoming: IncomingEvent) -> list[_ConsentChange]:
    """Return the withdrawals of an opt-out of no known message: on the stated channel, else the named ones.

    Without either, all channels are withdrawn, since it is not known which one is meant.
    """
    channels = _reported_channels(incoming)
    found = evidence.parse_evidence(incoming.properties, method="provider")
    return [_ConsentChange(channel, MARKETING_TOPIC, False, incoming.source, *found) for channel in channels]


def _reported_channels(incoming: IncomingEvent) -> list[str]:
    stated = incoming.properties.get("channel")
    named = {kind for kind, _ in incoming.identifiers}
    if isinstance(stated, str) and stated in _CONSENT_CHANNELS:
        return [stated]
    if incoming.channel in ADDRESS_TYPE_BY_CHANNEL:
        return [incoming.channel]
    return [channel for channel, kind in ADDRESS_TYPE_BY_CHANNEL.items() if kind in named] or ["all"]


def _changes_in_reply(stored: StoredEvent) -> list[_ConsentChange]:
    """Return at most one declaration."""
    incoming = stored.incoming
    channel = stored.message_ref.channel if stored.message_ref is not None else incoming.channel
    if channel != replies.REPLY_CHANNEL:
        return []
    method = replies.METHOD_BY_INTENT.get(replies.classify_reply(replies.reply_text(incoming.properties)))
    if method is None:
        return []
    granted = method == evidence.RESTART_METHOD
    return [
        _ConsentChange(channel, replies.REPLY_TOPIC, granted, REPLY_SOURCE, ConsentEvidence(method=method))
    ]


def _reply_sender_key(stored: StoredEvent) -> str | None:
    """Return the number that a reply came from; else its message's address, else its strongest identifier."""
    keys = [identifier_key(*pair) for pair in sort_identifiers(stored.incoming.identifiers)]
    number = next((key for key in keys if type_of_key(key) == _REPLY_ADDRESS_TYPE), None)
    return number or _address_key(stored.message_ref) or _declaring_key(stored)


def _declaring_key(stored: StoredEvent) -> str | None:
    """Return the strongest identifier of an event as type:value, else the address of its message."""
    named = sort_identifiers(stored.incoming.identifiers)
    return identifier_key(*named[0]) if named else _address_key(stored.message_ref)


def declares_own_topic(incoming: IncomingEvent) -> bool:
    """Return whether an event declares a consent to a topic that is none of ``BROAD_TOPICS``."""
    if incoming.type != CONSENT_CHANGED or not incoming.properties.get("topic"):
        return False
    return any(
        isinstance(change, _ConsentChange) and change.topic not in BROAD_TOPICS
        for change in _changes_in_properties(incoming)
    )


def named_keys(stored: StoredEvent) -> list[str]:
    """Return all identifiers that an event names or implies, as type:value, the strongest first."""
    pairs = list(stored.incoming.identifiers)
    if address := _address_key(stored.message_ref):
        pairs.append(split_key(address))
    return [identifier_key(*pair) for pair in sort_identifiers((*pairs, *implied_identifiers(pairs)))]


def _address_key(message: MessageRef | None) -> str | None:
    kind = ADDRESS_TYPE_BY_CHANNEL.get(message.channel) if message else None
    return identifier_key(kind, message.address) if message and kind and message.address else None


def _append(
    person: ProfileState,
    stored: StoredEvent,
    changes: UnitOfWork,
    declaration: _ConsentChange | str,
    declared_by: str | None,
) -> None:
    """Add one ledger entry, whatever the ledger already holds; for a text, a problem of the event.

    ``effective_consents`` decides on late and unverified declarations.
    """
    if isinstance(declaration, str):
        changes.add_problem(stored.event_id, "", declaration)
        return
    for fault in declaration.evidence_faults:
        changes.add_problem(stored.event_id, "", fault)
    if declaration.granted and not stored.incoming.verified and declaration.topic == MARKETING_TOPIC:
        request_confirmations(stored, changes, declaration.channel)
    if not declaration.granted and declaration.channel in ("ads", "all"):
        changes.leave_audiences(person, "opted_out")
    topic, named = declaration.topic, named_keys(stored)
    if topic not in BROAD_TOPICS and not _is_topic_within_bound(person, stored, topic, named, changes):
        if declaration.granted:
            return
        topic = MARKETING_TOPIC
    if topic in _UNVERIFIED_TOPICS_REPLACED and not (stored.incoming.verified or stored.message_ref):
        # Who knows an address must not stop its owner's order confirmations.
        topic = MARKETING_TOPIC
        problem = f"topic {declaration.topic} of an unverified event counts as {MARKETING_TOPIC}"
        changes.add_problem(stored.event_id, "", f"{problem}; send it with a server key")
    if not declaration.granted:
        _opt_out_named_addresses(named, topic, declaration, stored, changes)
    changes.inserts["consent"].append(
        {
            "profile_id": person.profile_id,
            "channel": declaration.channel,
            "topic": topic,
            "state": "granted" if declaration.granted else "withdrawn",
            "source": declaration.source,
            **asdict(declaration.evidence),
            "verified": stored.incoming.verified,
            "voice": declared_by,
            "named": named,
            "event_id": stored.event_id,
            "time": stored.time,
            "at": stored.at,
        }
    )


def _is_topic_within_bound(
    person: ProfileState, stored: StoredEvent, topic: str, named: Sequence[str], changes: UnitOfWork
) -> bool:
    """Return whether a topic is on record, or one more is allowed; else add a problem."""
    keys: tuple[UUID | str, ...] = (person.profile_id, *named)
    holders = [changes.consent_topics.setdefault(each, set()) for each in keys]
    known = set().union(*holders)
    limit = MAX_TOPICS if stored.incoming.verified else MAX_UNVERIFIED_TOPICS
    if topic not in known and len(known) >= limit:
        changes.add_problem(
            stored.event_id,
            "",
            f"a profile has {limit} topics of consent at most: a grant of one more is left out, and a "
            f"withdrawal of one more counts for {MARKETING_TOPIC}, which is the whole channel",
        )
        return False
    for topics in holders:
        topics.add(topic)
    return True


def _opt_out_named_addresses(
    named: Sequence[str], topic: str, declaration: _ConsentChange, stored: StoredEvent, changes: UnitOfWork
) -> None:
    """Enter every named address of a withdrawn channel in the register of opt-outs, whosever it is.

    The register of a profile's own addresses is computed afterwards, by ``profiles.consent.effective``.
    """
    for channel, address in channel_addresses(named):
        if declaration.channel in (channel, "all"):
            changes.opt_out(channel, address, topic, declaration.source, stored)
