"""What an event says about consent, as entries of the ledger; which word stands is not decided here. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from profiles.consent import evidence, replies
from profiles.consent.evidence import NO_EVIDENCE, ConsentEvidence
from profiles.identity.identifiers import (
    ADDRESS_TYPE_BY_CHANNEL,
    identifier_key,
    implied_identifiers,
    sort_identifiers,
    split_key,
)
from profiles.state.event_records import IncomingEvent, MessageRef, StoredEvent
from profiles.state.profile_state import ProfileState
from profiles.state.unit_of_work import UnitOfWork

MARKETING_TOPIC = "marketing"

OPT_OUT_EVENT_TYPES = frozenset({"Message Unsubscribed", "Message Complained"})
"""Events of a message that say no to its channel."""

REPLY_SOURCE = "reply"
"""Source of what somebody said by answering a message."""

_CONSENT_CHANNELS = frozenset({"email", "sms", "push", "ads", "all"})


@dataclass(frozen=True, slots=True)
class _ConsentChange:
    """What was said about one channel and topic."""

    channel: str
    topic: str
    granted: bool
    source: str
    evidence: ConsentEvidence = NO_EVIDENCE
    evidence_faults: tuple[str, ...] = ()
    """What is wrong with the evidence that came."""


def record_consents_from_traits(person: ProfileState, taken: StoredEvent, changes: UnitOfWork) -> None:
    """``traits.consents``: {"email": true, "sms": {"granted": false, "method": "checkbox"}}."""
    for said in _changes_in_traits(taken.incoming):
        if isinstance(said, str):
            changes.add_problem(taken.event_id, "", said)
        else:
            _append(person, taken, changes, said, _declaring_key(taken))


def record_consent_change(person: ProfileState, taken: StoredEvent, changes: UnitOfWork) -> None:
    """``Consent Changed``: channel, topic, state, source and evidence as properties."""
    said = _change_in_properties(taken.incoming)
    if isinstance(said, str):
        changes.add_problem(taken.event_id, "", said)
    else:
        _append(person, taken, changes, said, _declaring_key(taken))


def record_message_opt_out(
    person: ProfileState, taken: StoredEvent, message: MessageRef, changes: UnitOfWork
) -> None:
    """One of ``OPT_OUTS``: the channel of the message, by the voice of the address written to."""
    _append(
        person,
        taken,
        changes,
        _change_in_message(message, taken.incoming),
        _address_key(message) or _declaring_key(taken),
    )


def record_reply(person: ProfileState, taken: StoredEvent, changes: UnitOfWork) -> None:
    """``Message Replied`` by SMS: what the text says, by the voice of the number it came from."""
    voice = _reply_sender_key(taken)
    for said in _changes_in_reply(taken):
        # Nobody takes an opt-out back but the number that it came from.
        if not said.granted or (voice or "").startswith(f"{ADDRESS_TYPE_BY_CHANNEL[replies.REPLY_CHANNEL]}:"):
            _append(person, taken, changes, said, voice)


def apply_withdrawals(person: ProfileState, taken: StoredEvent, changes: UnitOfWork) -> bool:
    """Whether an event withdraws something, for all whom it names; a no to ads takes a person out of them."""
    withdrawn = [said.channel for said in _withdrawals(taken)]
    if "ads" in withdrawn or "all" in withdrawn:
        changes.leave_audiences(person, list(person.audiences), "opted_out")
    return bool(withdrawn)


def _withdrawals(taken: StoredEvent) -> list[_ConsentChange]:
    incoming = taken.incoming
    said: list[_ConsentChange | str] = [*_changes_in_traits(incoming)]
    if incoming.type == "Consent Changed":
        said.append(_change_in_properties(incoming))
    if incoming.type in OPT_OUT_EVENT_TYPES and taken.message_ref is not None:
        said.append(_change_in_message(taken.message_ref, incoming))
    if incoming.type == "Message Replied":
        said += _changes_in_reply(taken)
    return [word for word in said if isinstance(word, _ConsentChange) and not word.granted]


def _changes_in_traits(incoming: IncomingEvent) -> Iterator[_ConsentChange | str]:
    """Words, and in place of one that cannot be read what is wrong with it."""
    said = incoming.traits.get("consents")
    if said is None:
        return
    for channel, word in sorted(said.items()) if isinstance(said, dict) else [("", None)]:
        where = f"traits.consents.{channel}".rstrip(".")
        granted = word.get("granted") if isinstance(word, dict) else word
        if channel in _CONSENT_CHANNELS and isinstance(granted, bool):
            shown = word if isinstance(word, dict) else {}
            yield _ConsentChange(
                channel,
                MARKETING_TOPIC,
                granted,
                incoming.source,
                *evidence.parse_evidence(shown, where=f"{where}."),
            )
        else:
            yield f"{where} must be true or false, or an object with granted, of a channel"


def _change_in_properties(incoming: IncomingEvent) -> _ConsentChange | str:
    """The word, or what is wrong with it."""
    said = incoming.properties
    channel, topic, state = (str(said.get(name) or "") for name in ("channel", "topic", "state"))
    if channel not in _CONSENT_CHANNELS or state not in ("granted", "withdrawn"):
        return "channel must be email, sms, push, ads or all; state granted or withdrawn"
    source = str(said.get("source") or incoming.source)
    return _ConsentChange(
        channel, topic or MARKETING_TOPIC, state == "granted", source, *evidence.parse_evidence(said)
    )


def _change_in_message(message: MessageRef, incoming: IncomingEvent) -> _ConsentChange:
    shown = evidence.parse_evidence(incoming.properties, method="provider")
    return _ConsentChange(message.channel, MARKETING_TOPIC, False, "message", *shown)


def _changes_in_reply(taken: StoredEvent) -> list[_ConsentChange]:
    """At most one word."""
    incoming = taken.incoming
    channel = taken.message_ref.channel if taken.message_ref is not None else incoming.channel
    if channel != replies.REPLY_CHANNEL:
        return []
    method = replies.METHOD_BY_INTENT.get(replies.classify_reply(replies.reply_text(incoming.properties)))
    if method is None:
        return []
    granted = method == evidence.RESTART_METHOD
    return [
        _ConsentChange(channel, replies.REPLY_TOPIC, granted, REPLY_SOURCE, ConsentEvidence(method=method))
    ]


def _reply_sender_key(taken: StoredEvent) -> str | None:
    """The number that an answer came from, as type:value, as far as can be told."""
    kind = ADDRESS_TYPE_BY_CHANNEL[replies.REPLY_CHANNEL]
    numbers = [value for of, value in sort_identifiers(taken.incoming.identifiers) if of == kind]
    if numbers:
        return identifier_key(kind, numbers[0])
    return (_address_key(taken.message_ref) if taken.message_ref is not None else None) or _declaring_key(
        taken
    )


def _declaring_key(taken: StoredEvent) -> str | None:
    """The strongest identifier of an event, as type:value; else the address of the message it is about."""
    named = sort_identifiers(taken.incoming.identifiers)
    if named:
        return identifier_key(*named[0])
    return _address_key(taken.message_ref) if taken.message_ref else None


def _named_keys(taken: StoredEvent) -> list[str]:
    """All that an event names, the strongest first."""
    pairs = list(taken.incoming.identifiers)
    if taken.message_ref is not None and (address := _address_key(taken.message_ref)):
        pairs.append(split_key(address))
    return [
        identifier_key(kind, value)
        for kind, value in sort_identifiers((*pairs, *implied_identifiers(tuple(pairs))))
    ]


def _address_key(message: MessageRef) -> str | None:
    kind = ADDRESS_TYPE_BY_CHANNEL.get(message.channel)
    return identifier_key(kind, message.address) if kind and message.address else None


def _append(
    person: ProfileState, taken: StoredEvent, changes: UnitOfWork, said: _ConsentChange, voice: str | None
) -> None:
    """One ledger entry, whatever is already there: late and unverified words are the fold's matter."""
    for fault in said.evidence_faults:
        changes.add_problem(taken.event_id, "", fault)
    if not said.granted and said.channel in ("ads", "all"):
        changes.leave_audiences(person, list(person.audiences), "opted_out")
    changes.inserts["consent"].append(
        {
            "profile_id": person.profile_id,
            "channel": said.channel,
            "topic": said.topic,
            "state": "granted" if said.granted else "withdrawn",
            "source": said.source,
            "text_version": said.evidence.text_version,
            "method": said.evidence.method,
            "jurisdiction": said.evidence.jurisdiction,
            "verified": taken.incoming.verified,
            "voice": voice,
            "named": _named_keys(taken),
            "event_id": taken.event_id,
            "time": taken.time,
            "at": taken.at,
        }
    )
