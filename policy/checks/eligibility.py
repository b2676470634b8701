"""Checks whether a message is allowed at all: erasure, message class, address, opt-outs and consent."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from policy.checks.first_contacts import country_denial
from policy.checks.result import CheckResult, denied, passed
from policy.durations import format_compact_duration
from policy.facts import ConsentFact, Facts, Plan
from policy.limits import Limits, SoftBounceRule
from policy.verdict import Channel, MessageClass, Reason

REOPENED_DETAIL = "it was reopened for transactional messages only"

_NOT_CONFIRMED = "not confirmed by its owner or a server"


def not_opted_out(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny where the address is opted out, or the profile has withdrawn its consent.

    *Marketing* is blocked by an opt-out of the address, and by a withdrawal for this channel or for "all".
    The topic of either is "all", "marketing" or the plan's own. A grant for a narrower or wider topic does
    not lift the block.

    *Transactional* messages are not blocked by a withdrawal from marketing, so a profile's "all" topic
    blocks marketing only. They are blocked by an opt-out or a withdrawal with the topic "transactional".
    On SMS the address's "all" blocks them too: carriers and 47 CFR 64.1200(a)(10) apply STOP to every
    message to that number.
    """
    topics = _applicable_topics(plan)
    by_address = [topic for topic in facts.opted_out if topic in topics]
    if plan.message_class is MessageClass.TRANSACTIONAL and plan.channel is Channel.SMS:
        by_address += [topic for topic in facts.opted_out if topic == "all"]
    if by_address:
        return denied(Reason.OPTED_OUT, f"the address is opted out of {_join_unique(by_address)}")
    withdrawn = [
        fact for fact in _consents_for_channel(plan, facts) if fact.topic in topics and not fact.granted
    ]
    if withdrawn:
        words = [f"{fact.topic} on {fact.channel}" for fact in withdrawn]
        return denied(Reason.OPTED_OUT, f"the person withdrew {_join_unique(words)}")
    return passed(f"no opt-out from {_join_unique(topics)}")


def has_consent(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny marketing without consent; transactional messages need none.

    SMS, push and ads need a grant for the channel (or "all") with the topic "all", "marketing" or the plan's
    own. Email needs one too, unless no consent is on file and the address came with a verified order or
    checkout ("Consents" in docs/reference/events.md; the existing-customer rule of Directive 2002/58/EC
    13(2)). A withdrawal counts as consent on file.

    In either case a verified event or grant must have named the address itself. Any sender may hold
    a page's key, so events of pages alone permit nothing. SMS to a number that only pages have named is
    denied in both classes where the shop does not name its country.
    """
    if (denial := country_denial(plan, facts)) is not None:
        return denial
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return passed("transactional messages need no consent")
    topics = _applicable_topics(plan)
    words = [fact for fact in _consents_for_channel(plan, facts) if fact.topic in topics]
    channel = plan.channel.value
    if any(not fact.granted for fact in words):
        return denied(Reason.NO_CONSENT, f"consent for {plan.topic} on {channel} was withdrawn")
    permitted = bool(words) or (plan.channel is Channel.EMAIL and facts.address_from_order)
    if permitted and not facts.address_confirmed:
        return denied(Reason.NO_CONSENT, f"the {channel} address was named by pages only; {_NOT_CONFIRMED}")
    if words:
        granted = [f"{fact.topic} on {fact.channel}" for fact in words]
        return passed(f"granted: {_join_unique(granted)}")
    if permitted:
        return passed("nothing on file, but the address came with an order or a checkout")
    if facts.unverified_grant:
        return denied(Reason.NO_CONSENT, f"{channel} was granted by a page only; {_NOT_CONFIRMED}")
    if facts.unverified_checkout:
        return denied(Reason.NO_CONSENT, f"the address came with a page's checkout only; {_NOT_CONFIRMED}")
    return denied(Reason.NO_CONSENT, f"no grant of {plan.topic} on {channel} on file")


def _applicable_topics(plan: Plan) -> tuple[str, ...]:
    if plan.message_class is MessageClass.TRANSACTIONAL:
        return ("transactional",)
    return tuple(dict.fromkeys(("all", "marketing", plan.topic)))


def _consents_for_channel(plan: Plan, facts: Facts) -> list[ConsentFact]:
    return [fact for fact in facts.consents if fact.channel in ("all", plan.channel.value)]


def _join_unique(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def not_erased(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny for an erased profile, for both message classes."""
    if facts.erased:
        return denied(Reason.ERASED, "the profile was erased")
    return passed("the profile is on file")


def address_usable(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny without an address, and after a bounce or a complaint.

    A hard bounce and a complaint close the address for both message classes. Where an operator has reopened
    a bounced address, it takes transactional messages again. Several soft bounces close it for marketing,
    for a while. Bounces and complaints do not concern ads, since the platform matches its members itself.
    An unknown problem denies as well.
    """
    if not facts.has_address:
        return denied(Reason.NO_ADDRESS, f"no {plan.channel.value} address on file")
    is_marketing = plan.message_class is not MessageClass.TRANSACTIONAL
    if plan.channel is Channel.ADS:
        return passed("ads address on file")
    match facts.address_problem:
        case None:
            pass
        case "bounced":
            return denied(Reason.BOUNCED, "the address bounced for good")
        case "bounced_reopened" if is_marketing:
            return denied(Reason.BOUNCED, f"the address bounced for good; {REOPENED_DETAIL}")
        case "bounced_reopened":
            return passed(f"{plan.channel.value} address reopened by an operator")
        case "complained":
            return denied(Reason.COMPLAINED, "the person reported a message as spam")
        case _:
            return denied(Reason.NO_ADDRESS, "the address has a problem of an unknown kind")
    closed = soft_bounce_closure(facts.soft_bounces, limits.bounces, at) if is_marketing else None
    if closed is not None:
        (times, until), window = closed, format_compact_duration(limits.bounces.window)
        detail = f"{times} messages to the address bounced softly in {window}"
        opens = until.isoformat(timespec="seconds")
        return denied(Reason.BOUNCED, f"{detail}; it is open again at {opens}")
    return passed(f"{plan.channel.value} address on file")


def soft_bounce_closure(
    bounces: Sequence[datetime], rule: SoftBounceRule, at: datetime
) -> tuple[int, datetime] | None:
    """Return how many soft bounces close an address for marketing at ``at``, and until when; None: open."""
    ordered = sorted(bounces)
    for last in reversed(ordered):
        times = sum(last - rule.window < each <= last for each in ordered)
        if times >= rule.soft:
            until = last + rule.pause
            return (times, until) if at < until else None
    return None


def message_class_valid(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    """Deny a plan with a message class that would avoid the rules for marketing, or an opt-out.

    A transactional message needs no consent and is not capped. So it may not promote anything, since a mail
    that promotes is marketing whatever else is in it, and it may not be an ad. A marketing message may not
    have the topic "transactional", which stays on after an opt-out from marketing.
    """
    if plan.message_class is MessageClass.MARKETING:
        if plan.topic == "transactional":
            return denied(
                Reason.CONTENT, 'marketing under the topic "transactional": give the template its own topic'
            )
        return passed("marketing")
    if plan.promoting:
        return denied(
            Reason.CONTENT,
            f"transactional, but promotes {len(plan.promoting)} item(s): promote in a marketing template",
        )
    if plan.channel is Channel.ADS:
        return denied(Reason.CONTENT, "transactional, but an ad: ads are marketing")
    return passed("transactional")
