"""A person's ledger of consents for reading: every word, with the evidence that came with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.history import Cursor, Page


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One word as it was said; nothing of it ever changes."""

    entry_id: int
    channel: str
    topic: str
    state: str
    """granted or withdrawn; what stands by now is in the profile."""
    source: str
    text_version: str | None
    method: str | None
    jurisdiction: str | None
    verified: bool
    said_by: str | None
    """The identifier under which it was said, as type:value; None: all of the person's."""
    event_id: UUID | None
    reviews: int | None
    """The entry on which an operator passes judgement by this one."""
    time: datetime
    """When it was said."""
    at: datetime
    """When it was taken in."""


class OtherList(ValueError):
    """A cursor that another list has made."""


_ENTRIES = """
SELECT seq AS entry_id, channel, topic, state, source, text_version, method, jurisdiction, verified,
  voice AS said_by, event_id, reviews, time, at
FROM consent WHERE profile_id = $1 AND ($2::timestamptz IS NULL OR (at, seq) < ($2, $3::bigint))
ORDER BY at DESC, seq DESC LIMIT $4
"""


async def entries(
    connection: Any, profile_id: UUID, *, limit: int, after: Cursor | None = None
) -> Page[ConsentEntry]:
    """What a person has said, the newest first."""
    at, seq = place(after)
    rows = [ConsentEntry(**row) for row in await connection.fetch(_ENTRIES, profile_id, at, seq, limit + 1)]
    return cut(rows, limit)


def place(after: Cursor | None) -> tuple[datetime | None, int | None]:
    """Where a page of entries begins. Raises ``OtherList`` for a cursor of another list."""
    if after is None:
        return None, None
    if after.id.int >= 2**63:
        raise OtherList("not a cursor of this list; send next_cursor of the page before, as it came")
    return after.at, after.id.int


def cut(rows: list[Any], limit: int) -> Page[Any]:
    """One row more than asked for was read: it tells whether there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], str(Cursor(last.at, UUID(int=last.entry_id))))
