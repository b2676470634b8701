"""What became of people's identities, written down for good: who joined whom, who did not, and why."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.sql import encode
from profiles.identity.component import Component
from profiles.identity.graph import Graph, Step, explain
from profiles.identity.identifiers import digest
from profiles.merging.assignment import Placement

_WRITE = """
INSERT INTO identity_log (at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail)
SELECT at, kind, profile_id, other_profile_id, key, other_key, cause, actor, detail
FROM jsonb_populate_recordset(NULL::identity_log, $1)
"""

Row = dict[str, Any]


async def journal(
    connection: Any,
    found: Component,
    graph: Graph,
    placement: Placement,
    cause: "Cause",
    news: Collection[tuple[str, bool]] = (),
) -> None:
    """Add what is news to the log: keys joined or demoted, keys that are nobody's, people."""
    common: Row = {"at": cause.at, "actor": cause.actor, "detail": cause.reason, "cause": None}
    blank: Row = dict.fromkeys(("profile_id", "other_profile_id", "key", "other_key"))
    rows = [{**blank, **common, **row} for row in _news(found, graph, placement, news)]
    if rows:
        await connection.execute(_WRITE, encode(rows))


def _news(
    found: Component, graph: Graph, placement: Placement, links: Collection[tuple[str, bool]]
) -> Iterable[Row]:
    whole = placement.whole()
    for key in sorted(graph.quarantined):
        if found.known[key].status != "quarantined":
            yield {"kind": "quarantined", "profile_id": found.known[key].profile_id, "key": key}
    for step in graph.steps:
        if (row := _step(found, placement, step, links)) is not None:
            yield row
    for was, now in whole.items():
        yield {"kind": "merged", "profile_id": now, "other_profile_id": was}
    for was in placement.parted():
        for now in placement.moved[was]:
            if now != was:
                yield {"kind": "split", "profile_id": was, "other_profile_id": now}


def _step(
    found: Component, placement: Placement, step: Step, links: Collection[tuple[str, bool]]
) -> Row | None:
    """A step of the resolution, where it says something that was not so before."""
    one, other = (placement.profile_of[key] for key in (step.one, step.other))
    was = (found.known[step.one].profile_id, found.known[step.other].profile_id)
    kind = "joined" if step.joined else "demoted"
    together, new = was[0] == was[1], (digest(step.link.keys), step.link.verified) in links
    if together if step.joined else not (together or new):
        return None
    row: Row = {"kind": kind, "profile_id": one, "key": step.one, "other_key": step.other}
    row["other_profile_id"] = None if step.joined else other
    row["cause"] = step.link.event_id
    if not step.joined:
        row["detail"] = explain(step)
    return row


def entry(kind: str, at: Any, *, actor: str, detail: str, profile_id: UUID | None, **keys: str) -> Row:
    """A row that an operator's deed leaves."""
    blank: Row = dict.fromkeys(("other_profile_id", "key", "other_key", "cause"))
    return {
        **blank,
        "kind": kind,
        "at": at,
        "actor": actor,
        "detail": detail,
        "profile_id": profile_id,
        **keys,
    }


async def write(connection: Any, rows: list[Row]) -> None:
    """Add rows to the log."""
    await connection.execute(_WRITE, encode(rows))


@dataclass(frozen=True, slots=True)
class Cause:
    """Why people are settled anew."""

    at: datetime
    actor: str | None = None
    """An operator; None: an event."""
    reason: str = ""
