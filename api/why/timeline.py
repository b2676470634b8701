"""Everything that bears on what a person was sent, as lines in the order it came in. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from api.why.evidence import Case
from api.why.reasons import subject
from api.why.sentences import ACCEPTED, UNKNOWN, outcome, reason_in_words
from api.why.wording import (
    LATE,
    address,
    channel_word,
    detail,
    event_ref,
    item,
    key_in_words,
    listed,
    plain,
    when,
    where,
)
from profiles.identity.views import LogEntry
from profiles.views.decision_evidence import Account, EventFact, MessageFact, WordFact
from profiles.views.profile import RunView

Kind = Literal["event", "run", "decision", "message", "consent", "identity"]

_ORDER = ("event", "identity", "consent", "run", "decision", "message")
"""What comes first of what has one instant: causes before what they bring about."""

_TOLD_ELSEWHERE = ("Consent Changed",)


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check of the gate, its instants by the person's clock."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    at: datetime
    """When it took effect."""
    local: str
    """The same by the person's clock, "Sat 21 Nov 2026 at 20:00"."""
    kind: Kind
    text: str
    journey: str | None = None
    items: tuple[str, ...] = ()
    event_id: UUID | None = None
    run_id: UUID | None = None
    message_id: UUID | None = None
    decision_id: UUID | None = None
    problems: str | None = None
    """What could not be done with an event."""
    verdict: str | None = None
    """Of a decision: allow, withhold or defer."""
    checks: tuple[CheckLine, ...] = ()
    """Of a decision: every check, and what it stood on."""


def timeline(account: Account, cases: Sequence[Case], zone: str) -> list[Entry]:
    """All lines, the oldest first."""
    told = [
        *_events(account, zone),
        *_words(account, zone),
        *_problems(account, zone),
        *_identity(account, zone),
        *_runs(account, zone),
        *(_decision(case) for case in cases),
        *_messages(account, zone),
    ]
    return sorted(told, key=lambda entry: (entry.at, _ORDER.index(entry.kind)))


def _events(account: Account, zone: str) -> Iterator[Entry]:
    for event in account.events.values():
        if event.type not in _TOLD_ELSEWHERE:
            yield _event(account, event, zone)


def _event(account: Account, event: EventFact, zone: str) -> Entry:
    what, _, ref = event_ref(event).rpartition(", event ")
    of = [item(account, line.key) for line in event.lines if line.key]
    late = f", which had happened on {when(event.time, zone)}" if event.at - event.time > LATE else ""
    about = f": {listed(of)}" if of else _about_message(account, event)
    return Entry(
        at=event.at,
        local=when(event.at, zone),
        kind="event",
        text=f"{what}{about}, {where(event.channel)} (event {ref}){late}",
        items=event.keys,
        event_id=event.event_id,
        problems=plain("; ".join(event.problems), 400) or None,
    )


def _about_message(account: Account, event: EventFact) -> str:
    named = event.said.get("message_id")
    message = next((one for one in account.messages if str(one.message_id) == named), None)
    return f": {plain(message.template)}" if message else ""


def _words(account: Account, zone: str) -> Iterator[Entry]:
    for said in _news(account.words):
        yield _word(account, said, zone)
    told = {(word.channel, word.topic, word.granted, word.time) for word in account.words}
    every = {(word.topic, word.granted, word.time) for word in account.words if word.channel == "all"}
    for mark in account.marks:
        # What the person said is on their addresses as well; here is what somebody else said of these.
        known = (mark.channel, mark.topic, mark.granted, mark.time) in told
        if not known and (mark.topic, mark.granted, mark.time) not in every:
            yield _word(account, [mark], zone)


def _news(words: Iterable[WordFact]) -> list[list[WordFact]]:
    """Words that change something, those of one event together: some senders repeat them with every event."""
    last: dict[tuple[str, str], tuple[bool, bool]] = {}
    told: dict[object, list[WordFact]] = {}
    for word in words:
        about, said = (word.channel, word.topic), (word.granted, word.verified)
        if last.get(about) != said:
            last[about] = said
            told.setdefault((word.event_id, word.topic, word.source, said, word.at), []).append(word)
    return list(told.values())


def _word(account: Account, words: Sequence[WordFact], zone: str) -> Entry:
    word = words[0]
    event = account.event(word.event_id)
    said = "said yes to" if word.granted else "refused"
    about = subject(word) if len(words) == 1 else _together(words)
    whose = f" for {address(word.channel, word.address)}" if word.address else ""
    ref = f" (event {plain(event.source)} {plain(event.id)})" if event else ""
    through = "" if event is not None and word.source == event.source else f", through {plain(word.source)}"
    doubt = "" if word.verified else ", by a sender who is not vouched for"
    late = f", said on {when(word.time, zone)}" if word.at - word.time > LATE else ""
    text = f"{said} {about}{whose}{through}{ref}{doubt}{late}"
    return Entry(word.at, when(word.at, zone), "consent", text, event_id=word.event_id)


def _together(words: Sequence[WordFact]) -> str:
    topic = "everything" if words[0].topic == "all" else plain(words[0].topic)
    channels = ("every channel" if word.channel == "all" else channel_word(word.channel) for word in words)
    return f"{topic} by {listed(list(channels), 5)}"


def _problems(account: Account, zone: str) -> Iterator[Entry]:
    says = {"bounced": "bounced for good", "complained": "reported a message as spam"}
    for one in account.problems:
        text = f"{address(one.channel, one.address)} {says.get(one.problem, plain(one.problem))}"
        yield Entry(one.at, when(one.at, zone), "consent", text)


def _identity(account: Account, zone: str) -> Iterator[Entry]:
    for one in account.identity:
        text = f"{_became(account, one)}{f' ({plain(one.detail, 200)})' if one.detail else ''}"
        yield Entry(one.at, when(one.at, zone), "identity", text, event_id=one.cause)


def _became(account: Account, one: LogEntry) -> str:
    mine = one.profile_id == account.who.profile_id
    other = one.other_profile_id if mine else one.profile_id
    keys = listed([key_in_words(key) for key in (one.key, one.other_key) if key])
    match one.kind:
        case "merged":
            return f"turned out to be one person with profile {other}"
        case "split":
            return f"parted from profile {other}: they are two people"
        case "quarantined":
            return f"{keys} is shared by so many that it is nobody's"
        case "released":
            return f"{keys} is somebody's after all"
        case "cut":
            return f"{keys} were cut apart"
        case "mended":
            return f"the cut between {keys} was lifted"
    return f"{plain(one.kind)} {keys}".strip()


def _runs(account: Account, zone: str) -> Iterator[Entry]:
    for run in account.runs:
        entry = account.entry(run.run_id)
        by = f", started by {event_ref(entry)}" if entry else ""
        key = f"{plain(run.journey)} ({plain(run.key)})"
        items = entry.keys if entry else ()
        yield _of_run(run, run.entered_at, f"{key} began{by}", items, zone)
        if run.ended_at is not None:
            outcome = f" as {plain(run.outcome)}" if run.outcome else ""
            why = f" ({plain(run.detail, 200)})" if run.detail else ""
            yield _of_run(run, run.ended_at, f"{key} ended{outcome}{why}", items, zone)


def _of_run(run: RunView, at: datetime, text: str, items: tuple[str, ...], zone: str) -> Entry:
    return Entry(at, when(at, zone), "run", text, journey=run.journey, items=items, run_id=run.run_id)


def _decision(case: Case) -> Entry:
    one = case.decision
    template = plain(one.template)
    name = f"{template} by {channel_word(one.channel)}" if one.channel != "ads" else f"ad audience {template}"
    return Entry(
        at=one.at,
        local=when(one.at, case.zone),
        kind="decision",
        text=f"{name}, {outcome(case)}: {reason_in_words(case)}",
        journey=one.journey,
        items=(*one.items, *one.items_removed),
        run_id=one.run_id,
        message_id=one.message_id,
        decision_id=one.decision_id,
        verdict=one.verdict,
        checks=tuple(_check(check, case.zone) for check in one.checks),
    )


def _check(check: dict[str, Any], zone: str) -> CheckLine:
    said = detail(str(check.get("detail") or ""), zone)
    return CheckLine(plain(check.get("name")), bool(check.get("passed")), said)


def _messages(account: Account, zone: str) -> Iterator[Entry]:
    for one in account.messages:
        at = one.sent_at or one.claimed_at
        if one.status in ACCEPTED and at is not None:
            yield _message(account, one, at, "was sent", zone)
        elif one.status in UNKNOWN and at is not None:
            yield _message(account, one, at, "may have been sent; the answer was lost", zone)


def _message(account: Account, one: MessageFact, at: datetime, said: str, zone: str) -> Entry:
    to = f" to {address(one.channel, one.address)}" if one.address else ""
    of = f", about {listed([item(account, key) for key in one.items])}" if one.items else ""
    by = f" by {channel_word(one.channel)}" if one.channel != "ads" else ""
    return Entry(
        # A decision at the very instant is what it follows.
        at=max(at, one.decided_at),
        local=when(at, zone),
        kind="message",
        text=f"{plain(one.template)} {said}{by}{to}{of}",
        journey=one.journey,
        items=one.items,
        run_id=one.run_id,
        message_id=one.message_id,
    )
