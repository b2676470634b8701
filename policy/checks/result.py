"""What one check of the gate found: it passed, it denies, or it defers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import CheckRecord, Defer, Reason, Verdict, Withhold


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. Make one with ``passed``, ``denied`` or ``deferred``."""

    detail: str
    """In words, with the values it stood on; no address, no name."""
    reason: Reason | None = None
    """None: the check passed."""
    until: datetime | None = None
    """Set where the check defers; None with a reason is a denial."""
    kept: tuple[str, ...] = ()
    """Keys of the items left, from the check that shrinks them."""
    removed: tuple[str, ...] = ()
    """Keys of the items taken out, from the check that shrinks them."""


CheckFunction = Callable[[Plan, Facts, Limits, datetime], CheckResult]
"""A check: pure, and complete in itself, so that every one can be recorded whatever the others say."""


@lru_cache(maxsize=1024)
def passed(detail: str) -> CheckResult:
    """The check has nothing against the message."""
    return CheckResult(detail)


def denied(reason: Reason, detail: str) -> CheckResult:
    """The message must not go, ever, under this send key on this channel."""
    return CheckResult(detail, reason)


def deferred(reason: Reason, until: datetime, detail: str) -> CheckResult:
    """The message must not go before ``until`` (an instant in UTC)."""
    return CheckResult(detail, reason, until)


ERROR_RETRY_DELAY = timedelta(minutes=1)


def error_result(expires_at: datetime, at: datetime, detail: str) -> CheckResult:
    """Defer for a minute, at most until the expiry; deny from then on, and where that cannot be told."""
    try:
        if at < expires_at:
            return deferred(Reason.ERROR, min(at + ERROR_RETRY_DELAY, expires_at), detail)
    except (TypeError, OverflowError):
        return denied(Reason.ERROR, detail)
    return denied(Reason.ERROR, f"{detail}; the message has expired")


def error_verdict(expires_at: datetime, at: datetime, error: Exception) -> Verdict:
    """The verdict where what is on file cannot be read, such as a word this version does not know."""
    # The message of the error may quote what a person typed, so only its kind is recorded.
    found = error_result(expires_at, at, f"the facts cannot be read ({type(error).__name__})")
    checks = (CheckRecord("facts", passed=False, detail=found.detail),)
    if found.until is None:
        return Withhold(Reason.ERROR, found.detail, checks=checks)
    return Defer(Reason.ERROR, found.until, found.detail, checks=checks)
