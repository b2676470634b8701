"""The register of addresses that take no messages, as people's words leave it. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from profiles.consent_fold import About, State, Word, fold
from profiles.identifiers import ADDRESS_TYPE

Address = tuple[str, str]
"""(channel, address)."""

_KINDS = frozenset(ADDRESS_TYPE.values())


@dataclass(frozen=True, slots=True)
class Mark:
    """One entry of the register."""

    channel: str
    address: str
    topic: str
    withdrawn: bool
    time: datetime
    source: str

    @property
    def place(self) -> tuple[str, str, str]:
        """The entry's key."""
        return self.channel, self.address, self.topic


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person as the register needs them."""

    identifiers: frozenset[str]
    """As type:value."""
    words: tuple[Word, ...]
    states: Mapping[About, State]
    sure: Mapping[About, State]
    """The same from verified words alone."""


def remarked(people: Sequence[Speaker], known: Iterable[Mark]) -> tuple[list[Mark], list[Mark]]:
    """Entries to write and entries to take away first, so that the register says what people's words say.

    ``known``: the entries there are on the people's addresses. Those that came with a word of the people are
    made anew, as an address may have turned out not to be whose it was; those of others, such as an earlier
    owner or a provider, stay. On an address of theirs, what a person withdrew is withdrawn; else the later
    word wins, whoever's it was, and of two at one time the withdrawal; but unverified words touch no
    withdrawal of somebody else's. An address that said no itself is entered, though no longer the person's.
    """
    before = {mark.place: mark for mark in known}
    sayings = {(*_saying(word), word.channel) for person in people for word in person.words}
    after = {place: mark for place, mark in before.items() if not _came_with(sayings, mark)}
    for person in people:
        for said, sure in _of_former_addresses(person):
            _enter(after, said, sure=sure)
    for person in people:
        _enter(after, _of_own_addresses(person, person.sure), sure=True, own=True)
        _enter(after, _of_own_addresses(person, person.states), own=True)
    changed = [mark for place, mark in sorted(after.items()) if mark != before.get(place)]
    stale = [mark for place, mark in sorted(before.items()) if not _gives_way(mark, after.get(place))]
    return changed, stale


def addresses(identifiers: Iterable[str]) -> list[Address]:
    """The addresses among identifiers (type:value), each with the channel that writes to it."""
    split = sorted(key.partition(":")[::2] for key in identifiers)
    return [(channel, value) for kind, value in split for channel, of in ADDRESS_TYPE.items() if of == kind]


def _of_own_addresses(person: Speaker, states: Mapping[About, State]) -> list[Mark]:
    return [mark for address in addresses(person.identifiers) for mark in _marks(address, states)]


def _of_former_addresses(person: Speaker) -> Iterator[tuple[list[Mark], bool]]:
    """Entries, and whether they come from verified words."""
    spoke = {word.voice for word in person.words if word.voice is not None} - person.identifiers
    for voice in sorted(voice for voice in spoke if voice.partition(":")[0] in _KINDS):
        said = [word for word in person.words if word.voice == voice]
        for words, sure in (([word for word in said if word.verified], True), (said, False)):
            # Vouched: whose it is by now is not known here, so an unverified grant counts for nothing.
            states = fold(words, {}, vouched=True, consents=False)
            yield [mark for address in addresses([voice]) for mark in _marks(address, states)], sure


def _marks(address: Address, states: Mapping[About, State]) -> list[Mark]:
    """One a topic: a no to the channel or to all channels outweighs a yes to the other."""
    channel, value = address
    marks: dict[str, Mark] = {}
    for (of, topic), state in states.items():
        if of in (channel, "all"):
            mark = Mark(channel, value, topic, not state.granted, state.time, state.source)
            known = marks.get(topic)
            if known is None or (mark.withdrawn, mark.time) > (known.withdrawn, known.time):
                marks[topic] = mark
    return list(marks.values())


def _enter(
    register: dict[tuple[str, str, str], Mark],
    marks: Iterable[Mark],
    *,
    sure: bool = False,
    own: bool = False,
) -> None:
    for mark in marks:
        there = register.get(mark.place)
        if there is None or (own and mark.withdrawn and not there.withdrawn):
            register[mark.place] = mark
        elif sure or not there.withdrawn:
            register[mark.place] = max(there, mark, key=lambda one: (one.time, one.withdrawn))


def _gives_way(mark: Mark, to: Mark | None) -> bool:
    """Whether an entry is right, or will be replaced by what is written."""
    return to is not None and (to == mark or to.withdrawn or to.time > mark.time)


def _saying(word: Word) -> tuple[str, bool, datetime, str]:
    """What an entry has in common with the word it came with, besides the channel."""
    return word.topic, not word.granted, word.time, word.source


def _came_with(sayings: Collection[tuple[str, bool, datetime, str, str]], mark: Mark) -> bool:
    said = (mark.topic, mark.withdrawn, mark.time, mark.source)
    return any((*said, channel) in sayings for channel in (mark.channel, "all"))
