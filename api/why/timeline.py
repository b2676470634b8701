"""The timeline of what influenced a profile's messages, in order of effect. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from api.why.evidence import DecisionCase, find_message_of_event
from api.why.reasons import consent_subject
from api.why.sentences import UNKNOWN_STATUSES, describe_outcome, describe_reason
from api.why.wording import (
    LATE_THRESHOLD,
    channel_place,
    format_event_ref,
    format_instant,
    format_item,
    join_words,
    localise_detail,
    mask_address,
    mask_key,
    to_plain_text,
)
from policy.durations import format_duration
from profiles.identity.views import LogEntry
from profiles.state.unit_of_work import ACCEPTED_STATUSES
from profiles.views.decision_evidence import ConsentRow, DecisionEvidence, EventRow

EntryKind = Literal["event", "run", "decision", "message", "consent", "identity"]

_KIND_ORDER = ("event", "identity", "consent", "run", "decision", "message")
"""Order of entries with the same instant: causes before effects."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check of the gate, with local times."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the timeline."""

    at: datetime
    """When it took effect."""
    local: str
    """The same as local time, "Sat 21 Nov 2026 at 20:00"."""
    kind: EntryKind
    text: str
    journey: str | None = None
    items: tuple[str, ...] = ()
    event_id: UUID | None = None
    run_id: UUID | None = None
    message_id: UUID | None = None
    decision_id: UUID | None = None
    problems: str | None = None
    """Problems of an event's processing."""
    verdict: str | None = None
    """Of a decision: allow, withhold or defer."""
    checks: tuple[CheckLine, ...] = ()
    """Of a decision: every check and its detail."""


def build_timeline(account: DecisionEvidence, cases: Sequence[DecisionCase], zone: str) -> list[Entry]:
    """Return all entries, oldest first."""
    entries = [
        *(
            _event_entry(account, event, zone)
            for event in account.events.values()
            if event.type != "Consent Changed"
        ),
        *_consent_entries(account, zone),
        *_address_problem_entries(account, zone),
        *_identity_entries(account, zone),
        *_run_entries(account, zone),
        *(_decision_entry(case) for case in cases),
        *_message_entries(account, zone),
    ]
    return sorted(entries, key=lambda entry: (entry.at, _KIND_ORDER.index(entry.kind)))


def _event_entry(account: DecisionEvidence, event: EventRow, zone: str) -> Entry:
    what, _, ref = format_event_ref(event).rpartition(", event ")
    of = [format_item(account, line.key) for line in event.lines if line.key]
    if not of and (message := find_message_of_event(account, event)):
        of = [to_plain_text(message.template)]
    about = f": {join_words(of)}" if of else ""
    late = ""
    if event.at - event.time > LATE_THRESHOLD:
        late = f", which had happened on {format_instant(event.time, zone)}"
    return Entry(
        at=event.at,
        local=format_instant(event.at, zone),
        kind="event",
        text=f"{what}{about}, {channel_place(event.channel)} (event {ref}){late}",
        items=event.keys,
        event_id=event.event_id,
        problems=to_plain_text("; ".join(event.problems), 400) or None,
    )


def _consent_entries(account: DecisionEvidence, zone: str) -> Iterator[Entry]:
    for words in _group_consent_changes(account.consents):
        yield _consent_entry(account, words, zone)
    declared = {(word.channel, word.topic, word.granted, word.time) for word in account.consents}
    all_channels = {
        (word.topic, word.granted, word.time) for word in account.consents if word.channel == "all"
    }
    for mark in account.opt_outs:
        # A declaration of the profile also opts out its addresses. Only other opt-outs get entries here.
        known = (mark.channel, mark.topic, mark.granted, mark.time) in declared
        if not known and (mark.topic, mark.granted, mark.time) not in all_channels:
            yield _consent_entry(account, [mark], zone)


def _group_consent_changes(words: Iterable[ConsentRow]) -> list[list[ConsentRow]]:
    """Return declarations that change something, by event; some senders repeat one with every event."""
    last: dict[tuple[str, str], tuple[bool, bool]] = {}
    groups: dict[object, list[ConsentRow]] = {}
    for word in words:
        subject, declared = (word.channel, word.topic), (word.granted, word.verified)
        if last.get(subject) != declared:
            last[subject] = declared
            groups.setdefault((word.event_id, word.topic, word.source, declared, word.at), []).append(word)
    return list(groups.values())


def _consent_entry(account: DecisionEvidence, words: Sequence[ConsentRow], zone: str) -> Entry:
    word = words[0]
    event = account.event(word.event_id)
    verb = "said yes to" if word.granted else "refused"
    subject = consent_subject(word) if len(words) == 1 else _describe_consents(words)
    recipient = f" for {mask_address(word.channel, word.address)}" if word.address else ""
    ref = f" (event {to_plain_text(event.source)} {to_plain_text(event.id)})" if event else ""
    through = (
        "" if event is not None and word.source == event.source else f", through {to_plain_text(word.source)}"
    )
    doubt = "" if word.verified else ", by a sender who is not vouched for"
    late = f", said on {format_instant(word.time, zone)}" if word.at - word.time > LATE_THRESHOLD else ""
    text = f"{verb} {subject}{recipient}{through}{ref}{doubt}{late}"
    return Entry(word.at, format_instant(word.at, zone), "consent", text, event_id=word.event_id)


def _describe_consents(words: Sequence[ConsentRow]) -> str:
    topic = "everything" if words[0].topic == "all" else to_plain_text(words[0].topic)
    channels = ("every channel" if word.channel == "all" else to_plain_text(word.channel) for word in words)
    return f"{topic} by {join_words(list(channels), 5)}"


def _address_problem_entries(account: DecisionEvidence, zone: str) -> Iterator[Entry]:
    descriptions = {"bounced": "bounced for good", "complained": "reported a message as spam"}
    for problem in account.address_problems:
        description = descriptions.get(problem.problem, to_plain_text(problem.problem))
        text = f"{mask_address(problem.channel, problem.address)} {description}"
        yield Entry(problem.at, format_instant(problem.at, zone), "consent", text)


def _identity_entries(account: DecisionEvidence, zone: str) -> Iterator[Entry]:
    for change in account.identity_changes:
        detail = f" ({to_plain_text(change.detail, 200)})" if change.detail else ""
        text = f"{_describe_identity_change(account, change)}{detail}"
        yield Entry(change.at, format_instant(change.at, zone), "identity", text, event_id=change.cause)


def _describe_identity_change(account: DecisionEvidence, one: LogEntry) -> str:
    mine = one.profile_id == account.profile.profile_id
    other = one.other_profile_id if mine else one.profile_id
    keys = join_words([mask_key(key) for key in (one.key, one.other_key) if key])
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
    return f"{to_plain_text(one.kind)} {keys}".strip()


def _run_entries(account: DecisionEvidence, zone: str) -> Iterator[Entry]:
    for run in account.runs:
        entry = account.entry(run.run_id)
        started_by = f", started by {format_event_ref(entry)}" if entry else ""
        key = f"{to_plain_text(run.journey)} ({to_plain_text(run.key)})"
        items = entry.keys if entry else ()
        changes = [(run.entered_at, f"{key} began{started_by}{_clock_note(account, run.run_id)}")]
        if run.ended_at is not None:
            outcome = f" as {to_plain_text(run.outcome)}" if run.outcome else ""
            detail = f" ({to_plain_text(run.detail, 200)})" if run.detail else ""
            changes.append((run.ended_at, f"{key} ended{outcome}{detail}"))
        for at, text in changes:
            local = format_instant(at, zone)
            yield Entry(at, local, "run", text, journey=run.journey, items=items, run_id=run.run_id)


def _clock_note(account: DecisionEvidence, run_id: UUID) -> str:
    """Return how far the clock of a run is ahead, as a clause to the minute; empty if it is not."""
    offset = account.clock_offsets.get(run_id, timedelta(0))
    ahead = timedelta(minutes=round(offset / timedelta(minutes=1)))
    return f"; this run's clock is ahead by {format_duration(ahead)}" if ahead else ""


def _decision_entry(case: DecisionCase) -> Entry:
    decision = case.decision
    template = to_plain_text(decision.template)
    is_ad = decision.channel == "ads"
    name = f"ad audience {template}" if is_ad else f"{template} by {to_plain_text(decision.channel)}"
    return Entry(
        at=decision.at,
        local=format_instant(decision.at, case.zone),
        kind="decision",
        text=f"{name}, {describe_outcome(case)}: {describe_reason(case)}",
        journey=decision.journey,
        items=(*decision.items, *decision.items_removed),
        run_id=decision.run_id,
        message_id=decision.message_id,
        decision_id=decision.decision_id,
        verdict=decision.verdict,
        checks=tuple(_check_line(check, case.zone) for check in decision.checks),
    )


def _check_line(check: dict[str, Any], zone: str) -> CheckLine:
    detail = localise_detail(str(check.get("detail") or ""), zone)
    return CheckLine(to_plain_text(check.get("name")), bool(check.get("passed")), detail)


def _message_entries(account: DecisionEvidence, zone: str) -> Iterator[Entry]:
    for message in account.messages:
        at = message.sent_at or message.claimed_at
        if at is None or message.status not in (*ACCEPTED_STATUSES, *UNKNOWN_STATUSES):
            continue
        accepted = message.status in ACCEPTED_STATUSES
        said = "was sent" if accepted else "may have been sent; the answer was lost"
        by = f" by {to_plain_text(message.channel)}" if message.channel != "ads" else ""
        to = f" to {mask_address(message.channel, message.address)}" if message.address else ""
        items = [format_item(account, key) for key in message.items]
        about = f", about {join_words(items)}" if items else ""
        yield Entry(
            # The entry follows a decision at the same instant.
            at=max(at, message.decided_at),
            local=format_instant(at, zone),
            kind="message",
            text=f"{to_plain_text(message.template)} {said}{by}{to}{about}",
            journey=message.journey,
            items=message.items,
            run_id=message.run_id,
            message_id=message.message_id,
        )
