"""The result of one check of the gate: passed, denied or deferred, and the results for errors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import CheckRecord, Defer, Reason, Verdict, Withhold

ERROR_RETRY_DELAY = timedelta(minutes=1)
"""How long a message is deferred after an error in the gate."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. Created by ``passed``, ``denied`` or ``deferred``."""

    detail: str
    """In words, with the values that the check used; no address, no name."""
    reason: Reason | None = None
    """None: the check passed."""
    until: datetime | None = None
    """Set where the check defers; None with a reason: denied."""
    kept: tuple[str, ...] = ()
    """Keys of the remaining items; set by ``has_items_left``."""
    removed: tuple[str, ...] = ()
    """Keys of the removed items; set by ``has_items_left``."""


CheckFunction = Callable[[Plan, Facts, Limits, datetime], CheckResult]
"""A check: pure, and independent of the other checks, so that all of them can be recorded."""


@lru_cache(maxsize=1024)
def passed(detail: str) -> CheckResult:
    """Return the result of a check that the message passes."""
    return CheckResult(detail)


def denied(reason: Reason, detail: str) -> CheckResult:
    """Return a denial: the message is never sent under this send key on this channel."""
    return CheckResult(detail, reason)


def deferred(reason: Reason, until: datetime, detail: str) -> CheckResult:
    """Return a deferral: the message is not sent before ``until`` (UTC)."""
    return CheckResult(detail, reason, until)


def error_result(expires_at: datetime, at: datetime, detail: str) -> CheckResult:
    """Defer for ``ERROR_RETRY_DELAY``; deny from the expiry on, and where the instants cannot be compared."""
    try:
        if at < expires_at:
            return deferred(Reason.ERROR, min(at + ERROR_RETRY_DELAY, expires_at), detail)
    except (TypeError, OverflowError):
        return denied(Reason.ERROR, detail)
    return denied(Reason.ERROR, f"{detail}; the message has expired")


def error_verdict(expires_at: datetime, at: datetime, error: Exception) -> Verdict:
    """Return the verdict where the facts cannot be read, e.g. for a stored value unknown to this version."""
    # The error's message may quote personal data, so only its type is recorded.
    result = error_result(expires_at, at, f"the facts cannot be read ({type(error).__name__})")
    checks = (CheckRecord("facts", passed=False, detail=result.detail),)
    if result.until is None:
        return Withhold(Reason.ERROR, result.detail, checks=checks)
    return Defer(Reason.ERROR, result.until, result.detail, checks=checks)
