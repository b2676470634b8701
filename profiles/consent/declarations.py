"""What an event says about consent, as entries of the ledger; which word stands is not decided here. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from profiles.consent import evidence, replies
from profiles.consent.evidence import NONE, Evidence
from profiles.identity.identifiers import ADDRESS_TYPE, implied, in_order, key, split_key
from profiles.state.event_records import IncomingEvent, KnownMessage, Taken
from profiles.state.profile_state import Person
from profiles.state.unit_of_work import Changes

MARKETING = "marketing"

OPT_OUTS = frozenset({"Message Unsubscribed", "Message Complained"})
"""Events of a message that say no to its channel."""

REPLY = "reply"
"""Source of what somebody said by answering a message."""

_CHANNELS = frozenset({"email", "sms", "push", "ads", "all"})


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said about one channel and topic."""

    channel: str
    topic: str
    granted: bool
    source: str
    evidence: Evidence = NONE
    faults: tuple[str, ...] = ()
    """What is wrong with the evidence that came."""


def from_traits(person: Person, taken: Taken, changes: Changes) -> None:
    """``traits.consents``: {"email": true, "sms": {"granted": false, "method": "checkbox"}}."""
    for said in _in_traits(taken.incoming):
        if isinstance(said, str):
            changes.problem(taken.event_id, "", said)
        else:
            _say(person, taken, changes, said, _voice(taken))


def from_event(person: Person, taken: Taken, changes: Changes) -> None:
    """``Consent Changed``: channel, topic, state, source and evidence as properties."""
    said = _in_properties(taken.incoming)
    if isinstance(said, str):
        changes.problem(taken.event_id, "", said)
    else:
        _say(person, taken, changes, said, _voice(taken))


def from_message(person: Person, taken: Taken, message: KnownMessage, changes: Changes) -> None:
    """One of ``OPT_OUTS``: the channel of the message, by the voice of the address written to."""
    _say(person, taken, changes, _in_message(message, taken.incoming), _address_of(message) or _voice(taken))


def from_reply(person: Person, taken: Taken, changes: Changes) -> None:
    """``Message Replied`` by SMS: what the text says, by the voice of the number it came from."""
    voice = _sender(taken)
    for said in _in_reply(taken):
        # Nobody takes an opt-out back but the number that it came from.
        if not said.granted or (voice or "").startswith(f"{ADDRESS_TYPE[replies.CHANNEL]}:"):
            _say(person, taken, changes, said, voice)


def leave_with(person: Person, taken: Taken, changes: Changes) -> bool:
    """Whether an event withdraws something, for all whom it names; a no to ads takes a person out of them."""
    withdrawn = [said.channel for said in _withdrawals(taken)]
    if "ads" in withdrawn or "all" in withdrawn:
        changes.leave(person, list(person.audiences), "opted_out")
    return bool(withdrawn)


def _withdrawals(taken: Taken) -> list[_Said]:
    incoming = taken.incoming
    said: list[_Said | str] = [*_in_traits(incoming)]
    if incoming.type == "Consent Changed":
        said.append(_in_properties(incoming))
    if incoming.type in OPT_OUTS and taken.message is not None:
        said.append(_in_message(taken.message, incoming))
    if incoming.type == "Message Replied":
        said += _in_reply(taken)
    return [word for word in said if isinstance(word, _Said) and not word.granted]


def _in_traits(incoming: IncomingEvent) -> Iterator[_Said | str]:
    """Words, and in place of one that cannot be read what is wrong with it."""
    said = incoming.traits.get("consents")
    if said is None:
        return
    for channel, word in sorted(said.items()) if isinstance(said, dict) else [("", None)]:
        where = f"traits.consents.{channel}".rstrip(".")
        granted = word.get("granted") if isinstance(word, dict) else word
        if channel in _CHANNELS and isinstance(granted, bool):
            shown = word if isinstance(word, dict) else {}
            yield _Said(
                channel,
                MARKETING,
                granted,
                incoming.source,
                *evidence.read_evidence(shown, where=f"{where}."),
            )
        else:
            yield f"{where} must be true or false, or an object with granted, of a channel"


def _in_properties(incoming: IncomingEvent) -> _Said | str:
    """The word, or what is wrong with it."""
    said = incoming.properties
    channel, topic, state = (str(said.get(name) or "") for name in ("channel", "topic", "state"))
    if channel not in _CHANNELS or state not in ("granted", "withdrawn"):
        return "channel must be email, sms, push, ads or all; state granted or withdrawn"
    source = str(said.get("source") or incoming.source)
    return _Said(channel, topic or MARKETING, state == "granted", source, *evidence.read_evidence(said))


def _in_message(message: KnownMessage, incoming: IncomingEvent) -> _Said:
    shown = evidence.read_evidence(incoming.properties, method="provider")
    return _Said(message.channel, MARKETING, False, "message", *shown)


def _in_reply(taken: Taken) -> list[_Said]:
    """At most one word."""
    incoming = taken.incoming
    channel = taken.message.channel if taken.message is not None else incoming.channel
    if channel != replies.CHANNEL:
        return []
    method = replies.REPLY_METHOD.get(replies.classify_reply(replies.text_of(incoming.properties)))
    if method is None:
        return []
    granted = method == evidence.RESTART
    return [_Said(channel, replies.TOPIC, granted, REPLY, Evidence(method=method))]


def _sender(taken: Taken) -> str | None:
    """The number that an answer came from, as type:value, as far as can be told."""
    kind = ADDRESS_TYPE[replies.CHANNEL]
    numbers = [value for of, value in in_order(taken.incoming.identifiers) if of == kind]
    if numbers:
        return key(kind, numbers[0])
    return (_address_of(taken.message) if taken.message is not None else None) or _voice(taken)


def _voice(taken: Taken) -> str | None:
    """The strongest identifier of an event, as type:value; else the address of the message it is about."""
    named = in_order(taken.incoming.identifiers)
    if named:
        return key(*named[0])
    return _address_of(taken.message) if taken.message else None


def _named(taken: Taken) -> list[str]:
    """All that an event names, the strongest first."""
    pairs = list(taken.incoming.identifiers)
    if taken.message is not None and (address := _address_of(taken.message)):
        pairs.append(split_key(address))
    return [key(kind, value) for kind, value in in_order((*pairs, *implied(tuple(pairs))))]


def _address_of(message: KnownMessage) -> str | None:
    kind = ADDRESS_TYPE.get(message.channel)
    return key(kind, message.address) if kind and message.address else None


def _say(person: Person, taken: Taken, changes: Changes, said: _Said, voice: str | None) -> None:
    """One ledger entry, whatever is already there: late and unverified words are the fold's matter."""
    for fault in said.faults:
        changes.problem(taken.event_id, "", fault)
    if not said.granted and said.channel in ("ads", "all"):
        changes.leave(person, list(person.audiences), "opted_out")
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
            "named": _named(taken),
            "event_id": taken.event_id,
            "time": taken.time,
            "at": taken.at,
        }
    )
