"""One sentence for each decision: what was or was not sent, when, and why. Pure."""

from api.why import evidence
from api.why.evidence import DecisionCase
from api.why.reasons import (
    consent_subject,
    describe_cap_usage,
    describe_consent_source,
    describe_purchase_event,
    explain_reason,
    reason_label,
)
from api.why.wording import (
    format_event_ref,
    format_event_time,
    format_instant,
    format_item,
    format_items,
    format_near,
    join_words,
    person_name,
    to_plain_text,
)
from profiles.state.unit_of_work import ACCEPTED_STATUSES
from profiles.views.decision_evidence import DecisionEvidence, EventRow

UNKNOWN_STATUSES = ("unknown", "unknown_final")


def explain_decision(case: DecisionCase) -> str:
    """Explain a decision: its reason, and the event, time and item behind it where there are any."""
    why = _reason_clause(case)
    match case.decision.verdict:
        case "allow":
            return _explain_allowed(case)
        case "defer":
            subject = _subject_clause(case, "was not yet sent")
            return f"{subject}{_items_clause(case, why)}: {why}{_deferral_clause(case)}."
        case _:
            return f"{_subject_clause(case, 'was not sent')}{_items_clause(case, why)}: {why}."


def describe_outcome(case: DecisionCase) -> str:
    """Describe the outcome in a few words: "allowed", "withheld: purchased", "put off: capped", "on hold"."""
    label = reason_label(case.decision)
    match case.decision.verdict:
        case "allow":
            released = to_plain_text(_release_reason(case)).replace("_", " ")
            return f"given back: {released}" if released else "allowed"
        case "defer":
            return label if label == "on hold" else f"put off: {label}"
        case _:
            return f"withheld: {label}"


def describe_reason(case: DecisionCase) -> str:
    """Return the reason alone as a clause, without what started the run."""
    if case.decision.verdict == "allow":
        released = _release_reason(case)
        return explain_reason(case, released) if released else "; ".join(_passed_clauses(case))
    return f"{_reason_clause(case)}{_deferral_clause(case) if case.decision.verdict == 'defer' else ''}"


def describe_start_event(account: DecisionEvidence, event: EventRow, case: DecisionCase) -> str:
    """Describe a run's start event: "Product Added of p-1 (Aria lamp) at 12:00 (event shop 1)"."""
    of = [format_item(account, line.key) for line in event.lines if line.key]
    about = f" of {join_words(of)}" if of and event.type.startswith(("Product", "Checkout")) else ""
    what = format_event_ref(event).rpartition(", event ")
    return f"{what[0]}{about} {format_event_time(event, case.at, case.zone)} (event {what[2]})"


def _subject_clause(case: DecisionCase, verb: str) -> str:
    decision = case.decision
    at = f"on {format_instant(case.at, case.zone)} ({case.zone})"
    if decision.channel == "ads":
        put = {"was sent": "was put", "was not sent": "was not put", "was not yet sent": "was not yet put"}
        audience = f"into the ad audience {to_plain_text(decision.template)}"
        return f"{person_name(case.account)} {put.get(verb, verb)} {audience} {at}"
    sent = f"{to_plain_text(decision.template)} by {to_plain_text(decision.channel)}"
    return f"{person_name(case.account)} {verb} {sent} {at}"


def _items_clause(case: DecisionCase, why: str) -> str:
    """Return the items as a clause; empty if the reason names them all."""
    keys = case.decision.items
    named = all(format_item(case.account, key) in why for key in keys)
    return "" if named else f", about {format_items(case.account, keys)}"


def _reason_clause(case: DecisionCase) -> str:
    return explain_reason(case, case.decision.reason or "")


def _explain_allowed(case: DecisionCase) -> str:
    status = _message_status(case)
    if released := _release_reason(case):
        why = explain_reason(case, released)
        given_back = f"it was allowed, and then given back, as {why}"
        return f"{_subject_clause(case, 'was not sent')}{_items_clause(case, why)}: {given_back}."
    if status in UNKNOWN_STATUSES:
        lost = "the provider's answer was lost, so it is not sent again"
        subject = f"{_subject_clause(case, 'may have been sent')}{_items_clause(case, lost)}"
        return f"{subject}: {lost}; {_allowed_clause(case)}."
    verb = "is being sent" if status == "claimed" else "was to be sent"
    if status in ACCEPTED_STATUSES:
        verb = "was sent"
    about = _items_clause(case, "")
    return f"{_subject_clause(case, verb)}{about}{',' if about else ''} because: {_allowed_clause(case)}."


def _allowed_clause(case: DecisionCase) -> str:
    clauses = _passed_clauses(case)
    if entry := case.account.entry(case.decision.run_id):
        start = describe_start_event(case.account, entry, case)
        clauses.insert(0, f"{to_plain_text(case.decision.journey)} was started by {start}")
    return "; ".join(clauses)


def _passed_clauses(case: DecisionCase) -> list[str]:
    checks = f"all {len(case.decision.checks)} checks passed"
    return [checks, *_removed_items_clauses(case), *_consent_clauses(case), *_cap_clauses(case)]


def _removed_items_clauses(case: DecisionCase) -> list[str]:
    removed = case.decision.items_removed
    bought = evidence.purchases_of_removed_items(case)
    clauses = [
        f"without {format_item(case.account, key)}, which {describe_purchase_event(case, purchase)}"
        for key, purchase in bought
    ]
    named = {key for key, _ in bought}
    rest = [key for key in removed if key not in named]
    return [*clauses, *([f"without {format_items(case.account, rest)}, no longer relevant"] if rest else [])]


def _consent_clauses(case: DecisionCase) -> list[str]:
    if not case.is_marketing:
        return ["it is no marketing, which needs no consent"]
    grant = evidence.find_grant(case)
    if grant is not None:
        return [f"last said yes to {consent_subject(grant)} {describe_consent_source(case, grant)}"]
    return [str(check["detail"]) for check in case.decision.checks if check.get("name") == "consent"]


def _cap_clauses(case: DecisionCase) -> list[str]:
    if not case.is_marketing or case.decision.channel == "ads":
        return []
    used = [describe_cap_usage(usage, additional=1) for usage in evidence.cap_usages(case)]
    return [f"it was {join_words(used)}"] if used else []


def _deferral_clause(case: DecisionCase) -> str:
    until = case.decision.until
    clause = f"; put off until {format_instant(until, case.zone)}" if until else ""
    later = evidence.later_decision(case)
    if later is None:
        return clause
    at = format_near(later.at, until or case.at, case.zone)
    if later.verdict == "allow":
        return f"{clause}, and allowed {at}"
    outcome = "put off again" if later.verdict == "defer" else "withheld"
    return f"{clause}, and {outcome} {at} ({reason_label(later)})"


def _message_status(case: DecisionCase) -> str:
    """Return the message's status if it results from this decision, the last about it; else an empty text."""
    return case.message.status if case.message and evidence.later_decision(case) is None else ""


def _release_reason(case: DecisionCase) -> str:
    """Return why the message was given back after this decision; empty if it was not."""
    message = case.message
    return (message.reason or "error") if message and _message_status(case) == "released" else ""
