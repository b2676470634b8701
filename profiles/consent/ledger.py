"""The register of addresses that take no messages, as people's words leave it. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from profiles.consent.evidence import (
    DOUBTFUL_METHOD,
    KEYWORD_METHOD,
    NO_EVIDENCE,
    RESTART_METHOD,
    REVIEW_METHOD,
    ConsentEvidence,
)
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL

_REPLY_METHODS = frozenset((KEYWORD_METHOD, DOUBTFUL_METHOD, REVIEW_METHOD))
"""Methods of what an answer to a text message withdrew."""

ConsentKey = tuple[str, str]
"""(channel, topic)."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One entry of the ledger."""

    channel: str
    topic: str
    granted: bool
    verified: bool
    """Said by somebody known to speak for the person."""
    declared_by: str | None
    """The identifier under which it was said, as type:value; None: as good as said under any."""
    time: datetime
    """By the channel's clock."""
    source: str
    event_id: UUID | None
    at: datetime
    """When it was taken in."""
    evidence: ConsentEvidence = NO_EVIDENCE
    annulled: bool = False
    """An operator found that it meant nothing of the kind: it counts for nothing."""

    @property
    def is_restart(self) -> bool:
        """It takes back what an answer of the same number withdrew, and is no consent by itself."""
        return self.granted and self.evidence.method == RESTART_METHOD

    @property
    def is_reply_withdrawal(self) -> bool:
        """It was withdrawn by an answer to a text message."""
        return not self.granted and self.evidence.method in _REPLY_METHODS


@dataclass(frozen=True, slots=True)
class EffectiveConsent:
    """What stands, and the word it comes from."""

    granted: bool
    source: str
    time: datetime
    at: datetime
    event_id: UUID | None
    evidence: ConsentEvidence = NO_EVIDENCE


def effective_consents(
    records: Iterable[ConsentRecord],
    joined_at: Mapping[str, datetime],
    vouched: bool,
    *,
    exclude_restarts: bool = True,
) -> dict[ConsentKey, EffectiveConsent]:
    """The word that stands on each (channel, topic); neither order nor repetition of ``words`` matters.

    A withdrawal stands until a later grant lifts it: one of the same voice, or one said after both voices
    had become one person; and a verified one, unless the withdrawal was itself unverified. So where two
    people become one, the stricter word stands until they speak anew. An unverified grant counts for
    nothing where the person is ``vouched`` for. ``joined_at``: identifier → when it became the person's.
    A word that restarts leaves what stood before; where that is nothing, nothing. ``consents``: False counts
    it as a yes, as the register does, which lets pass and agrees to nothing.
    """
    counted = (
        word for word in records if not word.annulled and (word.verified or not word.granted or not vouched)
    )
    told: dict[ConsentKey, list[ConsentRecord]] = {}
    for word in _latest_per_declarant(counted):
        told.setdefault((word.channel, word.topic), []).append(word)
    states = {
        about: _effective_consent(said, joined_at, exclude_restarts) for about, said in sorted(told.items())
    }
    return {about: state for about, state in states.items() if state is not None}


def _latest_per_declarant(words: Iterable[ConsentRecord]) -> list[ConsentRecord]:
    """Nothing that lifts a voice's last withdrawal leaves an earlier one standing, and no earlier grant lifts
    more than the last one: whoever says the same a thousand times is heard once."""
    last: dict[tuple[str, str, bool, bool, str | None, bool], ConsentRecord] = {}
    for word in words:
        special = word.is_restart or word.is_reply_withdrawal
        kind = (word.channel, word.topic, word.granted, word.verified, word.declared_by, special)
        if kind not in last or _record_sort_key(word) > _record_sort_key(last[kind]):
            last[kind] = word
    return list(last.values())


def _effective_consent(
    said: Iterable[ConsentRecord], joined_at: Mapping[str, datetime], consents: bool
) -> EffectiveConsent | None:
    grants = [word for word in said if word.granted]
    refusals = [word for word in said if not word.granted]
    unlifted = [no for no in refusals if not any(_revokes(yes, no, joined_at) for yes in grants)]
    left = unlifted or [yes for yes in grants if not (consents and yes.is_restart)]
    if not left:
        return None
    word = max(left, key=_record_sort_key)
    return EffectiveConsent(word.granted, word.source, word.time, word.at, word.event_id, word.evidence)


def _revokes(yes: ConsentRecord, no: ConsentRecord, joined_at: Mapping[str, datetime]) -> bool:
    if yes.time <= no.time or (no.verified and not yes.verified):
        return False
    if yes.is_restart:
        return no.is_reply_withdrawal and yes.declared_by is not None and yes.declared_by == no.declared_by
    if yes.declared_by is None or no.declared_by is None or yes.declared_by == no.declared_by:
        return True
    # A voice that is none of the person's identifiers, such as a former address, may refuse on their behalf,
    # which they can take back; it cannot take back what they refused.
    joined = joined_at.get(yes.declared_by)
    return joined is not None and yes.time > max(joined, joined_at.get(no.declared_by, no.time))


def _record_sort_key(word: ConsentRecord) -> tuple[datetime, str, datetime, str]:
    return word.time, word.source, word.at, str(word.event_id or "")


ChannelAddress = tuple[str, str]
"""(channel, address)."""

_ADDRESS_IDENTIFIER_TYPES = frozenset(ADDRESS_TYPE_BY_CHANNEL.values())


@dataclass(frozen=True, slots=True)
class OptOutEntry:
    """One entry of the register."""

    channel: str
    address: str
    topic: str
    withdrawn: bool
    time: datetime
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The entry's key."""
        return self.channel, self.address, self.topic


@dataclass(frozen=True, slots=True)
class ConsentSubject:
    """A person as the register needs them."""

    identifiers: frozenset[str]
    """As type:value."""
    records: tuple[ConsentRecord, ...]
    consents: Mapping[ConsentKey, EffectiveConsent]
    verified_consents: Mapping[ConsentKey, EffectiveConsent]
    """The same from verified words alone."""


def recompute_opt_outs(
    subjects: Sequence[ConsentSubject], entries: Iterable[OptOutEntry]
) -> tuple[list[OptOutEntry], list[OptOutEntry]]:
    """Entries to write and entries to take away first, so that the register says what people's words say.

    ``known``: the entries there are on the people's addresses. Those that came with a word of the people are
    made anew, as an address may have turned out not to be whose it was; those of others, such as an earlier
    owner or a provider, stay. On an address of theirs, what a person withdrew is withdrawn; else the later
    word wins, whoever's it was, and of two at one time the withdrawal; but unverified words touch no
    withdrawal of somebody else's. An address that said no itself is entered, though no longer the person's.
    """
    before = {mark.key: mark for mark in entries}
    sayings = {(*_record_signature(word), word.channel) for person in subjects for word in person.records}
    after = {place: mark for place, mark in before.items() if not _derives_from(sayings, mark)}
    for person in subjects:
        for said, sure in _former_address_entries(person):
            _merge_entries(after, said, verified=sure)
    for person in subjects:
        _merge_entries(
            after, _own_address_entries(person, person.verified_consents), verified=True, own_address=True
        )
        _merge_entries(after, _own_address_entries(person, person.consents), own_address=True)
    changed = [mark for place, mark in sorted(after.items()) if mark != before.get(place)]
    stale = [mark for place, mark in sorted(before.items()) if not _needs_no_deletion(mark, after.get(place))]
    return changed, stale


def channel_addresses(identifiers: Iterable[str]) -> list[ChannelAddress]:
    """The addresses among identifiers (type:value), each with the channel that writes to it."""
    split = sorted(key.partition(":")[::2] for key in identifiers)
    return [
        (channel, value)
        for kind, value in split
        for channel, of in ADDRESS_TYPE_BY_CHANNEL.items()
        if of == kind
    ]


def _own_address_entries(
    person: ConsentSubject, states: Mapping[ConsentKey, EffectiveConsent]
) -> list[OptOutEntry]:
    return [
        mark
        for address in channel_addresses(person.identifiers)
        for mark in _address_entries(address, states)
    ]


def _former_address_entries(person: ConsentSubject) -> Iterator[tuple[list[OptOutEntry], bool]]:
    """Entries, and whether they come from verified words."""
    spoke = {word.declared_by for word in person.records if word.declared_by is not None} - person.identifiers
    for voice in sorted(voice for voice in spoke if voice.partition(":")[0] in _ADDRESS_IDENTIFIER_TYPES):
        said = [word for word in person.records if word.declared_by == voice]
        for words, sure in (([word for word in said if word.verified], True), (said, False)):
            # Vouched: whose it is by now is not known here, so an unverified grant counts for nothing.
            states = effective_consents(words, {}, vouched=True, exclude_restarts=False)
            yield (
                [
                    mark
                    for address in channel_addresses([voice])
                    for mark in _address_entries(address, states)
                ],
                sure,
            )


def _address_entries(
    address: ChannelAddress, states: Mapping[ConsentKey, EffectiveConsent]
) -> list[OptOutEntry]:
    """One a topic: a no to the channel or to all channels outweighs a yes to the other."""
    channel, value = address
    marks: dict[str, OptOutEntry] = {}
    for (of, topic), state in states.items():
        if of in (channel, "all"):
            mark = OptOutEntry(channel, value, topic, not state.granted, state.time, state.source)
            known = marks.get(topic)
            if known is None or (mark.withdrawn, mark.time) > (known.withdrawn, known.time):
                marks[topic] = mark
    return list(marks.values())


def _merge_entries(
    register: dict[tuple[str, str, str], OptOutEntry],
    marks: Iterable[OptOutEntry],
    *,
    verified: bool = False,
    own_address: bool = False,
) -> None:
    for mark in marks:
        there = register.get(mark.key)
        if there is None or (own_address and mark.withdrawn and not there.withdrawn):
            register[mark.key] = mark
        elif verified or not there.withdrawn:
            register[mark.key] = max(there, mark, key=lambda one: (one.time, one.withdrawn))


def _needs_no_deletion(mark: OptOutEntry, to: OptOutEntry | None) -> bool:
    """Whether an entry is right, or will be replaced by what is written."""
    return to is not None and (to == mark or to.withdrawn or to.time > mark.time)


def _record_signature(word: ConsentRecord) -> tuple[str, bool, datetime, str]:
    """What an entry has in common with the word it came with, besides the channel."""
    return word.topic, not word.granted, word.time, word.source


def _derives_from(sayings: Collection[tuple[str, bool, datetime, str, str]], mark: OptOutEntry) -> bool:
    said = (mark.topic, mark.withdrawn, mark.time, mark.source)
    return any((*said, channel) in sayings for channel in (mark.channel, "all"))
