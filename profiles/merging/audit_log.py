"""The audit log of identities: keys joined, refused and quarantined, profiles merged and split, and why."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from profiles.db.sql import encode_jsonb
from profiles.identity.component import Component
from profiles.identity.graph import BY_PAGE, IdentityGraph, ResolutionStep, explain_step
from profiles.identity.identifiers import keys_digest
from profiles.merging.assignment import ProfileAssignment

_INSERT_LOG = """
INSERT INTO identity_log (at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail)
SELECT at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail
FROM jsonb_populate_recordset(NULL::identity_log, $1)
"""

LogRow = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditContext:
    """Why profiles are merged or split."""

    at: datetime
    actor: str | None = None
    """The operator; None for an event."""
    reason: str = ""
    """The operator's reason."""


async def write_audit_log(
    connection: Any,
    component: Component,
    graph: IdentityGraph,
    assignment: ProfileAssignment,
    context: AuditContext,
    new_links: Collection[tuple[str, bool]] = (),
) -> None:
    """Log the changes of an assignment. ``new_links``: (digest, verified) of links that are added now."""
    rows = list(_change_rows(component, graph, assignment, new_links))
    if rows:
        await insert_log_rows(connection, context, *rows)


async def insert_log_rows(connection: Any, context: AuditContext, *rows: LogRow) -> None:
    """Add rows to the log. A row's own ``detail`` replaces the operator's reason."""
    common: LogRow = {"at": context.at, "actor": context.actor, "detail": context.reason}
    await connection.execute(_INSERT_LOG, encode_jsonb([common | row for row in rows]))


def _change_rows(
    component: Component,
    graph: IdentityGraph,
    assignment: ProfileAssignment,
    new_links: Collection[tuple[str, bool]],
) -> Iterable[LogRow]:
    for key in sorted(graph.quarantined):
        if component.identifiers[key].status != "quarantined":
            yield {"kind": "quarantined", "profile_id": component.identifiers[key].profile_id, "key": key}
    for step in graph.steps:
        if (row := _step_row(component, assignment, step, new_links)) is not None:
            yield row
    for old_id, new_id in assignment.merged().items():
        yield {"kind": "merged", "profile_id": new_id, "other_profile_id": old_id}
    for old_id in assignment.split():
        for new_id in assignment.new_profiles_by_old[old_id]:
            if new_id != old_id:
                yield {"kind": "split", "profile_id": old_id, "other_profile_id": new_id}


def _step_row(
    component: Component,
    assignment: ProfileAssignment,
    step: ResolutionStep,
    new_links: Collection[tuple[str, bool]],
) -> LogRow | None:
    """Return the row of a resolution step; None if the step changes nothing."""
    profile_a, profile_b = (assignment.profile_by_key[key] for key in (step.target_key, step.candidate_key))
    rows = component.identifiers
    together = rows[step.target_key].profile_id == rows[step.candidate_key].profile_id
    is_new = (keys_digest(step.link.keys), step.link.verified) in new_links
    if together if step.joined else not (together or is_new):
        return None
    row: LogRow = {"profile_id": profile_a, "key": step.target_key, "other_key": step.candidate_key}
    row["cause"] = step.link.event_id
    if step.joined:
        return row | {"kind": "joined"} | ({"detail": explain_step(step)} if step.detail == BY_PAGE else {})
    return row | {"kind": "demoted", "other_profile_id": profile_b, "detail": explain_step(step)}
