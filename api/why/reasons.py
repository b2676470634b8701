"""Says for each reason of the gate why a message did not go: by which event, when, about which item. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

from api.why import evidence
from api.why.evidence import Case, Slots
from api.why.wording import (
    address,
    channel_word,
    detail,
    event_ref,
    first_instant,
    happened,
    item,
    items,
    listed,
    near,
    plain,
    when,
    where,
)
from policy.durations import in_words
from policy.hours.time_zones import zone_info
from policy.verdict import Channel, Reason
from profiles.views.decision_evidence import BoughtFact, EventFact, WordFact
from profiles.views.history import DecisionView

ZONE_FROM = {
    "traits": "as their profile says",
    "context": "as their browser or app said",
    "phone": "after their phone number",
    "default": "the shop's own, as theirs is not known",
}
"""What a zone was taken from, in words."""


def bought_in_words(case: Case, key: str, bought: BoughtFact) -> str:
    """ "p-1 (Aria lamp) had been bought at 14:03 in the store (Order Completed o-17, event pos 9)"."""
    return f"{item(case.account, key)} {bought_when(case, bought)}"


def word_in_words(case: Case, word: WordFact) -> str:
    """Whose word, when and through what: "on Fri 20 Nov 2026 at 09:12 through the preference page (…)"."""
    event = case.account.event(word.event_id)
    told = near(word.time, case.at, case.zone)
    if event is None:
        return f"{told} through {plain(word.source)}"
    through = "" if word.source in (event.source, "message") else f" through {plain(word.source)}"
    return f"{told}{through} ({event_ref(event)})"


def subject(word: WordFact) -> str:
    """What a word is about: "marketing by email", "everything by sms", "all messages"."""
    topic = "everything" if word.topic == "all" else plain(word.topic)
    return (
        f"{topic} on every channel" if word.channel == "all" else f"{topic} by {channel_word(word.channel)}"
    )


def slots_in_words(slots: Slots, *, more: int = 0) -> str:
    """ "1 of 2 emails in 1 day": what had gone out before the message, and ``more``."""
    return f"{len(slots.used) + more} of {_cap(slots)}"


def bought_when(case: Case, bought: BoughtFact) -> str:
    """ "had been bought at 14:03 in the store (…)"."""
    event = case.account.event(bought.event_id)
    if event is None:
        return f"had been bought (order {plain(bought.order_id)})"
    back = bought.lifted_at
    since = "" if back is None else f"; given back since, on {when(back, case.zone)}"
    told = happened(event, case.at, case.zone)
    return f"had been bought {told} {where(event.channel)} ({event_ref(event)}{since})"


def _cap(slots: Slots) -> str:
    cap = slots.cap
    kind = (
        {Channel.EMAIL: "email", Channel.SMS: "text message"}.get(cap.channel) if cap.channel else "message"
    )
    word = kind or f"{cap.channel} message"
    about = [*([f"for {cap.journey}"] if cap.journey else []), *([f"about {cap.topic}"] if cap.topic else [])]
    span = f"a calendar {cap.per}" if cap.per else in_words(cap.window or timedelta(0))
    return " ".join([f"{cap.limit} {word}{'' if cap.limit == 1 else 's'}", *about, f"in {span}"])


Clause = Callable[[Case], str]


def because(case: Case, reason: str) -> str:
    """Why, as a clause without a full stop. ``reason`` is the decision's, or the message's where it was given
    back later; one that is not known here is said in the check's own words."""
    try:
        return CLAUSES[Reason(reason)](case)
    except ValueError:
        return f"{plain(reason)}: {_detail(case)}"


def _purchased(case: Case) -> str:
    found = evidence.purchases(case)
    if not found:
        return f"what it would have promoted had been bought: {_detail(case)}"
    by_order: dict[object, list[str]] = {}
    bought = {one.event_id: one for _, one in found}
    for key, one in found:
        by_order.setdefault(one.event_id, []).append(key)
    parts = [
        f"{items(case.account, keys)} {bought_when(case, bought[event_id])}"  # type: ignore[index]
        for event_id, keys in by_order.items()
    ]
    return listed(parts)


def _opted_out(case: Case) -> str:
    word = evidence.refusal(case)
    if word is None:
        return f"they had opted out: {_detail(case)}"
    whose = "" if word.address is None else f"for {address(word.channel, word.address)} "
    return f"{subject(word)} had been refused {whose}{word_in_words(case, word)}"


def _no_consent(case: Case) -> str:
    if (no := evidence.refusal(case)) is not None:
        return f"{subject(no)} had been refused {word_in_words(case, no)}"
    if (yes := evidence.grant(case)) is not None:
        return f"the yes to {subject(yes)} {word_in_words(case, yes)} did not do: {_detail(case)}"
    topic = "marketing" if case.marketing else "this"
    return f"nobody had said yes to {topic} by {channel_word(case.decision.channel)}: {_detail(case)}"


def _capped(case: Case) -> str:
    full = [one for one in evidence.slots(case) if len(one.used) >= one.cap.limit and one.free_at]
    if not full:
        return f"there had been enough: {_detail(case)}"
    latest = max(full, key=lambda one: one.free_at or case.at)
    sent = [
        f"{plain(one.template)} by {channel_word(one.channel)} {near(one.claimed_at, case.at, case.zone)}"
        for one in latest.used[-latest.cap.limit :]
        if one.claimed_at
    ]
    free = near(latest.free_at or case.at, case.at, case.zone)
    return f"{slots_in_words(latest)} had gone out ({listed(sent, 5)}); the next is free {free}"


def _quiet_hours(case: Case) -> str:
    local = case.at.astimezone(zone_info(case.zone))
    hours = case.limits.quiet_hours.get(_channel(case))
    found = evidence.failed_check(case)
    if hours is None or f"{local:%H:%M}" not in found:
        # The zone or the hours are others by now: what was written down then is right.
        return f"it was outside the hours of {channel_word(case.decision.channel)}: {_detail(case)}"
    source = ZONE_FROM.get(case.zone_source, case.zone_source)
    return (
        f"it was {local:%H:%M} in {case.zone} ({source}), and {channel_word(case.decision.channel)} "
        f"is open from {hours.opens:%H:%M} to {hours.closes:%H:%M}"
    )


def _channel(case: Case) -> Channel:
    try:
        return Channel(case.decision.channel)
    except ValueError:
        return Channel.ADS


def _no_address(case: Case) -> str:
    kind = {"email": "email address", "sms": "phone number"}.get(case.decision.channel)
    return f"no {kind or plain(case.decision.channel) + ' address'} was on file"


def _bounced(case: Case) -> str:
    return _problem(case, "bounced", "had bounced")


def _complained(case: Case) -> str:
    return _problem(case, "complained", "had reported a message as spam")


def _problem(case: Case, kind: str, says: str) -> str:
    found = evidence.problem(case, kind)
    if found is None:
        return f"the address {says}: {_detail(case)}"
    event = evidence.event_of_problem(case, found)
    by = f" ({_about_message(case, event)})" if event else ", as the provider said"
    return f"{address(found.channel, found.address)} {says} {near(found.at, case.at, case.zone)}{by}"


def _about_message(case: Case, event: EventFact) -> str:
    message = next(
        (one for one in case.account.messages if str(one.message_id) == event.said.get("message_id")), None
    )
    return event_ref(event) + (f", about {plain(message.template)}" if message else "")


def _expired(case: Case) -> str:
    found = evidence.failed_check(case)
    ended = first_instant(found)
    over = ended is not None and ended <= case.at
    told = f"its time was up {near(ended, case.at, case.zone)}" if ended and over else _detail(case)
    before = evidence.put_off(case)
    return told if before is None else f"{told}, after it had been put off {_put_off(case, before)}"


def _put_off(case: Case, before: DecisionView) -> str:
    why = plain(before.reason or "").replace("_", " ")
    return f"{near(before.at, case.at, case.zone)} ({why})"


def _out_of_stock(case: Case) -> str:
    since = {
        one.item: one.stocked_at
        for one in case.account.products
        if one.in_stock is False and one.stocked_at and one.stocked_at <= case.at
    }
    gone = [key for key in case.decision.items_removed if key in since]
    if not gone:
        return f"{items(case.account, case.decision.items_removed)} had been sold out: {_detail(case)}"
    parts = [f"{item(case.account, key)} had been sold out since {_since(case, since[key])}" for key in gone]
    return f"{listed(parts)} (Product Updated, by the product feed)"


def _since(case: Case, at: datetime | None) -> str:
    return when(at, case.zone) if at else "before"


def _lower_priority(case: Case) -> str:
    event = evidence.opened_case(case)
    if event is None:
        return _detail(case)
    return f"{_detail(case)}, opened {happened(event, case.at, case.zone)} ({event_ref(event)})"


def _holdout(case: Case) -> str:
    return f"kept out, to measure against: {_detail(case)}"


def _run_ended(case: Case) -> str:
    run, journey = case.run, plain(case.decision.journey)
    if run is not None and run.ended_at is not None and run.ended_at <= case.at:
        event = evidence.end_of_run(case, run)
        by = f" (by {event_ref(event)})" if event else f" ({plain(run.detail)})" if run.detail else ""
        outcome = f" as {plain(run.outcome)}" if run.outcome else ""
        return f"{journey} had ended{outcome} {near(run.ended_at, case.at, case.zone)}{by}"
    gone = [
        f"{item(case.account, key)} {_taken(case, key)}"
        for key in case.decision.items_removed
        if not evidence.purchases(case, removed=[key])
    ]
    if gone:
        return listed(gone)
    return f"{journey} could not go on: {_detail(case)}"


def _taken(case: Case, key: str) -> str:
    event = evidence.taken_from_cart(case, key)
    if event is None:
        return "was no longer in the cart"
    return f"had been taken out of the cart {happened(event, case.at, case.zone)} ({event_ref(event)})"


def _erased(case: Case) -> str:
    at = case.account.who.erased_at
    return f"the profile had been erased{'' if at is None else ' ' + near(at, case.at, case.zone)}"


def _kill_switch(case: Case) -> str:
    return f"sending was switched off by an operator: {_detail(case)}"


def _provider_budget(case: Case) -> str:
    return f"the provider could take no more: {_detail(case)}"


def _duplicate(case: Case) -> str:
    return f"it would only have said the same again: {_detail(case)}"


def _content(case: Case) -> str:
    if case.decision.verdict == "allow":
        return "its text could not be made from the template (the run's details have the fault)"
    return f"its content may not go out so: {_detail(case)}"


def _error(case: Case) -> str:
    if case.decision.verdict == "allow":
        return "the provider did not take it (the run's details have the fault)"
    return f"it could not be decided: {_detail(case)}"


def _detail(case: Case) -> str:
    return detail(evidence.failed_check(case), case.zone) or "nothing more is on record"


CLAUSES: dict[Reason, Clause] = {
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
