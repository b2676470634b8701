"""What became of people's identities, written down for good: who joined whom, who did not, and why."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.sql import encode_jsonb
from profiles.identity.component import Component
from profiles.identity.graph import IdentityGraph, ResolutionStep, explain_step
from profiles.identity.identifiers import keys_digest
from profiles.merging.assignment import ProfileAssignment

_INSERT_LOG = """
INSERT INTO identity_log (at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail)
SELECT at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail
FROM jsonb_populate_recordset(NULL::identity_log, $1)
"""

LogRow = dict[str, Any]


async def write_audit_log(
    connection: Any,
    component: Component,
    graph: IdentityGraph,
    assignment: ProfileAssignment,
    context: "AuditContext",
    new_links: Collection[tuple[str, bool]] = (),
) -> None:
    """Add what is news to the log: keys joined or demoted, keys that are nobody's, people."""
    common: LogRow = {"at": context.at, "actor": context.actor, "detail": context.reason, "cause": None}
    blank: LogRow = dict.fromkeys(("profile_id", "other_profile_id", "key", "other_key"))
    rows = [{**blank, **common, **row} for row in _change_rows(component, graph, assignment, new_links)]
    if rows:
        await connection.execute(_INSERT_LOG, encode_jsonb(rows))


def _change_rows(
    found: Component, graph: IdentityGraph, placement: ProfileAssignment, links: Collection[tuple[str, bool]]
) -> Iterable[LogRow]:
    whole = placement.merged()
    for key in sorted(graph.quarantined):
        if found.identifiers[key].status != "quarantined":
            yield {"kind": "quarantined", "profile_id": found.identifiers[key].profile_id, "key": key}
    for step in graph.steps:
        if (row := _step_row(found, placement, step, links)) is not None:
            yield row
    for was, now in whole.items():
        yield {"kind": "merged", "profile_id": now, "other_profile_id": was}
    for was in placement.split():
        for now in placement.new_profiles_by_old[was]:
            if now != was:
                yield {"kind": "split", "profile_id": was, "other_profile_id": now}


def _step_row(
    found: Component, placement: ProfileAssignment, step: ResolutionStep, links: Collection[tuple[str, bool]]
) -> LogRow | None:
    """A step of the resolution, where it says something that was not so before."""
    one, other = (placement.profile_by_key[key] for key in (step.target_key, step.candidate_key))
    was = (found.identifiers[step.target_key].profile_id, found.identifiers[step.candidate_key].profile_id)
    kind = "joined" if step.joined else "demoted"
    together, new = was[0] == was[1], (keys_digest(step.link.keys), step.link.verified) in links
    if together if step.joined else not (together or new):
        return None
    row: LogRow = {"kind": kind, "profile_id": one, "key": step.target_key, "other_key": step.candidate_key}
    row["other_profile_id"] = None if step.joined else other
    row["cause"] = step.link.event_id
    if not step.joined:
        row["detail"] = explain_step(step)
    return row


def operator_entry(
    kind: str, at: Any, *, actor: str, detail: str, profile_id: UUID | None, **keys: str
) -> LogRow:
    """A row that an operator's deed leaves."""
    blank: LogRow = dict.fromkeys(("other_profile_id", "key", "other_key", "cause"))
    return {
        **blank,
        "kind": kind,
        "at": at,
        "actor": actor,
        "detail": detail,
        "profile_id": profile_id,
        **keys,
    }


async def insert_log_rows(connection: Any, rows: list[LogRow]) -> None:
    """Add rows to the log."""
    await connection.execute(_INSERT_LOG, encode_jsonb(rows))


@dataclass(frozen=True, slots=True)
class AuditContext:
    """Why people are settled anew."""

    at: datetime
    actor: str | None = None
    """An operator; None: an event."""
    reason: str = ""
