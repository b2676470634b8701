"""Decides whether a planned message may be sent now: every check, and the first failure is the verdict."""

from datetime import datetime
from functools import lru_cache

from policy.checks.eligibility import address_works, class_fits, consented, not_erased, not_opted_out
from policy.checks.exclusions import not_held_out, nothing_holds
from policy.checks.frequency_caps import under_caps, yields_to_nobody
from policy.checks.operations import not_switched_off, provider_takes_it
from policy.checks.quiet_hours import in_open_hours
from policy.checks.relevance import items_left, not_expired, run_is_live, says_something_new
from policy.checks.result import CheckFunction, Finding, undecided
from policy.facts import Facts, Plan
from policy.limits import Limits
from policy.verdict import Allow, Check, Defer, Verdict, Withhold

CHECKS: tuple[tuple[str, CheckFunction], ...] = (
    ("kill_switch", not_switched_off),
    ("erased", not_erased),
    ("class", class_fits),
    ("address", address_works),
    ("opt_out", not_opted_out),
    ("consent", consented),
    ("run", run_is_live),
    ("expiry", not_expired),
    ("items", items_left),
    ("holdout", not_held_out),
    ("duplicate", says_something_new),
    ("caps", under_caps),
    ("priority", yields_to_nobody),
    ("hold", nothing_holds),
    ("quiet_hours", in_open_hours),
    ("provider", provider_takes_it),
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
    findings = {name: _evaluate(check, plan, facts, limits, at) for name, check in CHECKS}
    checks = tuple(
        [_check(name, finding.reason is None, finding.detail) for name, finding in findings.items()]
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
_check = lru_cache(maxsize=1024)(Check)


def _evaluate(check: CheckFunction, plan: Plan, facts: Facts, limits: Limits, at: datetime) -> Finding:
    try:
        return check(plan, facts, limits, at)
    except Exception as error:
        # The message of the error may quote what a person typed, so only its kind is recorded.
        said = f"not computable ({type(error).__name__}): expected instants with an offset and an IANA zone"
        return undecided(plan.expires_at, at, said)
