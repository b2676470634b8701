"""Parts of sentences about a purchase, a word on consent, and a cap. Pure."""

from datetime import timedelta

from api.why.grounds import Case, Slots
from api.why.words import channel_word, event_ref, happened, item, near, plain, when, where
from policy.durations import in_words
from policy.verdict import Channel
from profiles.why_facts import BoughtFact, WordFact

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
