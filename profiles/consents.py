"""A person's word on a channel: entries of the consent ledger, and opt-outs of their addresses. Pure."""

from dataclasses import dataclass
from typing import Any

from profiles.changes import Changes
from profiles.identifiers import ADDRESS_TYPE
from profiles.person import Person
from profiles.taken import KnownMessage, Taken

MARKETING = "marketing"
_CHANNELS = frozenset({"email", "sms", "push", "ads", "all"})


@dataclass(frozen=True, slots=True)
class Word:
    """What was said about one channel and topic."""

    channel: str
    topic: str
    granted: bool
    source: str

    @property
    def state(self) -> str:
        """As the ledger has it."""
        return "granted" if self.granted else "withdrawn"


def from_traits(person: Person, taken: Taken, changes: Changes) -> None:
    """``traits.consents``: {"email": true, "sms": false}."""
    said = taken.incoming.traits.get("consents")
    if said is None:
        return
    for channel, granted in sorted(said.items()) if isinstance(said, dict) else [("", None)]:
        if channel in _CHANNELS and isinstance(granted, bool):
            _say(person, taken, changes, Word(channel, MARKETING, granted, taken.incoming.source))
        else:
            where = f"traits.consents.{channel}".rstrip(".")
            changes.problem(taken.event_id, "", f"{where} must be true or false, of a channel")


def from_event(person: Person, taken: Taken, changes: Changes) -> None:
    """``Consent Changed``: channel, topic, state, source as properties."""
    said = taken.incoming.properties
    channel, topic, state = (str(said.get(name) or "") for name in ("channel", "topic", "state"))
    if channel not in _CHANNELS or state not in ("granted", "withdrawn"):
        changes.problem(
            taken.event_id, "", "channel must be email, sms, push, ads or all; state granted or withdrawn"
        )
        return
    source = str(said.get("source") or taken.incoming.source)
    _say(person, taken, changes, Word(channel, topic or MARKETING, state == "granted", source))


def from_message(person: Person, taken: Taken, message: KnownMessage, changes: Changes) -> None:
    """``Message Unsubscribed``: the channel of the message, and the address that was written to."""
    word = Word(message.channel, MARKETING, granted=False, source="message")
    _say(person, taken, changes, word)
    if message.address:
        # Even where the person has another address by now.
        _mark_address(taken, changes, message.channel, message.address, word)


def _say(person: Person, taken: Taken, changes: Changes, word: Word) -> None:
    """One ledger entry; an opt-out also goes onto the person's addresses, a grant takes it off them.

    A withdrawal always counts. A grant that is older than a withdrawal, by the channels' clocks, was
    delivered late and changes nothing.
    """
    time = min(taken.incoming.time, taken.at)
    told = (word.channel, word.topic)
    if word.granted and (last := person.withdrawals.get(told)) is not None and time < last:
        changes.problem(
            taken.event_id, "", f"the grant of {word.topic} on {word.channel} is older than its withdrawal"
        )
        return
    if not word.granted:
        person.withdrawals[told] = max(time, person.withdrawals.get(told, time))
        if word.channel in ("ads", "all"):
            changes.leave(person, list(person.audiences), "opted_out")
    changes.inserts["consent"].append(
        {
            "profile_id": person.profile_id,
            "channel": word.channel,
            "topic": word.topic,
            "state": word.state,
            "source": word.source,
            "event_id": taken.event_id,
            "time": time,
            "at": taken.at,
        }
    )
    for channel, kind in ADDRESS_TYPE.items():
        if word.channel in (channel, "all"):
            for address in _addresses(person, taken, kind):
                _mark_address(taken, changes, channel, address, word)


def _addresses(person: Person, taken: Taken, kind: str) -> dict[str, None]:
    named = [value for type_, value in taken.incoming.identifiers if type_ == kind]
    return dict.fromkeys([*person.addresses.get(kind, ()), *named])


def _mark_address(taken: Taken, changes: Changes, channel: str, address: str, word: Word) -> None:
    row: dict[str, Any] | None = None
    if not word.granted:
        row = {
            "channel": channel,
            "address": address,
            "topic": word.topic,
            "source": word.source,
            "at": taken.at,
        }
    changes.opt_outs[channel, address, word.topic] = row
