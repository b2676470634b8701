"""Which word of a person stands on a channel and topic, of all that was said in whatever order. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from profiles.evidence import DOUBTFUL, KEYWORD, NONE, RESTART, REVIEW, Evidence

_REPLIED = frozenset((KEYWORD, DOUBTFUL, REVIEW))
"""Methods of what an answer to a text message withdrew."""

About = tuple[str, str]
"""(channel, topic)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One entry of the ledger."""

    channel: str
    topic: str
    granted: bool
    verified: bool
    """Said by somebody known to speak for the person."""
    voice: str | None
    """The identifier under which it was said, as type:value; None: as good as said under any."""
    time: datetime
    """By the channel's clock."""
    source: str
    event_id: UUID | None
    at: datetime
    """When it was taken in."""
    evidence: Evidence = NONE
    annulled: bool = False
    """An operator found that it meant nothing of the kind: it counts for nothing."""

    @property
    def restarts(self) -> bool:
        """It takes back what an answer of the same number withdrew, and is no consent by itself."""
        return self.granted and self.evidence.method == RESTART

    @property
    def replied(self) -> bool:
        """It was withdrawn by an answer to a text message."""
        return not self.granted and self.evidence.method in _REPLIED


@dataclass(frozen=True, slots=True)
class State:
    """What stands, and the word it comes from."""

    granted: bool
    source: str
    time: datetime
    at: datetime
    event_id: UUID | None
    evidence: Evidence = NONE


def fold(
    words: Iterable[Word], joined_at: Mapping[str, datetime], vouched: bool, *, consents: bool = True
) -> dict[About, State]:
    """The word that stands on each (channel, topic); neither order nor repetition of ``words`` matters.

    A withdrawal stands until a later grant lifts it: one of the same voice, or one said after both voices
    had become one person; and a verified one, unless the withdrawal was itself unverified. So where two
    people become one, the stricter word stands until they speak anew. An unverified grant counts for
    nothing where the person is ``vouched`` for. ``joined_at``: identifier → when it became the person's.
    A word that restarts leaves what stood before; where that is nothing, nothing. ``consents``: False counts
    it as a yes, as the register does, which lets pass and agrees to nothing.
    """
    counted = (
        word for word in words if not word.annulled and (word.verified or not word.granted or not vouched)
    )
    told: dict[About, list[Word]] = {}
    for word in _last_of_each_voice(counted):
        told.setdefault((word.channel, word.topic), []).append(word)
    states = {about: _standing(said, joined_at, consents) for about, said in sorted(told.items())}
    return {about: state for about, state in states.items() if state is not None}


def _last_of_each_voice(words: Iterable[Word]) -> list[Word]:
    """Nothing that lifts a voice's last withdrawal leaves an earlier one standing, and no earlier grant lifts
    more than the last one: whoever says the same a thousand times is heard once."""
    last: dict[tuple[str, str, bool, bool, str | None, bool], Word] = {}
    for word in words:
        special = word.restarts or word.replied
        kind = (word.channel, word.topic, word.granted, word.verified, word.voice, special)
        if kind not in last or _place(word) > _place(last[kind]):
            last[kind] = word
    return list(last.values())


def _standing(said: Iterable[Word], joined_at: Mapping[str, datetime], consents: bool) -> State | None:
    grants = [word for word in said if word.granted]
    refusals = [word for word in said if not word.granted]
    unlifted = [no for no in refusals if not any(_lifts(yes, no, joined_at) for yes in grants)]
    left = unlifted or [yes for yes in grants if not (consents and yes.restarts)]
    if not left:
        return None
    word = max(left, key=_place)
    return State(word.granted, word.source, word.time, word.at, word.event_id, word.evidence)


def _lifts(yes: Word, no: Word, joined_at: Mapping[str, datetime]) -> bool:
    if yes.time <= no.time or (no.verified and not yes.verified):
        return False
    if yes.restarts:
        return no.replied and yes.voice is not None and yes.voice == no.voice
    if yes.voice is None or no.voice is None or yes.voice == no.voice:
        return True
    # A voice that is none of the person's identifiers, such as a former address, may refuse on their behalf,
    # which they can take back; it cannot take back what they refused.
    joined = joined_at.get(yes.voice)
    return joined is not None and yes.time > max(joined, joined_at.get(no.voice, no.time))


def _place(word: Word) -> tuple[datetime, str, datetime, str]:
    return word.time, word.source, word.at, str(word.event_id or "")
