"""The facts that one verdict stood on, and what held at an instant, a line each. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.why import evidence
from api.why.evidence import Case
from api.why.reasons import ZONE_FROM, bought_in_words, slots_in_words, subject, word_in_words
from api.why.sentences import started_by
from api.why.wording import detail, item, listed, near, plain, when
from profiles.views.decision_evidence import Account, EventFact


@dataclass(frozen=True, slots=True)
class EventRef:
    """The event behind a fact."""

    event_id: UUID
    type: str
    source: str
    id: str
    """The channel's own id."""
    channel: str
    time: datetime
    at: datetime
    """When it was taken in."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that held at the instant of the answer."""

    kind: str
    """check, suppression, consent, cap, entry or zone."""
    text: str
    at: datetime | None = None
    """Since when."""
    until: datetime | None = None
    item: str | None = None
    event: EventRef | None = None


def facts_of(case: Case) -> list[Fact]:
    """What the verdict stood on: what its checks found against it, and what bears on it by now."""
    return [
        *_failed(case),
        *suppressions(case.account, case.at, case.zone),
        *_words(case),
        *_slots(case),
        *_entry(case),
        Fact(
            "zone", f"the clock is that of {case.zone} ({ZONE_FROM.get(case.zone_source, case.zone_source)})"
        ),
    ]


def suppressions(account: Account, at: datetime, zone: str) -> list[Fact]:
    """What was not to be promoted at an instant, until when, and by which event."""
    found = []
    for one in evidence.in_force(account, at):
        event = account.event(one.event_id)
        until = f"until {when(one.until, zone)}" if one.until else "for good"
        by = f", by {plain(event.type)} {plain(one.order_id or '')}".rstrip() if event else ""
        ref = f", event {plain(event.source)} {plain(event.id)}" if event else ""
        bought = f"bought {near(one.at, at, zone)}{by}{ref}"
        text = f"{item(account, one.item)} is not to be promoted {until}: {bought}"
        found.append(Fact("suppression", text, one.at, one.until, one.item, ref_of(event)))
    return found


def ref_of(event: EventFact | None) -> EventRef | None:
    """An event as a reference."""
    if event is None:
        return None
    source, own = plain(event.source, 400), plain(event.id, 400)
    return EventRef(event.event_id, event.type, source, own, event.channel, event.time, event.at)


def _failed(case: Case) -> Iterator[Fact]:
    for check in case.decision.checks:
        if not check.get("passed"):
            yield Fact("check", f"{plain(check.get('name'))}: {detail(str(check.get('detail')), case.zone)}")
    in_words = dict(evidence.purchases(case))
    for key, bought in in_words.items():
        if not bought.counts(case.at):
            told = bought_in_words(case, key, bought)
            yield Fact("suppression", told, bought.at, bought.until, key)


def _words(case: Case) -> Iterator[Fact]:
    for word, said in ((evidence.refusal(case), "refused"), (evidence.grant(case), "said yes to")):
        if word is not None:
            event = ref_of(case.account.event(word.event_id))
            yield Fact("consent", f"{said} {subject(word)} {word_in_words(case, word)}", word.at, event=event)


def _slots(case: Case) -> Iterator[Fact]:
    if case.marketing and case.decision.channel != "ads":
        for one in evidence.slots(case):
            sent = [
                f"{plain(m.template)} {near(m.claimed_at, case.at, case.zone)}"
                for m in one.used
                if m.claimed_at
            ]
            told = f": {listed(sent, 6)}" if sent else ""
            yield Fact("cap", f"{slots_in_words(one)} had gone out{told}", until=one.free_at)


def _entry(case: Case) -> Iterator[Fact]:
    event = case.account.entry(case.decision.run_id)
    if event is not None:
        told = f"{plain(case.decision.journey)} was started by {started_by(case.account, event, case)}"
        yield Fact("entry", told, event.at, event=ref_of(event))
