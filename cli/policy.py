"""``waypost policy check`` and ``show``: the faults of a policy file, and the policy in force."""

from dataclasses import asdict
from pathlib import Path

from rich.table import Column, Table

from cli.tables import render_text, to_json
from policy.config.policy_file import Policy, PolicyFaults, settings_of
from policy.config.settings import PolicySettings, load_policy_file
from policy.replay import policy_version


def check_policy_file(file: Path | None, *, as_json: bool) -> tuple[str, bool]:
    """Check a policy file, by default that of WAYPOST_POLICY; returns the report and whether it is valid."""
    try:
        policy = PolicySettings().policy if file is None else load_policy_file(str(file))
    except PolicyFaults as refused:
        if as_json:
            faults = [asdict(fault) for fault in refused.faults]
            return to_json({"file": refused.name, "ok": False, "faults": faults}), False
        return _format_faults(refused), False
    version = policy_version(policy.limits)
    if as_json:
        return to_json({"file": policy.name or None, "ok": True, "version": version, "faults": []}), True
    return f"{_policy_label(policy)} can be used: policy {version}.", True


def format_policy(policy: Policy, *, as_json: bool) -> str:
    """Return the policy in force as TOML with the origin of each value, or as JSON."""
    version, settings = policy_version(policy.limits), settings_of(policy)
    if as_json:
        values = {each.path: {"value": each.value, "set_by": each.set_by} for each in settings}
        return to_json({"file": policy.name or None, "version": version, "values": values})
    lines = [f"# Policy {version}: {_policy_label(policy)}"]
    width = min(max(len(str(each)) for each in settings), 60)
    lines += [f"{each!s:<{width}}  # {each.set_by}" for each in settings]
    return "\n".join(lines)


def _policy_label(policy: Policy) -> str:
    return policy.name or "the defaults, no file (WAYPOST_POLICY is not set)"


def _format_faults(refused: PolicyFaults) -> str:
    count = len(refused.faults)
    table = Table(Column("line", justify="right", no_wrap=True), Column("what is wrong", overflow="fold"))
    for fault in refused.faults:
        table.add_row(str(fault.line), fault.words)
    return f"{refused.name}: {count} fault{'s' if count > 1 else ''}\n{render_text(table)}".rstrip("\n")
