"""What was sent, decided and run, newest first, page by page."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

from profiles.people import RUN_COLUMNS, RunView

Row = TypeVar("Row")


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
    """The event of a purchase of what it promotes that came in too late to hold it back."""


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One verdict of the gate, with every check it made."""

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
    """Version of the policy it was made by."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and where the next ones begin."""

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: the next page begins below it."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        plain = f"{self.at.isoformat()}|{self.id}"
        return base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """The cursor that ``str`` wrote. Raises ValueError for anything else."""
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
            at, _, row_id = plain.partition("|")
            time = datetime.fromisoformat(at)
            if time.tzinfo is None:
                raise ValueError("no offset")
            return cls(time, UUID(row_id))
        except (binascii.Error, ValueError):
            raise ValueError("not a cursor; send next_cursor of the page before, as it came") from None


_MESSAGES = """
SELECT message_id, journey, run_id, step, channel, template, message_class, items, status, reason, provider,
       decided_at, sent_at, overtaken_by
FROM message WHERE {whose} = $1 AND ($2::timestamptz IS NULL OR (decided_at, message_id) < ($2, $3::uuid))
ORDER BY decided_at DESC, message_id DESC LIMIT $4
"""

_DECISIONS = """
SELECT decision_id, message_id, verdict, reason, detail, checks::text AS checks, items, items_removed,
       journey, run_id, step, channel, template, until, at, policy
FROM decision WHERE {whose} = $1 AND ($2::timestamptz IS NULL OR (at, decision_id) < ($2, $3::uuid))
ORDER BY at DESC, decision_id DESC LIMIT $4
"""

_RUNS = f"""
SELECT {RUN_COLUMNS} FROM run
WHERE ($1::uuid IS NULL OR profile_id = $1) AND ($5::text IS NULL OR journey = $5)
  AND ($6::text IS NULL OR state = $6) AND ($2::timestamptz IS NULL OR (entered_at, run_id) < ($2, $3::uuid))
ORDER BY entered_at DESC, run_id DESC LIMIT $4
"""  # noqa: S608 - constant names


async def messages(
    connection: Any,
    *,
    profile_id: UUID | None = None,
    run_id: UUID | None = None,
    limit: int,
    after: Cursor | None = None,
) -> Page[MessageView]:
    """Messages of one person or of one run."""
    whose = "profile_id" if profile_id else "run_id"
    rows = await connection.fetch(
        _MESSAGES.format(whose=whose), profile_id or run_id, *_from(after), limit + 1
    )
    return _page([MessageView(**row) for row in rows], limit, "decided_at", "message_id")


async def decisions(
    connection: Any,
    *,
    profile_id: UUID | None = None,
    run_id: UUID | None = None,
    limit: int,
    after: Cursor | None = None,
) -> Page[DecisionView]:
    """Verdicts about one person or in one run."""
    whose = "profile_id" if profile_id else "run_id"
    rows = await connection.fetch(
        _DECISIONS.format(whose=whose), profile_id or run_id, *_from(after), limit + 1
    )
    views = [DecisionView(**{**row, "checks": orjson.loads(row["checks"])}) for row in rows]
    return _page(views, limit, "at", "decision_id")


async def runs(
    connection: Any,
    *,
    profile_id: UUID | None = None,
    journey: str | None = None,
    state: str | None = None,
    limit: int,
    after: Cursor | None = None,
) -> Page[RunView]:
    """Runs, of a person, of a journey, in a state; each None leaves that open."""
    rows = await connection.fetch(_RUNS, profile_id, *_from(after), limit + 1, journey, state)
    return _page([RunView(**row) for row in rows], limit, "entered_at", "run_id")


async def run(connection: Any, run_id: UUID) -> RunView | None:
    """One run by our own id."""
    row = await connection.fetchrow(f"SELECT {RUN_COLUMNS} FROM run WHERE run_id = $1", run_id)  # noqa: S608
    return None if row is None else RunView(**row)


def _from(after: Cursor | None) -> tuple[datetime | None, UUID | None]:
    return (after.at, after.id) if after else (None, None)


def _page(rows: list[Row], limit: int, at: str, row_id: str) -> Page[Row]:
    """One row more than asked for was read: it tells whether there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], str(Cursor(getattr(last, at), getattr(last, row_id))))
