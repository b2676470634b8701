"""``waypost decisions replay``: repeat recorded decisions and compare the results."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cli.database import open_database
from cli.tables import build_table, render_text
from policy.limits import Limits
from policy.replay import limits_from_json, redecide
from policy.verdict import Allow, Defer, Verdict
from profiles.messaging.policy_versions import RecordedDecision, iterate_decisions, load_policy_version


@dataclass(frozen=True, slots=True)
class VerdictSummary:
    """The parts of a verdict that are compared."""

    verdict: str
    reason: str | None = None
    until: datetime | None = None
    items_removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        until = f" until {self.until.isoformat()}" if self.until else ""
        without = f" without {', '.join(self.items_removed)}" if self.items_removed else ""
        return f"{self.verdict}{f' ({self.reason})' if self.reason else ''}{until}{without}"


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """A recorded decision that has another result now."""

    decision_id: UUID
    run_id: UUID
    journey: str
    step: str
    channel: str
    at: datetime
    policy: str | None
    recorded: VerdictSummary
    now: VerdictSummary
    detail: str


@dataclass(slots=True)
class DecisionReplayResult:
    """Result of a replay."""

    replayed: int = 0
    policies: Counter[str] = field(default_factory=Counter)
    """Policy version → number of replayed decisions."""
    without_basis: int = 0
    """Decisions of older code, which recorded no basis."""
    unknown_policies: Counter[str] = field(default_factory=Counter)
    """Policy version that is not stored → number of its decisions."""
    flipped: list[ChangedDecision] = field(default_factory=list)


async def replay_decisions(since: timedelta | None) -> DecisionReplayResult:
    """Repeat every decision, or those of the last ``since``, from its recorded basis.

    Reads only. Raises ``UserError``.
    """
    outcome = DecisionReplayResult()
    async with open_database() as database, database.transaction() as connection:
        known: dict[str, Limits | None] = {}
        async for recorded in iterate_decisions(connection, since):
            version = recorded.policy
            if recorded.basis is None or version is None:
                outcome.without_basis += 1
                continue
            if version not in known:
                stored = await load_policy_version(connection, version)
                known[version] = None if stored is None else limits_from_json(stored)
            if (limits := known[version]) is None:
                outcome.unknown_policies[version] += 1
                continue
            outcome.replayed += 1
            outcome.policies[version] += 1
            if change := _find_change(recorded, recorded.basis, limits):
                outcome.flipped.append(change)
    return outcome


def _find_change(recorded: RecordedDecision, basis: dict[str, Any], limits: Limits) -> ChangedDecision | None:
    then = VerdictSummary(recorded.verdict, recorded.reason, recorded.until, recorded.items_removed)
    try:
        verdict = redecide(basis, limits)
        now, detail = _summarise_verdict(verdict), "" if isinstance(verdict, Allow) else verdict.detail
    except ValueError as error:
        now, detail = VerdictSummary("unreadable"), str(error)
    if now == then:
        return None
    r = recorded
    where = (r.decision_id, r.run_id, r.journey, r.step, r.channel, r.at, r.policy)
    return ChangedDecision(*where, then, now, detail)


def _summarise_verdict(verdict: Verdict) -> VerdictSummary:
    match verdict:
        case Allow(removed=removed):
            return VerdictSummary("allow", None, None, removed)
        case Defer(reason=reason, until=until, removed=removed):
            return VerdictSummary("defer", reason.value, until, removed)
        case refused:
            return VerdictSummary("withhold", refused.reason.value, None, refused.removed)


def format_replay(outcome: DecisionReplayResult) -> str:
    """Return the result as a text with a table of the changed decisions."""
    made = f"{outcome.replayed:,} decisions replayed, by {len(outcome.policies)} version(s) of the policy"
    count = len(outcome.flipped)
    flipped = f"{count:,} differ{'s' if count == 1 else ''}." if outcome.flipped else "all as recorded."
    lines = [f"{made}: {flipped}"]
    if outcome.without_basis:
        lines.append(f"{outcome.without_basis:,} are older than the record of what they were based on.")
    for version, count in outcome.unknown_policies.items():
        lines.append(f"{count:,} name policy {version}, which no process has kept; they were not replayed.")
    if outcome.flipped:
        lines.append(_format_changed(outcome.flipped))
    return "\n".join(lines)


def _format_changed(flips: list[ChangedDecision]) -> str:
    rows = []
    for flip in flips:
        message = f"{flip.journey} {flip.step}, {flip.channel}"
        now = f"{flip.now}: {flip.detail}" if flip.detail else str(flip.now)
        rows.append((flip.decision_id, f"{flip.at:%Y-%m-%d %H:%M}", message, flip.recorded, now))
    table = build_table("", ("decision", "at", "message", "recorded", "now"), rows)
    return render_text(table).rstrip("\n")
