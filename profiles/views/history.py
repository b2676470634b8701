"""Messages, decisions and runs, newest first, page by page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.db.pagination import Cursor, Page, cursor_parameters, to_page
from profiles.db.sql import fetch_as, from_row
from profiles.views.profile import RUN_COLUMNS, RunView


@dataclass(frozen=True, slots=True)
class MessageView:
    """One communication, planned or sent."""

    message_id: UUID
    journey: str
    run_id: UUID
    step: str
    channel: str
    template: str
    message_class: str
    items: list[str]
    status: str
    reason: str | None
    provider: str | None
    decided_at: datetime
    sent_at: datetime | None
    overtaken_by: UUID | None
    """Event of a purchase of a promoted item that arrived too late to withhold the message."""


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decision of the gate, with every check it made."""

    decision_id: UUID
    message_id: UUID
    verdict: str
    reason: str | None
    detail: str
    checks: list[dict[str, Any]]
    items: list[str]
    items_removed: list[str]
    journey: str
    run_id: UUID
    step: str
    channel: str
    template: str
    until: datetime | None
    at: datetime
    policy: str | None
    """Version of the policy behind the decision."""


_SELECT_MESSAGES = """
SELECT message_id, journey, run_id, step, channel, template, message_class, items, status, reason, provider,
       decided_at, sent_at, overtaken_by
FROM message WHERE {owner} = $1 AND ($2::timestamptz IS NULL OR (decided_at, message_id) < ($2, $3::uuid))
ORDER BY decided_at DESC, message_id DESC LIMIT $4
"""

DECISION_COLUMNS = (
    "decision_id, message_id, verdict, reason, detail, checks::text AS checks, items, items_removed, "
    "journey, run_id, step, channel, template, until, at, policy"
)

_SELECT_DECISIONS = f"""
SELECT {DECISION_COLUMNS}
FROM decision WHERE {{owner}} = $1 AND ($2::timestamptz IS NULL OR (at, decision_id) < ($2, $3::uuid))
ORDER BY at DESC, decision_id DESC LIMIT $4
"""  # noqa: S608 - constant names

_SELECT_RUNS = f"""
SELECT {RUN_COLUMNS} FROM run
WHERE ($1::uuid IS NULL OR profile_id = $1) AND ($5::text IS NULL OR journey = $5)
  AND ($6::text IS NULL OR state = $6) AND ($2::timestamptz IS NULL OR (entered_at, run_id) < ($2, $3::uuid))
ORDER BY entered_at DESC, run_id DESC LIMIT $4
"""  # noqa: S608 - constant names


async def list_messages(
    connection: Any,
    *,
    profile_id: UUID | None = None,
    run_id: UUID | None = None,
    limit: int,
    after: Cursor | None = None,
) -> Page[MessageView]:
    """Return messages of one profile or of one run."""
    query = _SELECT_MESSAGES.format(owner="profile_id" if profile_id else "run_id")
    ends = (profile_id or run_id, *cursor_parameters(after), limit + 1)
    return to_page(await fetch_as(connection, MessageView, query, *ends), limit, "decided_at", "message_id")


async def list_decisions(
    connection: Any,
    *,
    profile_id: UUID | None = None,
    run_id: UUID | None = None,
    limit: int,
    after: Cursor | None = None,
) -> Page[DecisionView]:
    """Return decisions about one profile or in one run."""
    query = _SELECT_DECISIONS.format(owner="profile_id" if profile_id else "run_id")
    rows = await connection.fetch(query, profile_id or run_id, *cursor_parameters(after), limit + 1)
    return to_page([to_decision_view(row) for row in rows], limit, "at", "decision_id")


def to_decision_view(row: Any) -> DecisionView:
    """Convert a row with ``DECISION_COLUMNS``."""
    return from_row(DecisionView, row, checks=orjson.loads(row["checks"]))


async def list_runs(
    connection: Any,
    *,
    profile_id: UUID | None = None,
    journey: str | None = None,
    state: str | None = None,
    limit: int,
    after: Cursor | None = None,
) -> Page[RunView]:
    """Return runs, filtered by profile, journey and state; None does not filter."""
    ends = (profile_id, *cursor_parameters(after), limit + 1)
    runs = await fetch_as(connection, RunView, _SELECT_RUNS, *ends, journey, state)
    return to_page(runs, limit, "entered_at", "run_id")


async def load_run(connection: Any, run_id: UUID) -> RunView | None:
    """Return one run by Waypost's own id."""
    query = f"SELECT {RUN_COLUMNS} FROM run WHERE run_id = $1"  # noqa: S608 - constant names
    return next(iter(await fetch_as(connection, RunView, query, run_id)), None)
