"""The send gate: runs all checks on a planned message; the first that does not pass gives the verdict."""

from datetime import datetime
from functools import lru_cache

from policy.checks.eligibility import (
    address_usable,
    has_consent,
    message_class_valid,
    not_erased,
    not_opted_out,
)
from policy.checks.exclusions import no_open_hold, not_held_out
from policy.checks.frequency_caps import has_priority, under_caps
from policy.checks.operations import no_kill_switch, provider_available
from policy.checks.quiet_hours import outside_quiet_hours
from policy.checks.relevance import has_items_left, is_not_duplicate, not_expired, run_is_active
from policy.checks.result import CheckFunction, CheckResult, error_result
from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import Allow, CheckRecord, Defer, Verdict, Withhold

CHECKS: tuple[tuple[str, CheckFunction], ...] = (
    ("kill_switch", no_kill_switch),
    ("erased", not_erased),
    ("class", message_class_valid),
    ("address", address_usable),
    ("opt_out", not_opted_out),
    ("consent", has_consent),
    ("run", run_is_active),
    ("expiry", not_expired),
    ("items", has_items_left),
    ("holdout", not_held_out),
    ("duplicate", is_not_duplicate),
    ("caps", under_caps),
    ("priority", has_priority),
    ("hold", no_open_hold),
    ("quiet_hours", outside_quiet_hours),
    ("provider", provider_available),
)
"""All checks in order: legal denials, then business denials, then checks that only defer."""


# Most checks pass with one of a few details, so the records are shared.
_cached_check = lru_cache(maxsize=1024)(CheckRecord)


def decide(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Verdict:
    """Allow, withhold or defer one message on one snapshot of facts, at the run's current time.

    Pure. Every instant carries an offset. All checks run and are recorded in ``checks``, in order. The first
    that does not pass gives the verdict and its reason. ``removed`` names the removed items in any case.

    Never raises, and fails closed: a check that raises defers the message with the reason ``error`` until it
    expires, or withholds it where the expiry cannot be compared.
    """
    results = {name: _run_check(check, plan, facts, limits, at) for name, check in CHECKS}
    checks = tuple(
        [_cached_check(name, result.reason is None, result.detail) for name, result in results.items()]
    )
    items = results["items"]
    for result in results.values():
        if result.reason is None:
            continue
        if result.until is not None:
            return Defer(result.reason, result.until, result.detail, items.removed, checks)
        return Withhold(result.reason, result.detail, items.removed, checks)
    return Allow(items.kept, items.removed, checks)


def _run_check(check: CheckFunction, plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    try:
        return check(plan, facts, limits, at)
    except Exception as error:
        # The error's message may quote personal data, so only its type is recorded.
        detail = f"not computable ({type(error).__name__}): expected instants with an offset and an IANA zone"
        return error_result(plan.expires_at, at, detail)
