"""Finds, of all that is on file about a person, what one verdict stood on. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

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

_SAME_EVENT_TOLERANCE = timedelta(minutes=5)
"""A record and the event it comes from may be stamped this far apart."""


@dataclass(frozen=True, slots=True)
class DecisionCase:
    """One verdict, in the light of all that is on file."""

    account: DecisionEvidence
    decision: DecisionView
    zone: str
    zone_source: str
    """traits, context, phone or default."""
    limits: Limits

    @property
    def at(self) -> datetime:
        """The instant of the verdict."""
        return self.decision.at

    @property
    def message(self) -> StoredMessage | None:
        """The message it was about, as it stands by now."""
        return self.account.message(self.decision.message_id)

    @property
    def run(self) -> RunView | None:
        """The run that asked."""
        return self.account.run(self.decision.run_id)

    @property
    def is_marketing(self) -> bool:
        """Whether the message is marketing; so where nobody knows."""
        return self.message is None or self.message.message_class == "marketing"

    @property
    def consent_topics(self) -> tuple[str, ...]:
        """Topics whose no may stop it, the widest first."""
        return ("all", "marketing") if self.is_marketing else ("all", "transactional")


def purchases_of_removed_items(
    case: DecisionCase, *, removed: Iterable[str] | None = None
) -> list[tuple[str, SuppressionRow]]:
    """The items that were taken out as bought, each with the last purchase that counted at the verdict."""
    found = []
    for key in dict.fromkeys(case.decision.items_removed if removed is None else removed):
        about = [one for one in case.account.suppressions if _is_about_item(one, key)]
        # A purchase counts from its commit, so its clock may be ahead of the run's.
        counted = [one for one in about if one.in_force(case.at)] or [
            one for one in about if one.is_unexpired(case.at)
        ]
        if counted:
            found.append((key, counted[-1]))
    return found


def active_suppressions(account: DecisionEvidence, at: datetime) -> list[SuppressionRow]:
    """What was not to be promoted at an instant, an item once, by its last purchase."""
    return list({one.item: one for one in account.suppressions if one.in_force(at)}.values())


def find_refusal(case: DecisionCase) -> ConsentRow | None:
    """The no that stood: the person's last one on this channel, else the one on their address."""
    return _last_consent(case, case.account.consents, granted=False) or _last_consent(
        case, case.account.opt_outs, granted=False
    )


def find_grant(case: DecisionCase) -> ConsentRow | None:
    """The last yes to this channel."""
    return _last_consent(case, case.account.consents, granted=True)


def find_address_problem(case: DecisionCase, kind: str) -> AddressProblemRow | None:
    """Why the address takes no messages."""
    to = case.message.address if case.message else None
    found = [
        one
        for one in case.account.address_problems
        if one.channel == case.decision.channel and one.problem == kind and one.at <= case.at
    ]
    return next((one for one in reversed(found) if one.address == to), found[-1] if found else None)


def find_problem_event(case: DecisionCase, found: AddressProblemRow) -> EventRow | None:
    """The event that told of it, unless the provider said so itself when it was called."""
    told = [
        one
        for one in case.account.events.values()
        if one.type.startswith("Message ")
        and abs(one.at - found.at) <= _SAME_EVENT_TOLERANCE
        and _reports_problem(one, found)
    ]
    return told[-1] if told else None


@dataclass(frozen=True, slots=True)
class CapUsage:
    """A cap, and the messages that used it."""

    cap: Cap
    counted_messages: list[StoredMessage]
    """Oldest first."""
    zone: str

    @property
    def free_at(self) -> datetime | None:
        """From when on there is room again; None where there is."""
        over = len(self.counted_messages) - self.cap.limit
        claimed = self.counted_messages[over].claimed_at if 0 <= over < len(self.counted_messages) else None
        return counts_until(self.cap, claimed, self.zone) if claimed else None


def cap_usages(case: DecisionCase) -> list[CapUsage]:
    """Each cap that concerns the message, with what had used it, by the shop's limits as they are now."""
    sent = [
        one
        for one in case.account.messages
        if one.message_class == "marketing"
        and one.channel != "ads"
        and one.status in COUNTED_STATUSES
        and one.claimed_at is not None
        and one.message_id != case.decision.message_id
        and one.claimed_at <= case.at
    ]
    sent.sort(key=lambda one: (one.claimed_at or one.decided_at, one.message_id))
    return [
        CapUsage(cap, [one for one in sent if _counts_against_cap(one, cap, case)], case.zone)
        for cap in case.limits.caps
        if cap.channel in (None, case.decision.channel)
        and cap.journey in (None, case.decision.journey)
        and cap.topic in (None, *case.consent_topics)
    ]


def find_blocking_event(case: DecisionCase) -> EventRow | None:
    """The event that opened what held the message back: the last one whose number the detail names."""
    words = set(case.decision.detail.replace(",", " ").split())
    found = [
        one
        for one in case.account.events.values()
        if one.at <= case.at
        and any(name.endswith("_id") and str(value) in words for name, value in one.scalar_properties.items())
        and not one.lines
    ]
    return found[0] if found else None


def find_cart_removal(case: DecisionCase, key: str) -> EventRow | None:
    """The event that took an item out of the cart."""
    found = [
        one
        for one in case.account.events.values()
        if one.at <= case.at
        and one.type in ("Product Removed", "Order Completed")
        and any(key in (line.product_id, line.sku) for line in one.lines)
    ]
    return found[-1] if found else None


def find_run_end_event(case: DecisionCase, run: RunView) -> EventRow | None:
    """The event that ended a run, where its outcome says what kind it was."""
    if run.ended_at is None:
        return None
    kinds = {
        "bought": ("Order Completed",),
        "won_back": ("Order Completed",),
        "emptied": ("Product Removed",),
        "cancelled": ("Order Cancelled",),
        "refunded": ("Order Refunded",),
    }.get(run.outcome or "", ())
    found = [one for one in case.account.events.values() if one.type in kinds and one.at <= run.ended_at]
    return found[-1] if found else None


def previous_deferral(case: DecisionCase) -> DecisionView | None:
    """The last time before that the same message was put off."""
    found = [
        one
        for one in case.account.decisions
        if one.message_id == case.decision.message_id and one.verdict == "defer" and one.at < case.at
    ]
    return found[-1] if found else None


def later_decision(case: DecisionCase) -> DecisionView | None:
    """What was decided last about the same message, where that was later."""
    found = [
        one
        for one in case.account.decisions
        if one.message_id == case.decision.message_id and one.at > case.at
    ]
    return found[-1] if found else None


def failed_check_detail(case: DecisionCase) -> str:
    """The detail of the first check that did not pass; the decision's own where none is on record."""
    failed = next((check for check in case.decision.checks if not check.get("passed")), {})
    return str(failed.get("detail") or case.decision.detail)


def _is_about_item(bought: SuppressionRow, key: str) -> bool:
    return key in (bought.item, bought.sku)


def _last_consent(case: DecisionCase, words: Iterable[ConsentRow], *, granted: bool) -> ConsentRow | None:
    to = case.message.address if case.message else None
    about = [
        one
        for one in words
        if one.granted is granted
        and one.channel in (case.decision.channel, "all")
        and (one.topic in case.consent_topics or one.topic not in ("marketing", "transactional"))
        and one.at <= case.at
        and one.address in (None, to)
    ]
    return max(about, key=lambda one: (one.topic in case.consent_topics, one.time), default=None)


def _reports_problem(event: EventRow, found: AddressProblemRow) -> bool:
    wanted = {"bounced": "Message Bounced"}.get(found.problem)
    return event.type == wanted if wanted else found.problem in event.type.lower()


def _counts_against_cap(message: StoredMessage, cap: Cap, case: DecisionCase) -> bool:
    if message.claimed_at is None:
        return False
    sent = SentFact(Channel(message.channel), message.claimed_at, message.journey, message.topic)
    return cap_applies(cap, sent) and counts_until(cap, sent.at, case.zone) > case.at
