"""Decides whether a planned message may be sent now: every check, and the first failure is the verdict."""

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
"""Legal denials before business ones, denials before what only defers."""


def decide(plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Verdict:
    """Allow, withhold or defer one message on one snapshot of facts, at the run's now.

    Pure: the same arguments give the same verdict. ``at`` and every instant in the arguments carry an
    offset. All checks are evaluated and recorded in ``checks``, in order; the first one that does not
    pass gives the verdict and its reason, and ``removed`` names the items taken out in any case.

    Never raises and fails closed: where a check cannot be computed on what it was given (a zone that does
    not exist) the message is deferred with the reason ``error`` until it expires; where not even that can be
    told (an instant without an offset) it is withheld.
    """
    findings = {name: _run_check(check, plan, facts, limits, at) for name, check in CHECKS}
    checks = tuple(
        [_cached_check(name, finding.reason is None, finding.detail) for name, finding in findings.items()]
    )
    items = findings["items"]
    for finding in findings.values():
        if finding.reason is None:
            continue
        if finding.until is not None:
            return Defer(finding.reason, finding.until, finding.detail, items.removed, checks)
        return Withhold(finding.reason, finding.detail, items.removed, checks)
    return Allow(items.kept, items.removed, checks)


# Most checks pass in the same few words.
_cached_check = lru_cache(maxsize=1024)(CheckRecord)


def _run_check(check: CheckFunction, plan: Plan, facts: Facts, limits: Limits, at: datetime) -> CheckResult:
    try:
        return check(plan, facts, limits, at)
    except Exception as error:
        # The message of the error may quote what a person typed, so only its kind is recorded.
        said = f"not computable ({type(error).__name__}): expected instants with an offset and an IANA zone"
        return error_result(plan.expires_at, at, said)
