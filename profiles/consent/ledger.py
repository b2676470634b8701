"""Effective consents and the register of opted-out addresses, computed from ledger entries. Pure."""

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
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, type_of_key

_REPLY_METHODS = frozenset((KEYWORD_METHOD, DOUBTFUL_METHOD, REVIEW_METHOD))
"""Methods of withdrawals by a reply to a text message."""

_ADDRESS_IDENTIFIER_TYPES = frozenset(ADDRESS_TYPE_BY_CHANNEL.values())

ConsentKey = tuple[str, str]
"""(channel, topic)."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One entry of the ledger."""

    channel: str
    topic: str
    granted: bool
    verified: bool
    """Declared by a sender that is known to speak for the profile."""
    declared_by: str | None
    """The identifier that declared it, as type:value. None equals every identifier."""
    time: datetime
    """By the channel's clock."""
    source: str
    event_id: UUID | None
    at: datetime
    """When Waypost stored it."""
    evidence: ConsentEvidence = NO_EVIDENCE
    annulled: bool = False
    """An operator found that the reply was no opt-out. The entry is ignored."""
    names_push_token: bool = False
    """Its event named a push token of the profile. Such a token cannot be guessed, so the device sent it."""

    @property
    def is_restart(self) -> bool:
        """Whether it lifts what a reply of the same number withdrew; it is no consent by itself."""
        return self.granted and self.evidence.method == RESTART_METHOD

    @property
    def is_reply_withdrawal(self) -> bool:
        """Whether it is a withdrawal by a reply to a text message."""
        return not self.granted and self.evidence.method in _REPLY_METHODS


@dataclass(frozen=True, slots=True)
class EffectiveConsent:
    """The effective state of a channel and topic, and the declaration that it comes from."""

    granted: bool
    source: str
    time: datetime
    at: datetime
    event_id: UUID | None
    evidence: ConsentEvidence = NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class OptOutEntry:
    """One entry of the register of opt-outs."""

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
    """A profile's data from which its entries of the register are computed."""

    identifiers: frozenset[str]
    """As type:value."""
    records: tuple[ConsentRecord, ...]
    consents: Mapping[ConsentKey, EffectiveConsent]
    verified_consents: Mapping[ConsentKey, EffectiveConsent]
    """The same from verified records alone."""


def effective_consents(
    records: Iterable[ConsentRecord],
    joined_at: Mapping[str, datetime],
    vouched: bool,
    *,
    exclude_restarts: bool = True,
) -> dict[ConsentKey, EffectiveConsent]:
    """Return the effective consent of each (channel, topic).

    Neither order nor repetition of ``records`` matters.
    A withdrawal is effective until a later grant lifts it. That grant has the same declarant, or was declared
    after both declarants belonged to the profile. It is verified, unless the withdrawal is unverified too.
    So after a merge the stricter declaration is effective until the next one. An unverified grant is
    ignored: any sender can invent one. Only the grant of push by the device itself counts, unless the
    profile is verified (``vouched``). A restart leaves the state before it as it was, also where there was
    none.

    ``joined_at``: identifier → when it became the profile's. ``exclude_restarts``: False counts a restart
    as a grant, as the register of opt-outs does: there a grant permits messages, and is no consent.
    """
    counted = (record for record in records if not record.annulled and _counts(record, vouched))
    by_key: dict[ConsentKey, list[ConsentRecord]] = {}
    for record in _latest_per_declarant(counted):
        by_key.setdefault((record.channel, record.topic), []).append(record)
    states = {
        key: _effective_consent(of_key, joined_at, exclude_restarts) for key, of_key in sorted(by_key.items())
    }
    return {key: state for key, state in states.items() if state is not None}


def recompute_opt_outs(
    subjects: Sequence[ConsentSubject], entries: Iterable[OptOutEntry]
) -> tuple[list[OptOutEntry], list[OptOutEntry]]:
    """Return the entries to write, and those to delete first, so that the register agrees with the ledger.

    ``entries``: those that are stored for the profiles' addresses. Entries that came with a declaration of
    these profiles are computed anew, because an address may have moved to another profile. Entries of
    others, such as an earlier owner or a provider, stay.
    On an address of a profile, what the profile withdrew is withdrawn. Otherwise the later declaration
    prevails, also between profiles, and the withdrawal of two at the same time. Unverified declarations
    change no withdrawal of another profile. An address that made a withdrawal itself is entered, even
    where it is no longer the profile's.
    """
    before = {entry.key: entry for entry in entries}
    signatures = {
        (*_record_signature(record), record.channel) for person in subjects for record in person.records
    }
    # An address that an event of theirs named, and that is in no profile here, keeps its entry.
    keys = {key for person in subjects for key in person.identifiers}
    keys |= {each.declared_by for person in subjects for each in person.records if each.declared_by}
    computed = set(channel_addresses(keys))
    after = {
        place: entry
        for place, entry in before.items()
        if place[:2] not in computed or not _derives_from(signatures, entry)
    }
    for person in subjects:
        for former, verified in _former_address_entries(person):
            _merge_entries(after, former, verified=verified)
    for person in subjects:
        proved = _address_entries(person.identifiers, person.verified_consents)
        _merge_entries(after, proved, verified=True, own_address=True)
        _merge_entries(after, _address_entries(person.identifiers, person.consents), own_address=True)
    changed = [entry for place, entry in sorted(after.items()) if entry != before.get(place)]
    old = sorted(before.items())
    return changed, [entry for place, entry in old if not _needs_no_deletion(entry, after.get(place))]


def channel_addresses(identifiers: Iterable[str]) -> list[tuple[str, str]]:
    """Return (channel, address) for each address among identifiers (type:value)."""
    split = sorted(key.partition(":")[::2] for key in identifiers)
    channels = {kind: channel for channel, kind in ADDRESS_TYPE_BY_CHANNEL.items()}
    return [(channels[kind], value) for kind, value in split if kind in channels]


def _counts(record: ConsentRecord, vouched: bool) -> bool:
    if record.verified or not record.granted:
        return True
    return record.channel == "push" and record.names_push_token and not vouched


def _latest_per_declarant(records: Iterable[ConsentRecord]) -> list[ConsentRecord]:
    """Return the latest record of each declarant and kind; the earlier ones change nothing.

    What lifts a declarant's last withdrawal lifts the earlier ones too, and no earlier grant lifts more than
    the last one.
    """
    last: dict[tuple[str, str, bool, bool, str | None, bool], ConsentRecord] = {}
    for record in records:
        special = record.is_restart or record.is_reply_withdrawal
        kind = (record.channel, record.topic, record.granted, record.verified, record.declared_by, special)
        if kind not in last or _record_sort_key(record) > _record_sort_key(last[kind]):
            last[kind] = record
    return list(last.values())


def _effective_consent(
    records: Iterable[ConsentRecord], joined_at: Mapping[str, datetime], exclude_restarts: bool
) -> EffectiveConsent | None:
    grants = [record for record in records if record.granted]
    withdrawals = [record for record in records if not record.granted]
    unlifted = [each for each in withdrawals if not any(_revokes(by, each, joined_at) for by in grants)]
    remaining = unlifted or [grant for grant in grants if not (exclude_restarts and grant.is_restart)]
    if not remaining:
        return None
    record = max(remaining, key=_record_sort_key)
    return EffectiveConsent(
        record.granted, record.source, record.time, record.at, record.event_id, record.evidence
    )


def _revokes(grant: ConsentRecord, withdrawal: ConsentRecord, joined_at: Mapping[str, datetime]) -> bool:
    if grant.time <= withdrawal.time or (withdrawal.verified and not grant.verified):
        return False
    if grant.is_restart:
        same = grant.declared_by is not None and grant.declared_by == withdrawal.declared_by
        return same and withdrawal.is_reply_withdrawal
    if grant.declared_by is None or withdrawal.declared_by in (None, grant.declared_by):
        return True
    # A declarant that is none of the profile's identifiers, such as a former address, may withdraw for the
    # profile, and the profile can lift that. It cannot lift what the profile withdrew.
    joined = joined_at.get(grant.declared_by)
    other_joined = joined_at.get(withdrawal.declared_by, withdrawal.time)
    return joined is not None and grant.time > max(joined, other_joined)


def _record_sort_key(record: ConsentRecord) -> tuple[datetime, str, datetime, str]:
    return record.time, record.source, record.at, str(record.event_id or "")


def _address_entries(
    identifiers: Iterable[str], states: Mapping[ConsentKey, EffectiveConsent]
) -> list[OptOutEntry]:
    """Return one entry per address among identifiers (type:value), and topic.

    A withdrawal of the channel or of all channels outweighs a grant of the other.
    """
    entries: dict[tuple[str, str, str], OptOutEntry] = {}
    for channel, value in channel_addresses(identifiers):
        for (consent_channel, topic), state in states.items():
            if consent_channel in (channel, "all"):
                entry = OptOutEntry(channel, value, topic, not state.granted, state.time, state.source)
                known = entries.get(entry.key)
                if known is None or (entry.withdrawn, entry.time) > (known.withdrawn, known.time):
                    entries[entry.key] = entry
    return list(entries.values())


def _former_address_entries(person: ConsentSubject) -> Iterator[tuple[list[OptOutEntry], bool]]:
    """Yield entries of former addresses, with whether they come from verified records alone."""
    declarants = {record.declared_by for record in person.records if record.declared_by is not None}
    for declarant in sorted(declarants - person.identifiers):
        if type_of_key(declarant) in _ADDRESS_IDENTIFIER_TYPES:
            records = [record for record in person.records if record.declared_by == declarant]
            for selected, verified in (([each for each in records if each.verified], True), (records, False)):
                # ``vouched``: the address's current profile is not known, so ignore unverified grants.
                states = effective_consents(selected, {}, vouched=True, exclude_restarts=False)
                yield _address_entries([declarant], states), verified


def _merge_entries(
    register: dict[tuple[str, str, str], OptOutEntry],
    entries: Iterable[OptOutEntry],
    *,
    verified: bool = False,
    own_address: bool = False,
) -> None:
    for entry in entries:
        stored = register.get(entry.key)
        if stored is None or (own_address and entry.withdrawn and not stored.withdrawn):
            register[entry.key] = entry
        elif verified or not stored.withdrawn:
            register[entry.key] = max(stored, entry, key=lambda each: (each.time, each.withdrawn))


def _needs_no_deletion(entry: OptOutEntry, replacement: OptOutEntry | None) -> bool:
    """Return whether an entry is right, or is replaced by the entry that is written."""
    return replacement is not None and (
        replacement == entry or replacement.withdrawn or replacement.time > entry.time
    )


def _record_signature(record: ConsentRecord) -> tuple[str, bool, datetime, str]:
    """Return what an entry has in common with the record it came from, besides the channel."""
    return record.topic, not record.granted, record.time, record.source


def _derives_from(signatures: Collection[tuple[str, bool, datetime, str, str]], entry: OptOutEntry) -> bool:
    signature = (entry.topic, entry.withdrawn, entry.time, entry.source)
    return any((*signature, channel) in signatures for channel in (entry.channel, "all"))
