"""Repeats recorded decisions: encodes their inputs (the basis) and the limits, and decides again on them."""

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
    """Encode all values in force. Defaults are included, so a later change of a default has no effect."""
    encoded: dict[str, Any] = encode_value(limits, full=True)
    return encoded


def limits_from_json(raw: Mapping[str, Any]) -> Limits:
    """Decode limits that ``limits_to_json`` encoded. Raises ValueError for anything else."""
    return decode_value(Limits, raw)


def policy_version(limits: Limits) -> str:
    """Return a hash of the limits: 12 hex digits, which depend only on the values."""
    canonical = json.dumps(limits_to_json(limits), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:_VERSION_LENGTH]


def decision_inputs(plan: Plan, facts: Facts, at: datetime) -> dict[str, Any]:
    """Encode the arguments of ``decide`` except the limits, as compact JSON without address and name."""
    return {"plan": encode_value(plan), "facts": encode_value(facts), "at": encode_value(at)}


def redecide(basis: Mapping[str, Any], limits: Limits) -> Verdict:
    """Decide again on recorded inputs with the current code. Raises ValueError where it cannot read them."""
    try:
        plan, facts = decode_value(Plan, basis["plan"]), decode_value(Facts, basis["facts"])
        at = datetime.fromisoformat(basis["at"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"expected a basis of plan, facts and at, got {', '.join(basis)}") from error
    return decide(plan, facts, limits, at)
