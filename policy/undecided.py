"""Decides what becomes of a message that nobody can decide on: not now, and asked again until it expires."""

from datetime import datetime, timedelta

from policy.finding import Finding, deferred, denied
from policy.verdict import Check, Defer, Reason, Verdict, Withhold

ASK_AGAIN = timedelta(minutes=1)


def undecided(expires_at: datetime, at: datetime, detail: str) -> Finding:
    """Defer for a minute, at most until the expiry; deny from then on, and where that cannot be told."""
    try:
        if at < expires_at:
            return deferred(Reason.ERROR, min(at + ASK_AGAIN, expires_at), detail)
    except (TypeError, OverflowError):
        return denied(Reason.ERROR, detail)
    return denied(Reason.ERROR, f"{detail}; the message has expired")


def unreadable(expires_at: datetime, at: datetime, error: Exception) -> Verdict:
    """The verdict where what is on file cannot be read, such as a word this version does not know."""
    # The message of the error may quote what a person typed, so only its kind is recorded.
    found = undecided(expires_at, at, f"the facts cannot be read ({type(error).__name__})")
    checks = (Check("facts", passed=False, detail=found.detail),)
    if found.until is None:
        return Withhold(Reason.ERROR, found.detail, checks=checks)
    return Defer(Reason.ERROR, found.until, found.detail, checks=checks)
