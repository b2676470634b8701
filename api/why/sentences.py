"""One sentence a verdict: who was sent what, when, and why; or why not, by which event and item. Pure."""

from api.why import evidence
from api.why.evidence import Case
from api.why.reasons import because, bought_in_words, slots_in_words, subject, word_in_words
from api.why.wording import channel_word, event_ref, happened, item, items, listed, name_of, near, plain, when
from profiles.views.decision_evidence import Account, EventFact

ACCEPTED = frozenset({"sent", "delivered", "bounced", "opened", "clicked"})

UNKNOWN = frozenset({"unknown", "unknown_final"})


def sentence(case: Case) -> str:
    """Why this verdict. Names its reason, and the event, time and item behind it where there are such."""
    why = because(case, case.decision.reason or "")
    match case.decision.verdict:
        case "allow":
            return _allowed(case)
        case "defer":
            return f"{_head(case, 'was not yet sent')}{_about(case, why)}: {why}{_put_off(case)}."
        case _:
            return f"{_head(case, 'was not sent')}{_about(case, why)}: {why}."


def outcome(case: Case) -> str:
    """What became of it, in a word or two: "sent", "withheld: bought", "put off: quiet hours"."""
    message = case.message
    reason = plain(case.decision.reason or "").replace("_", " ")
    match case.decision.verdict:
        case "allow" if message is not None and message.status == "released" and _is_last(case):
            return f"given back: {plain(message.reason or 'error').replace('_', ' ')}"
        case "allow":
            return "allowed"
        case "defer":
            return f"put off: {reason}"
    return f"withheld: {reason}"


def reason_in_words(case: Case) -> str:
    """The reason alone, as a clause: what it stood on, without what started its run."""
    if case.decision.verdict == "allow":
        released = case.message and case.message.status == "released" and _is_last(case)
        if released and case.message:
            return because(case, case.message.reason or "error")
        return "; ".join(_passed(case))
    return f"{_reason(case)}{_put_off(case) if case.decision.verdict == 'defer' else ''}"


def started_by(account: Account, event: EventFact, case: Case) -> str:
    """ "Product Added of p-1 (Aria lamp) at 12:00 (event shop 1)"."""
    of = [item(account, line.key) for line in event.lines if line.key]
    about = f" of {listed(of)}" if of and event.type.startswith(("Product", "Checkout")) else ""
    what = event_ref(event).rpartition(", event ")
    return f"{what[0]}{about} {happened(event, case.at, case.zone)} (event {what[2]})"


def _head(case: Case, verb: str) -> str:
    decision = case.decision
    at = f"on {when(case.at, case.zone)} ({case.zone})"
    if decision.channel == "ads":
        put = {"was sent": "was put", "was not sent": "was not put", "was not yet sent": "was not yet put"}
        audience = f"into the ad audience {plain(decision.template)}"
        return f"{name_of(case.account)} {put.get(verb, verb)} {audience} {at}"
    sent = f"{plain(decision.template)} by {channel_word(decision.channel)}"
    return f"{name_of(case.account)} {verb} {sent} {at}"


def _about(case: Case, why: str) -> str:
    """The items, unless the reason names them all."""
    keys = case.decision.items
    named = all(item(case.account, key) in why for key in keys)
    return "" if named else f", about {items(case.account, keys)}"


def _reason(case: Case) -> str:
    return because(case, case.decision.reason or "")


def _allowed(case: Case) -> str:
    status = case.message.status if case.message and _is_last(case) else ""
    if status == "released":
        why = because(case, (case.message.reason if case.message else None) or "error")
        given_back = f"it was allowed, and then given back, as {why}"
        return f"{_head(case, 'was not sent')}{_about(case, why)}: {given_back}."
    if status in UNKNOWN:
        lost = "the provider's answer was lost, so it is not sent again"
        return f"{_head(case, 'may have been sent')}{_about(case, lost)}: {lost}; {_grounds(case)}."
    verb = "was sent" if status in ACCEPTED else "is being sent" if status == "claimed" else "was to be sent"
    about = _about(case, "")
    return f"{_head(case, verb)}{about}{',' if about else ''} because: {_grounds(case)}."


def _grounds(case: Case) -> str:
    return "; ".join([*_started(case), *_passed(case)])


def _passed(case: Case) -> list[str]:
    return [_checks(case), *_without(case), *_consent(case), *_slots(case)]


def _started(case: Case) -> list[str]:
    entry, journey = case.account.entry(case.decision.run_id), plain(case.decision.journey)
    return [f"{journey} was started by {started_by(case.account, entry, case)}"] if entry else []


def _checks(case: Case) -> str:
    return f"all {len(case.decision.checks)} checks passed"


def _without(case: Case) -> list[str]:
    removed = case.decision.items_removed
    bought = evidence.purchases(case)
    told = [f"without {bought_in_words(case, key, one)}" for key, one in bought]
    named = {key for key, _ in bought}
    rest = [key for key in removed if key not in named]
    return [*told, *([f"without {items(case.account, rest)}, no longer relevant"] if rest else [])]


def _consent(case: Case) -> list[str]:
    if not case.marketing:
        return ["it is no marketing, which needs no consent"]
    yes = evidence.grant(case)
    if yes is not None:
        return [f"last said yes to {subject(yes)} {word_in_words(case, yes)}"]
    return [str(one["detail"]) for one in case.decision.checks if one.get("name") == "consent"]


def _slots(case: Case) -> list[str]:
    if not case.marketing or case.decision.channel == "ads":
        return []
    used = [slots_in_words(one, more=1) for one in evidence.slots(case)]
    return [f"it was {listed(used)}"] if used else []


def _put_off(case: Case) -> str:
    until = case.decision.until
    told = f"; put off until {when(until, case.zone)}" if until else ""
    later = evidence.came_to(case)
    if later is None:
        return told
    at = near(later.at, until or case.at, case.zone)
    if later.verdict == "allow":
        return f"{told}, and allowed {at}"
    said = "put off again" if later.verdict == "defer" else "withheld"
    return f"{told}, and {said} {at} ({plain(later.reason or '').replace('_', ' ')})"


def _is_last(case: Case) -> bool:
    """Whether the message's status is this verdict's doing."""
    return evidence.came_to(case) is None
