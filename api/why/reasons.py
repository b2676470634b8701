"""Clauses for each reason of the gate, and for purchases, consents and caps, with their events. Pure."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from api.why import evidence
from api.why.evidence import CapUsage, DecisionCase
from api.why.wording import (
    channel_place,
    find_first_instant,
    format_event_ref,
    format_event_time,
    format_instant,
    format_item,
    format_items,
    format_near,
    join_words,
    localise_detail,
    mask_address,
    to_plain_text,
)
from policy.checks.eligibility import REOPENED_DETAIL
from policy.durations import format_duration
from policy.hours.time_zones import zone_info
from policy.verdict import Channel, Reason
from profiles.views.decision_evidence import ConsentRow, SuppressionRow
from profiles.views.history import DecisionView

ReasonClause = Callable[[DecisionCase], str]


ZONE_SOURCE_TEXTS = {
    "traits": "as their profile says",
    "context": "as their browser or app said",
    "phone": "after their phone number",
    "default": "the shop's own, as theirs is not known",
}


def describe_purchase(case: DecisionCase, key: str, bought: SuppressionRow) -> str:
    """Describe the purchase of an item: "p-1 (Aria lamp) had been bought at 14:03 in the store (…)"."""
    return f"{format_item(case.account, key)} {describe_purchase_event(case, bought)}"


def describe_consent_source(case: DecisionCase, declaration: ConsentRow) -> str:
    """Describe the origin of a consent: "on Fri 20 Nov 2026 at 09:12 through the preference page (…)"."""
    event = case.account.event(declaration.event_id)
    instant = format_near(declaration.time, case.at, case.zone)
    through = f" through {to_plain_text(declaration.source)}"
    if event is None:
        return f"{instant}{through}"
    if declaration.source in (event.source, "message"):
        through = ""
    return f"{instant}{through} ({format_event_ref(event)})"


def consent_subject(declaration: ConsentRow) -> str:
    """Describe what a declaration is about: "marketing by email", "everything by sms"."""
    topic = "everything" if declaration.topic == "all" else to_plain_text(declaration.topic)
    on_all = declaration.channel == "all"
    return f"{topic} on every channel" if on_all else f"{topic} by {to_plain_text(declaration.channel)}"


def describe_cap_usage(usage: CapUsage, *, additional: int = 0) -> str:
    """Describe a cap's usage before the message plus ``additional``, such as "1 of 2 emails in 1 day"."""
    return f"{len(usage.counted_messages) + additional} of {_describe_cap(usage)}"


def describe_purchase_event(case: DecisionCase, bought: SuppressionRow) -> str:
    """Describe a purchase: "had been bought at 14:03 in the store (Order Completed o-17, event pos 9)"."""
    event = case.account.event(bought.event_id)
    if event is None:
        return f"had been bought (order {to_plain_text(bought.order_id)})"
    returned_at = bought.lifted_at
    since = "" if returned_at is None else f"; given back since, on {format_instant(returned_at, case.zone)}"
    instant = format_event_time(event, case.at, case.zone)
    return f"had been bought {instant} {channel_place(event.channel)} ({format_event_ref(event)}{since})"


def _describe_cap(usage: CapUsage) -> str:
    cap = usage.cap
    words = {None: "message", Channel.EMAIL: "email", Channel.SMS: "text message"}
    word = words.get(cap.channel) or f"{cap.channel} message"
    about = (f" for {cap.journey}" if cap.journey else "") + (f" about {cap.topic}" if cap.topic else "")
    span = f"a calendar {cap.per}" if cap.per else format_duration(cap.window or timedelta(0))
    return f"{cap.limit} {word}{'' if cap.limit == 1 else 's'}{about} in {span}"


def reason_label(decision: DecisionView) -> str:
    """Return the reason of a decision as a label: "quiet hours"; "on hold" for the check of open holds."""
    if decision.reason == Reason.LOWER_PRIORITY and evidence.failed_check_name(decision) == "hold":
        return "on hold"
    return to_plain_text(decision.reason or "").replace("_", " ")


def explain_reason(case: DecisionCase, reason_code: str) -> str:
    """Return a reason as a clause without a full stop; the failed check's detail for an unknown code."""
    try:
        return REASON_CLAUSES[Reason(reason_code)](case)
    except ValueError:
        return f"{to_plain_text(reason_code)}: {_check_detail(case)}"


def _with_detail(clause: str, *, if_allowed: str = "") -> ReasonClause:
    """Return a clause followed by the check's detail; ``if_allowed``: the clause of a message given back."""

    def explain(case: DecisionCase) -> str:
        if if_allowed and case.decision.verdict == "allow":
            return f"{if_allowed} (the run's details have the fault)"
        return f"{clause}: {_check_detail(case)}"

    return explain


def _purchased(case: DecisionCase) -> str:
    purchases = evidence.purchases_of_removed_items(case)
    if not purchases:
        return f"what it would have promoted had been bought: {_check_detail(case)}"
    keys: dict[UUID, list[str]] = {}
    for key, purchase in purchases:
        keys.setdefault(purchase.event_id, []).append(key)
    bought = {purchase.event_id: purchase for _, purchase in purchases}
    parts = [
        f"{format_items(case.account, keys[event_id])} {describe_purchase_event(case, purchase)}"
        for event_id, purchase in bought.items()
    ]
    return join_words(parts)


def _opted_out(case: DecisionCase) -> str:
    refusal = evidence.find_refusal(case)
    if refusal is None:
        return f"they had opted out: {_check_detail(case)}"
    address = refusal.address
    recipient = "" if address is None else f"for {mask_address(refusal.channel, address)} "
    source = describe_consent_source(case, refusal)
    return f"{consent_subject(refusal)} had been refused {recipient}{source}"


def _no_consent(case: DecisionCase) -> str:
    if (refusal := evidence.find_refusal(case)) is not None:
        return f"{consent_subject(refusal)} had been refused {describe_consent_source(case, refusal)}"
    if (grant := evidence.find_grant(case)) is not None:
        source = describe_consent_source(case, grant)
        return f"the yes to {consent_subject(grant)} {source} did not do: {_check_detail(case)}"
    topic = "marketing" if case.is_marketing else "this"
    return f"nobody had said yes to {topic} by {to_plain_text(case.decision.channel)}: {_check_detail(case)}"


def _capped(case: DecisionCase) -> str:
    full = [
        usage
        for usage in evidence.cap_usages(case)
        if len(usage.counted_messages) >= usage.cap.limit and usage.free_at
    ]
    if not full:
        return f"there had been enough: {_check_detail(case)}"
    latest = max(full, key=lambda usage: usage.free_at or case.at)
    sent = [
        f"{to_plain_text(message.template)} by {to_plain_text(message.channel)} "
        f"{format_near(message.claimed_at, case.at, case.zone)}"
        for message in latest.counted_messages[-latest.cap.limit :]
        if message.claimed_at
    ]
    free = format_near(latest.free_at or case.at, case.at, case.zone)
    return f"{describe_cap_usage(latest)} had gone out ({join_words(sent, 5)}); the next is free {free}"


def _quiet_hours(case: DecisionCase) -> str:
    local = case.at.astimezone(zone_info(case.zone))
    hours_by_channel = {channel.value: hours for channel, hours in case.limits.quiet_hours.items()}
    hours = hours_by_channel.get(case.decision.channel)
    detail = evidence.failed_check_detail(case)
    if hours is None or f"{local:%H:%M}" not in detail:
        # The zone or the hours have changed since; the stored detail is right.
        return f"it was outside the hours of {to_plain_text(case.decision.channel)}: {_check_detail(case)}"
    source = ZONE_SOURCE_TEXTS.get(case.zone_source, case.zone_source)
    return (
        f"it was {local:%H:%M} in {case.zone} ({source}), and {to_plain_text(case.decision.channel)} "
        f"is open from {hours.opens:%H:%M} to {hours.closes:%H:%M}"
    )


def _no_address(case: DecisionCase) -> str:
    kind = {"email": "email address", "sms": "phone number"}.get(case.decision.channel)
    return f"no {kind or to_plain_text(case.decision.channel) + ' address'} was on file"


def _address_problem(kind: str, says: str) -> ReasonClause:
    def explain(case: DecisionCase) -> str:
        detail = _check_detail(case)
        if "softly" in detail:
            return detail
        problem = evidence.find_address_problem(case, kind)
        if problem is None:
            return f"the address {says}: {detail}"
        by = ", as the provider said"
        if event := evidence.find_problem_event(case, problem):
            message = evidence.find_message_of_event(case.account, event)
            about = f", about {to_plain_text(message.template)}" if message else ""
            by = f" ({format_event_ref(event)}{about})"
        instant = format_near(problem.at, case.at, case.zone)
        since = f", and {REOPENED_DETAIL}" if REOPENED_DETAIL in detail else ""
        return f"{mask_address(problem.channel, problem.address)} {says} {instant}{by}{since}"

    return explain


def _expired(case: DecisionCase) -> str:
    detail = evidence.failed_check_detail(case)
    expired_at = find_first_instant(detail)
    clause = _check_detail(case)
    if expired_at is not None and expired_at <= case.at:
        clause = f"its time was up {format_near(expired_at, case.at, case.zone)}"
    deferral = evidence.previous_deferral(case)
    if deferral is None:
        return clause
    earlier = format_near(deferral.at, case.at, case.zone)
    return f"{clause}, after it had been put off {earlier} ({reason_label(deferral)})"


def _out_of_stock(case: DecisionCase) -> str:
    since = {
        product.item: product.stocked_at
        for product in case.account.products
        if product.in_stock is False and product.stocked_at and product.stocked_at <= case.at
    }
    sold_out = [key for key in case.decision.items_removed if key in since]
    if not sold_out:
        items = format_items(case.account, case.decision.items_removed)
        return f"{items} had been sold out: {_check_detail(case)}"
    parts = [
        f"{format_item(case.account, key)} had been sold out since {format_instant(since[key], case.zone)}"
        for key in sold_out
    ]
    return f"{join_words(parts)} (Product Updated, by the product feed)"


def _lower_priority(case: DecisionCase) -> str:
    event = evidence.find_blocking_event(case)
    if event is None:
        return _check_detail(case)
    opened = format_event_time(event, case.at, case.zone)
    return f"{_check_detail(case)}, opened {opened} ({format_event_ref(event)})"


def _run_ended(case: DecisionCase) -> str:
    run, journey = case.run, to_plain_text(case.decision.journey)
    if run is not None and run.ended_at is not None and run.ended_at <= case.at:
        event = evidence.find_run_end_event(case, run)
        by = f" ({to_plain_text(run.detail)})" if run.detail else ""
        if event:
            by = f" (by {format_event_ref(event)})"
        outcome = f" as {to_plain_text(run.outcome)}" if run.outcome else ""
        return f"{journey} had ended{outcome} {format_near(run.ended_at, case.at, case.zone)}{by}"
    removals = [
        f"{format_item(case.account, key)} {_describe_cart_removal(case, key)}"
        for key in case.decision.items_removed
        if not evidence.purchases_of_removed_items(case, removed=[key])
    ]
    if removals:
        return join_words(removals)
    return f"{journey} could not go on: {_check_detail(case)}"


def _describe_cart_removal(case: DecisionCase, key: str) -> str:
    event = evidence.find_cart_removal(case, key)
    if event is None:
        return "was no longer in the cart"
    removed = format_event_time(event, case.at, case.zone)
    return f"had been taken out of the cart {removed} ({format_event_ref(event)})"


def _erased(case: DecisionCase) -> str:
    at = case.account.profile.erased_at
    return f"the profile had been erased{'' if at is None else ' ' + format_near(at, case.at, case.zone)}"


def _check_detail(case: DecisionCase) -> str:
    return localise_detail(evidence.failed_check_detail(case), case.zone) or "nothing more is on record"


REASON_CLAUSES: dict[Reason, ReasonClause] = {
    Reason.PURCHASED: _purchased,
    Reason.OPTED_OUT: _opted_out,
    Reason.NO_CONSENT: _no_consent,
    Reason.CAPPED: _capped,
    Reason.QUIET_HOURS: _quiet_hours,
    Reason.NO_ADDRESS: _no_address,
    Reason.BOUNCED: _address_problem("bounced", "had bounced"),
    Reason.COMPLAINED: _address_problem("complained", "had reported a message as spam"),
    Reason.EXPIRED: _expired,
    Reason.OUT_OF_STOCK: _out_of_stock,
    Reason.LOWER_PRIORITY: _lower_priority,
    Reason.HOLDOUT: _with_detail("kept out, to measure against"),
    Reason.RUN_ENDED: _run_ended,
    Reason.ERASED: _erased,
    Reason.KILL_SWITCH: _with_detail("sending was switched off by an operator"),
    Reason.PROVIDER_BUDGET: _with_detail("the provider could take no more"),
    Reason.DUPLICATE: _with_detail("it would only have said the same again"),
    Reason.CONTENT: _with_detail(
        "its content may not go out so", if_allowed="its text could not be made from the template"
    ),
    Reason.ERROR: _with_detail("it could not be decided", if_allowed="the provider did not take it"),
}
"""All reasons; a test compares them with the enumeration."""
