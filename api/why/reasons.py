"""Says for each reason of the gate why a message did not go: by which event, when, about which item. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

from api.why import evidence
from api.why.evidence import CapUsage, DecisionCase
from api.why.wording import (
    channel_name,
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
from policy.durations import format_duration
from policy.hours.time_zones import zone_info
from policy.verdict import Channel, Reason
from profiles.views.decision_evidence import ConsentRow, EventRow, SuppressionRow
from profiles.views.history import DecisionView

ZONE_SOURCE_TEXTS = {
    "traits": "as their profile says",
    "context": "as their browser or app said",
    "phone": "after their phone number",
    "default": "the shop's own, as theirs is not known",
}
"""What a zone was taken from, in words."""


def describe_purchase(case: DecisionCase, key: str, bought: SuppressionRow) -> str:
    """ "p-1 (Aria lamp) had been bought at 14:03 in the store (Order Completed o-17, event pos 9)"."""
    return f"{format_item(case.account, key)} {describe_purchase_event(case, bought)}"


def describe_consent_source(case: DecisionCase, word: ConsentRow) -> str:
    """Whose word, when and through what: "on Fri 20 Nov 2026 at 09:12 through the preference page (…)"."""
    event = case.account.event(word.event_id)
    told = format_near(word.time, case.at, case.zone)
    if event is None:
        return f"{told} through {to_plain_text(word.source)}"
    through = "" if word.source in (event.source, "message") else f" through {to_plain_text(word.source)}"
    return f"{told}{through} ({format_event_ref(event)})"


def consent_subject(word: ConsentRow) -> str:
    """What a word is about: "marketing by email", "everything by sms", "all messages"."""
    topic = "everything" if word.topic == "all" else to_plain_text(word.topic)
    return (
        f"{topic} on every channel" if word.channel == "all" else f"{topic} by {channel_name(word.channel)}"
    )


def describe_cap_usage(slots: CapUsage, *, additional: int = 0) -> str:
    """ "1 of 2 emails in 1 day": what had gone out before the message, and ``more``."""
    return f"{len(slots.counted_messages) + additional} of {_describe_cap(slots)}"


def describe_purchase_event(case: DecisionCase, bought: SuppressionRow) -> str:
    """ "had been bought at 14:03 in the store (…)"."""
    event = case.account.event(bought.event_id)
    if event is None:
        return f"had been bought (order {to_plain_text(bought.order_id)})"
    back = bought.lifted_at
    since = "" if back is None else f"; given back since, on {format_instant(back, case.zone)}"
    told = format_event_time(event, case.at, case.zone)
    return f"had been bought {told} {channel_place(event.channel)} ({format_event_ref(event)}{since})"


def _describe_cap(slots: CapUsage) -> str:
    cap = slots.cap
    kind = (
        {Channel.EMAIL: "email", Channel.SMS: "text message"}.get(cap.channel) if cap.channel else "message"
    )
    word = kind or f"{cap.channel} message"
    about = [*([f"for {cap.journey}"] if cap.journey else []), *([f"about {cap.topic}"] if cap.topic else [])]
    span = f"a calendar {cap.per}" if cap.per else format_duration(cap.window or timedelta(0))
    return " ".join([f"{cap.limit} {word}{'' if cap.limit == 1 else 's'}", *about, f"in {span}"])


ReasonClause = Callable[[DecisionCase], str]


def explain_reason(case: DecisionCase, reason_code: str) -> str:
    """Why, as a clause without a full stop. ``reason`` is the decision's, or the message's where it was given
    back later; one that is not known here is said in the check's own words."""
    try:
        return REASON_CLAUSES[Reason(reason_code)](case)
    except ValueError:
        return f"{to_plain_text(reason_code)}: {_check_detail(case)}"


def _purchased(case: DecisionCase) -> str:
    found = evidence.purchases_of_removed_items(case)
    if not found:
        return f"what it would have promoted had been bought: {_check_detail(case)}"
    by_order: dict[object, list[str]] = {}
    bought = {one.event_id: one for _, one in found}
    for key, one in found:
        by_order.setdefault(one.event_id, []).append(key)
    parts = [
        f"{format_items(case.account, keys)} {describe_purchase_event(case, bought[event_id])}"  # type: ignore[index]
        for event_id, keys in by_order.items()
    ]
    return join_words(parts)


def _opted_out(case: DecisionCase) -> str:
    word = evidence.find_refusal(case)
    if word is None:
        return f"they had opted out: {_check_detail(case)}"
    whose = "" if word.address is None else f"for {mask_address(word.channel, word.address)} "
    return f"{consent_subject(word)} had been refused {whose}{describe_consent_source(case, word)}"


def _no_consent(case: DecisionCase) -> str:
    if (no := evidence.find_refusal(case)) is not None:
        return f"{consent_subject(no)} had been refused {describe_consent_source(case, no)}"
    if (yes := evidence.find_grant(case)) is not None:
        return f"the yes to {consent_subject(yes)} {describe_consent_source(case, yes)} did not do: {_check_detail(case)}"
    topic = "marketing" if case.is_marketing else "this"
    return f"nobody had said yes to {topic} by {channel_name(case.decision.channel)}: {_check_detail(case)}"


def _capped(case: DecisionCase) -> str:
    full = [
        one for one in evidence.cap_usages(case) if len(one.counted_messages) >= one.cap.limit and one.free_at
    ]
    if not full:
        return f"there had been enough: {_check_detail(case)}"
    latest = max(full, key=lambda one: one.free_at or case.at)
    sent = [
        f"{to_plain_text(one.template)} by {channel_name(one.channel)} {format_near(one.claimed_at, case.at, case.zone)}"
        for one in latest.counted_messages[-latest.cap.limit :]
        if one.claimed_at
    ]
    free = format_near(latest.free_at or case.at, case.at, case.zone)
    return f"{describe_cap_usage(latest)} had gone out ({join_words(sent, 5)}); the next is free {free}"


def _quiet_hours(case: DecisionCase) -> str:
    local = case.at.astimezone(zone_info(case.zone))
    hours = case.limits.quiet_hours.get(_to_channel(case))
    found = evidence.failed_check_detail(case)
    if hours is None or f"{local:%H:%M}" not in found:
        # The zone or the hours are others by now: what was written down then is right.
        return f"it was outside the hours of {channel_name(case.decision.channel)}: {_check_detail(case)}"
    source = ZONE_SOURCE_TEXTS.get(case.zone_source, case.zone_source)
    return (
        f"it was {local:%H:%M} in {case.zone} ({source}), and {channel_name(case.decision.channel)} "
        f"is open from {hours.opens:%H:%M} to {hours.closes:%H:%M}"
    )


def _to_channel(case: DecisionCase) -> Channel:
    try:
        return Channel(case.decision.channel)
    except ValueError:
        return Channel.ADS


def _no_address(case: DecisionCase) -> str:
    kind = {"email": "email address", "sms": "phone number"}.get(case.decision.channel)
    return f"no {kind or to_plain_text(case.decision.channel) + ' address'} was on file"


def _bounced(case: DecisionCase) -> str:
    return _describe_address_problem(case, "bounced", "had bounced")


def _complained(case: DecisionCase) -> str:
    return _describe_address_problem(case, "complained", "had reported a message as spam")


def _describe_address_problem(case: DecisionCase, kind: str, says: str) -> str:
    found = evidence.find_address_problem(case, kind)
    if found is None:
        return f"the address {says}: {_check_detail(case)}"
    event = evidence.find_problem_event(case, found)
    by = f" ({_describe_message_event(case, event)})" if event else ", as the provider said"
    return (
        f"{mask_address(found.channel, found.address)} {says} {format_near(found.at, case.at, case.zone)}{by}"
    )


def _describe_message_event(case: DecisionCase, event: EventRow) -> str:
    message = next(
        (
            one
            for one in case.account.messages
            if str(one.message_id) == event.scalar_properties.get("message_id")
        ),
        None,
    )
    return format_event_ref(event) + (f", about {to_plain_text(message.template)}" if message else "")


def _expired(case: DecisionCase) -> str:
    found = evidence.failed_check_detail(case)
    ended = find_first_instant(found)
    over = ended is not None and ended <= case.at
    told = (
        f"its time was up {format_near(ended, case.at, case.zone)}" if ended and over else _check_detail(case)
    )
    before = evidence.previous_deferral(case)
    return told if before is None else f"{told}, after it had been put off {_describe_deferral(case, before)}"


def _describe_deferral(case: DecisionCase, before: DecisionView) -> str:
    why = to_plain_text(before.reason or "").replace("_", " ")
    return f"{format_near(before.at, case.at, case.zone)} ({why})"


def _out_of_stock(case: DecisionCase) -> str:
    since = {
        one.item: one.stocked_at
        for one in case.account.products
        if one.in_stock is False and one.stocked_at and one.stocked_at <= case.at
    }
    gone = [key for key in case.decision.items_removed if key in since]
    if not gone:
        return f"{format_items(case.account, case.decision.items_removed)} had been sold out: {_check_detail(case)}"
    parts = [
        f"{format_item(case.account, key)} had been sold out since {_describe_since(case, since[key])}"
        for key in gone
    ]
    return f"{join_words(parts)} (Product Updated, by the product feed)"


def _describe_since(case: DecisionCase, at: datetime | None) -> str:
    return format_instant(at, case.zone) if at else "before"


def _lower_priority(case: DecisionCase) -> str:
    event = evidence.find_blocking_event(case)
    if event is None:
        return _check_detail(case)
    return f"{_check_detail(case)}, opened {format_event_time(event, case.at, case.zone)} ({format_event_ref(event)})"


def _holdout(case: DecisionCase) -> str:
    return f"kept out, to measure against: {_check_detail(case)}"


def _run_ended(case: DecisionCase) -> str:
    run, journey = case.run, to_plain_text(case.decision.journey)
    if run is not None and run.ended_at is not None and run.ended_at <= case.at:
        event = evidence.find_run_end_event(case, run)
        by = (
            f" (by {format_event_ref(event)})"
            if event
            else f" ({to_plain_text(run.detail)})"
            if run.detail
            else ""
        )
        outcome = f" as {to_plain_text(run.outcome)}" if run.outcome else ""
        return f"{journey} had ended{outcome} {format_near(run.ended_at, case.at, case.zone)}{by}"
    gone = [
        f"{format_item(case.account, key)} {_describe_cart_removal(case, key)}"
        for key in case.decision.items_removed
        if not evidence.purchases_of_removed_items(case, removed=[key])
    ]
    if gone:
        return join_words(gone)
    return f"{journey} could not go on: {_check_detail(case)}"


def _describe_cart_removal(case: DecisionCase, key: str) -> str:
    event = evidence.find_cart_removal(case, key)
    if event is None:
        return "was no longer in the cart"
    return f"had been taken out of the cart {format_event_time(event, case.at, case.zone)} ({format_event_ref(event)})"


def _erased(case: DecisionCase) -> str:
    at = case.account.profile.erased_at
    return f"the profile had been erased{'' if at is None else ' ' + format_near(at, case.at, case.zone)}"


def _kill_switch(case: DecisionCase) -> str:
    return f"sending was switched off by an operator: {_check_detail(case)}"


def _provider_budget(case: DecisionCase) -> str:
    return f"the provider could take no more: {_check_detail(case)}"


def _duplicate(case: DecisionCase) -> str:
    return f"it would only have said the same again: {_check_detail(case)}"


def _content(case: DecisionCase) -> str:
    if case.decision.verdict == "allow":
        return "its text could not be made from the template (the run's details have the fault)"
    return f"its content may not go out so: {_check_detail(case)}"


def _error(case: DecisionCase) -> str:
    if case.decision.verdict == "allow":
        return "the provider did not take it (the run's details have the fault)"
    return f"it could not be decided: {_check_detail(case)}"


def _check_detail(case: DecisionCase) -> str:
    return localise_detail(evidence.failed_check_detail(case), case.zone) or "nothing more is on record"


REASON_CLAUSES: dict[Reason, ReasonClause] = {
    Reason.PURCHASED: _purchased,
    Reason.OPTED_OUT: _opted_out,
    Reason.NO_CONSENT: _no_consent,
    Reason.CAPPED: _capped,
    Reason.QUIET_HOURS: _quiet_hours,
    Reason.NO_ADDRESS: _no_address,
    Reason.BOUNCED: _bounced,
    Reason.COMPLAINED: _complained,
    Reason.EXPIRED: _expired,
    Reason.OUT_OF_STOCK: _out_of_stock,
    Reason.LOWER_PRIORITY: _lower_priority,
    Reason.HOLDOUT: _holdout,
    Reason.RUN_ENDED: _run_ended,
    Reason.ERASED: _erased,
    Reason.KILL_SWITCH: _kill_switch,
    Reason.PROVIDER_BUDGET: _provider_budget,
    Reason.DUPLICATE: _duplicate,
    Reason.CONTENT: _content,
    Reason.ERROR: _error,
}
"""Every reason, for good: a test compares them."""
