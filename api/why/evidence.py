"""Find the stored rows behind one decision: purchases, consents, address problems, caps, events. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from policy.checks.frequency_caps import cap_applies, counts_until
from policy.facts import SentFact
from policy.limits import Cap, Limits
from policy.verdict import Channel
from profiles.messaging.snapshot import COUNTED_STATUSES
from profiles.views.decision_evidence import (
    AddressProblemRow,
    ConsentRow,
    DecisionEvidence,
    EventRow,
    StoredMessage,
    SuppressionRow,
)
from profiles.views.history import DecisionView
from profiles.views.profile import RunView

Row = TypeVar("Row")

_SAME_EVENT_TOLERANCE = timedelta(minutes=5)
"""Greatest difference between the times of a row and of the event it comes from."""

_EVENT_TYPE_BY_OUTCOME = {
    "bought": "Order Completed",
    "won_back": "Order Completed",
    "emptied": "Product Removed",
    "cancelled": "Order Cancelled",
    "refunded": "Order Refunded",
}
"""Outcome of a run → the type of the event that ends it so."""


@dataclass(frozen=True, slots=True)
class DecisionCase:
    """One decision with all stored evidence about its profile."""

    account: DecisionEvidence
    decision: DecisionView
    zone: str
    zone_source: str
    """traits, context, phone or default."""
    limits: Limits

    @property
    def at(self) -> datetime:
        """Instant of the decision."""
        return self.decision.at

    @property
    def message(self) -> StoredMessage | None:
        """The message it is about, in its current status."""
        return self.account.message(self.decision.message_id)

    @property
    def run(self) -> RunView | None:
        """The run that requested it."""
        return self.account.run(self.decision.run_id)

    @property
    def is_marketing(self) -> bool:
        """Whether the message is marketing; also True if the message is unknown."""
        return self.message is None or self.message.message_class == "marketing"

    @property
    def consent_topics(self) -> tuple[str, ...]:
        """Topics of which a withdrawal blocks the message, the widest first."""
        return ("all", "marketing") if self.is_marketing else ("all", "transactional")


def purchases_of_removed_items(
    case: DecisionCase, *, removed: Iterable[str] | None = None
) -> list[tuple[str, SuppressionRow]]:
    """Return the items removed as purchased, each with the last purchase that counted at the decision."""
    found = []
    for key in dict.fromkeys(case.decision.items_removed if removed is None else removed):
        about = [bought for bought in case.account.suppressions if key in (bought.item, bought.sku)]
        # A purchase counts from its commit, so its timestamp may be later than the decision's.
        counted = [bought for bought in about if bought.in_force(case.at)] or [
            bought for bought in about if bought.is_unexpired(case.at)
        ]
        if counted:
            found.append((key, counted[-1]))
    return found


def active_suppressions(account: DecisionEvidence, at: datetime) -> list[SuppressionRow]:
    """Return the suppressions active at an instant: one per item, of its last purchase."""
    return list({one.item: one for one in account.suppressions if one.in_force(at)}.values())


def find_refusal(case: DecisionCase) -> ConsentRow | None:
    """Return the withdrawal in effect: the profile's last one on this channel, else that of its address."""
    return _last_consent(case, case.account.consents, granted=False) or _last_consent(
        case, case.account.opt_outs, granted=False
    )


def find_grant(case: DecisionCase) -> ConsentRow | None:
    """Return the last grant for this channel."""
    return _last_consent(case, case.account.consents, granted=True)


def find_address_problem(case: DecisionCase, kind: str) -> AddressProblemRow | None:
    """Return the problem of this kind that the message's address had, else the last one on the channel."""
    address = case.message.address if case.message else None
    problems = [
        problem
        for problem in case.account.address_problems
        if problem.channel == case.decision.channel and problem.problem == kind and problem.at <= case.at
    ]
    return _last([problem for problem in problems if problem.address == address]) or _last(problems)


def find_problem_event(case: DecisionCase, found: AddressProblemRow) -> EventRow | None:
    """Return the event that reported the problem; None if the provider reported it in its response."""
    return _last(
        event
        for event in case.account.events.values()
        if event.type.startswith("Message ")
        and abs(event.at - found.at) <= _SAME_EVENT_TOLERANCE
        and _reports_problem(event, found)
    )


@dataclass(frozen=True, slots=True)
class CapUsage:
    """A cap and the messages that count against it."""

    cap: Cap
    counted_messages: list[StoredMessage]
    """Oldest first."""
    zone: str

    @property
    def free_at(self) -> datetime | None:
        """Instant from which the cap has room again; None if it has room."""
        over = len(self.counted_messages) - self.cap.limit
        claimed = self.counted_messages[over].claimed_at if 0 <= over < len(self.counted_messages) else None
        return counts_until(self.cap, claimed, self.zone) if claimed else None


def cap_usages(case: DecisionCase) -> list[CapUsage]:
    """Return each current cap that applies to the message, with the messages that counted at the decision."""
    sent = [
        message
        for message in case.account.messages
        if message.message_class == "marketing"
        and message.channel != "ads"
        and message.status in COUNTED_STATUSES
        and message.claimed_at is not None
        and message.message_id != case.decision.message_id
        and message.claimed_at <= case.at
    ]
    sent.sort(key=lambda message: (message.claimed_at or message.decided_at, message.message_id))
    return [
        CapUsage(cap, [message for message in sent if _counts_against_cap(message, cap, case)], case.zone)
        for cap in case.limits.caps
        if cap.channel in (None, case.decision.channel)
        and cap.journey in (None, case.decision.journey)
        and cap.topic in (None, *case.consent_topics)
    ]


def find_blocking_event(case: DecisionCase) -> EventRow | None:
    """Return the event that opened what blocked the message: the first with an id that the detail names."""
    words = set(case.decision.detail.replace(",", " ").split())
    for event in case.account.events.values():
        ids = [str(value) for name, value in event.scalar_properties.items() if name.endswith("_id")]
        if event.at <= case.at and not event.lines and words.intersection(ids):
            return event
    return None


def find_cart_removal(case: DecisionCase, key: str) -> EventRow | None:
    """Return the last event that removed an item from the cart."""
    return _last(
        event
        for event in case.account.events.values()
        if event.at <= case.at
        and event.type in ("Product Removed", "Order Completed")
        and any(key in (line.product_id, line.sku) for line in event.lines)
    )


def find_run_end_event(case: DecisionCase, run: RunView) -> EventRow | None:
    """Return the event that ended a run, if its outcome implies the event type."""
    event_type, ended_at = _EVENT_TYPE_BY_OUTCOME.get(run.outcome or ""), run.ended_at
    if ended_at is None:
        return None
    return _last(
        event for event in case.account.events.values() if event.type == event_type and event.at <= ended_at
    )


def previous_deferral(case: DecisionCase) -> DecisionView | None:
    """Return the last earlier deferral of the same message."""
    return _last(
        decision
        for decision in case.account.decisions
        if decision.message_id == case.decision.message_id
        and decision.verdict == "defer"
        and decision.at < case.at
    )


def later_decision(case: DecisionCase) -> DecisionView | None:
    """Return the last later decision about the same message."""
    return _last(
        decision
        for decision in case.account.decisions
        if decision.message_id == case.decision.message_id and decision.at > case.at
    )


def find_message_of_event(account: DecisionEvidence, event: EventRow) -> StoredMessage | None:
    """Return the message that an event refers to, if it was read."""
    message_id = event.scalar_properties.get("message_id")
    return next((message for message in account.messages if str(message.message_id) == message_id), None)


def failed_check_detail(case: DecisionCase) -> str:
    """Return the detail of the first failed check, else the decision's own detail."""
    failed = next((check for check in case.decision.checks if not check.get("passed")), {})
    return str(failed.get("detail") or case.decision.detail)


def failed_check_name(decision: DecisionView) -> str:
    """Return the name of the first failed check; empty if every check passed."""
    failed = next((check for check in decision.checks if not check.get("passed")), {})
    return str(failed.get("name") or "")


def _last(rows: Iterable[Row]) -> Row | None:
    return next(reversed(list(rows)), None)


def _last_consent(case: DecisionCase, words: Iterable[ConsentRow], *, granted: bool) -> ConsentRow | None:
    address = case.message.address if case.message else None
    relevant = [
        word
        for word in words
        if word.granted is granted
        and word.channel in (case.decision.channel, "all")
        and (word.topic in case.consent_topics or word.topic not in ("marketing", "transactional"))
        and word.at <= case.at
        and word.address in (None, address)
    ]
    return max(relevant, key=lambda word: (word.topic in case.consent_topics, word.time), default=None)


def _reports_problem(event: EventRow, found: AddressProblemRow) -> bool:
    wanted = {"bounced": "Message Bounced"}.get(found.problem)
    return event.type == wanted if wanted else found.problem in event.type.lower()


def _counts_against_cap(message: StoredMessage, cap: Cap, case: DecisionCase) -> bool:
    if message.claimed_at is None:
        return False
    sent = SentFact(Channel(message.channel), message.claimed_at, message.journey, message.topic)
    return cap_applies(cap, sent) and counts_until(cap, sent.at, case.zone) > case.at
