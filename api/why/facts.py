"""The facts behind one decision, and the suppressions active at an instant. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.why import evidence
from api.why.evidence import DecisionCase
from api.why.reasons import (
    ZONE_SOURCE_TEXTS,
    consent_subject,
    describe_cap_usage,
    describe_consent_source,
    describe_purchase,
)
from api.why.sentences import describe_start_event
from api.why.wording import (
    format_instant,
    format_item,
    format_near,
    join_words,
    localise_detail,
    to_plain_text,
)
from profiles.views.decision_evidence import DecisionEvidence, EventRow


@dataclass(frozen=True, slots=True)
class EventRef:
    """The event behind a fact."""

    event_id: UUID
    type: str
    source: str
    id: str
    """The channel's own id of the event."""
    channel: str
    time: datetime
    at: datetime
    """When it was ingested."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that held at the instant of the answer."""

    kind: str
    """check, suppression, consent, cap, entry or zone."""
    text: str
    at: datetime | None = None
    """Start of the fact."""
    until: datetime | None = None
    item: str | None = None
    event: EventRef | None = None


def collect_facts(case: DecisionCase) -> list[Fact]:
    """Return failed checks, suppressions, consents, caps, the event that started the run, and the zone."""
    return [
        *_failed_check_facts(case),
        *suppression_facts(case.account, case.at, case.zone),
        *_words(case),
        *_slots(case),
        *_entry(case),
        Fact(
            "zone",
            f"the clock is that of {case.zone} ({ZONE_SOURCE_TEXTS.get(case.zone_source, case.zone_source)})",
        ),
    ]


def suppression_facts(account: DecisionEvidence, at: datetime, zone: str) -> list[Fact]:
    """Return the suppressions active at an instant, with their ends and events."""
    facts = []
    for suppression in evidence.active_suppressions(account, at):
        event = account.event(suppression.event_id)
        until = f"until {format_instant(suppression.until, zone)}" if suppression.until else "for good"
        bought = f"bought {format_near(suppression.at, at, zone)}"
        if event:
            bought += f", by {to_plain_text(event.type)} {to_plain_text(suppression.order_id or '')}".rstrip()
            bought += f", event {to_plain_text(event.source)} {to_plain_text(event.id)}"
        text = f"{format_item(account, suppression.item)} is not to be promoted {until}: {bought}"
        facts.append(
            Fact(
                "suppression", text, suppression.at, suppression.until, suppression.item, to_event_ref(event)
            )
        )
    return facts


def to_event_ref(event: EventRow | None) -> EventRef | None:
    """Return the reference to an event."""
    if event is None:
        return None
    source, own = to_plain_text(event.source, 400), to_plain_text(event.id, 400)
    return EventRef(event.event_id, event.type, source, own, event.channel, event.time, event.at)


def _failed_check_facts(case: DecisionCase) -> Iterator[Fact]:
    for check in case.decision.checks:
        if not check.get("passed"):
            yield Fact(
                "check",
                f"{to_plain_text(check.get('name'))}: {localise_detail(str(check.get('detail')), case.zone)}",
            )
    for key, bought in evidence.purchases_of_removed_items(case):
        if not bought.in_force(case.at):
            text = describe_purchase(case, key, bought)
            yield Fact("suppression", text, bought.at, bought.until, key)


def _words(case: DecisionCase) -> Iterator[Fact]:
    for word, verb in ((evidence.find_refusal(case), "refused"), (evidence.find_grant(case), "said yes to")):
        if word is not None:
            event = to_event_ref(case.account.event(word.event_id))
            yield Fact(
                "consent",
                f"{verb} {consent_subject(word)} {describe_consent_source(case, word)}",
                word.at,
                event=event,
            )


def _slots(case: DecisionCase) -> Iterator[Fact]:
    if case.is_marketing and case.decision.channel != "ads":
        for usage in evidence.cap_usages(case):
            sent = [
                f"{to_plain_text(m.template)} {format_near(m.claimed_at, case.at, case.zone)}"
                for m in usage.counted_messages
                if m.claimed_at
            ]
            list_of_sent = f": {join_words(sent, 6)}" if sent else ""
            yield Fact("cap", f"{describe_cap_usage(usage)} had gone out{list_of_sent}", until=usage.free_at)


def _entry(case: DecisionCase) -> Iterator[Fact]:
    event = case.account.entry(case.decision.run_id)
    if event is not None:
        start = describe_start_event(case.account, event, case)
        text = f"{to_plain_text(case.decision.journey)} was started by {start}"
        yield Fact("entry", text, event.at, event=to_event_ref(event))
