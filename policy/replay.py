"""What a decision stood on, kept so that it can be made again: its basis, and the version of the policy."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from policy.config.codec import decode_value, encode_value
from policy.facts import Facts, Plan
from policy.gate import decide
from policy.limits import Limits
from policy.verdict import Verdict

_VERSION_LENGTH = 12


def limits_to_json(limits: Limits) -> dict[str, Any]:
    """Every value in force, defaults included: a default that later code changes is not changed here."""
    encoded: dict[str, Any] = encode_value(limits, full=True)
    return encoded


def limits_from_json(raw: Mapping[str, Any]) -> Limits:
    """The limits that ``limits_as_json`` wrote. Raises ValueError for anything else."""
    return decode_value(Limits, raw)


def policy_version(limits: Limits) -> str:
    """Names these limits: 12 hex digits, the same wherever and however the same values were set."""
    canonical = json.dumps(limits_to_json(limits), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:_VERSION_LENGTH]


def decision_inputs(plan: Plan, facts: Facts, at: datetime) -> dict[str, Any]:
    """All that ``decide`` is given besides the limits, as compact JSON: no address, no name."""
    return {"plan": encode_value(plan), "facts": encode_value(facts), "at": encode_value(at)}


def redecide(basis: Mapping[str, Any], limits: Limits) -> Verdict:
    """Decide once more on what a decision stood on, by the gate of this code.

    Raises ValueError where the basis is not one, or names what this code does not know.
    """
    try:
        plan, facts = decode_value(Plan, basis["plan"]), decode_value(Facts, basis["facts"])
        at = datetime.fromisoformat(basis["at"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"expected a basis of plan, facts and at, got {', '.join(basis)}") from error
    return decide(plan, facts, limits, at)
