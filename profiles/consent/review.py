"""Review of doubtful replies by an operator, and the pages of a profile's ledger entries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.consent import effective
from profiles.consent.evidence import DOUBTFUL_METHOD, REVIEW_METHOD
from profiles.consent.replies import reply_text
from profiles.db.database import Database
from profiles.db.locks import lock_profiles
from profiles.db.pagination import Cursor, Page
from profiles.db.sql import fetch_as, from_row
from profiles.errors import NoChange, NotFound
from profiles.identity.identifiers import mask_identifier, split_key


@dataclass(frozen=True, slots=True)
class DoubtfulReply:
    """A reply that counts as an opt-out although it may have meant something else."""

    entry_id: int
    profile_id: UUID
    address: str
    """Masked in its middle."""
    text: str
    """As received; empty after its event was deleted."""
    done: str
    time: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class ReviewResult:
    """The ledger entry that a review added."""

    entry_id: int
    reviews: int
    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One declaration of the ledger. It never changes."""

    entry_id: int
    channel: str
    topic: str
    state: str
    """granted or withdrawn; the effective state is in the profile."""
    source: str
    text_version: str | None
    method: str | None
    jurisdiction: str | None
    verified: bool
    said_by: str | None
    """The identifier that declared it, as type:value; None: all of the profile's."""
    event_id: UUID | None
    reviews: int | None
    """The entry that an operator reviewed by this one."""
    time: datetime
    """When it was declared."""
    at: datetime
    """When Waypost stored it."""


class ForeignCursor(ValueError):
    """A cursor of another list."""


_SELECT_OPEN_REPLIES = f"""
SELECT c.seq AS entry_id, c.profile_id, c.channel, c.topic, c.voice, c.time, c.at,
  e.properties::text AS properties
FROM consent c LEFT JOIN event e USING (event_id)
WHERE c.method = '{DOUBTFUL_METHOD}' AND NOT EXISTS (SELECT 1 FROM consent r WHERE r.reviews = c.seq)
  AND ($1::timestamptz IS NULL OR (c.at, c.seq) < ($1, $2::bigint))
ORDER BY c.at DESC, c.seq DESC LIMIT $3
"""  # noqa: S608 - constant words

_SELECT_REVIEWED_ENTRY = """
SELECT c.method, c.named, now() AS now,
  (SELECT r.source FROM consent r WHERE r.reviews = c.seq) AS reviewer
FROM consent c WHERE c.seq = $1
"""

_SELECT_ENTRY_PROFILE = "SELECT profile_id FROM consent WHERE seq = $1"

# In the lock order of all transactions: identifiers, then profiles.
_LOCK_NAMED_IDENTIFIERS = """
SELECT i.profile_id FROM identifier i JOIN unnest($1::text[]) AS n(key)
  ON i.type = split_part(n.key, ':', 1) AND i.value = substr(n.key, strpos(n.key, ':') + 1)
ORDER BY i.type, i.value FOR NO KEY UPDATE OF i
"""

# A confirmation has the time of the reply, so that later declarations of the profile stay effective.
_INSERT_REVIEW = """
INSERT INTO consent (profile_id, channel, topic, state, source, method, verified, voice, named, time, at,
  reviews)
SELECT profile_id, channel, topic, $2::text, $3, $4, true, voice, named,
  CASE $2 WHEN 'withdrawn' THEN time ELSE $5 END, $5, seq FROM consent WHERE seq = $1
ON CONFLICT (reviews) WHERE reviews IS NOT NULL DO NOTHING RETURNING seq
"""

_SELECT_LEDGER_ENTRIES = """
SELECT seq AS entry_id, channel, topic, state, source, text_version, method, jurisdiction, verified,
  voice AS said_by, event_id, reviews, time, at
FROM consent WHERE profile_id = $1 AND ($2::timestamptz IS NULL OR (at, seq) < ($2, $3::bigint))
ORDER BY at DESC, seq DESC LIMIT $4
"""


async def list_doubtful_replies(
    connection: Any, *, limit: int, after: Cursor | None = None
) -> Page[DoubtfulReply]:
    """Return the doubtful replies that no operator has reviewed, the newest first."""
    rows = await connection.fetch(_SELECT_OPEN_REPLIES, *entry_cursor_parameters(after), limit + 1)
    return to_entry_page([_to_doubtful_reply(row) for row in rows], limit)


async def confirm_opt_out(database: Database, entry_id: int, *, actor: str) -> ReviewResult:
    """Record that the reply was an opt-out: it stays effective, and is no longer listed.

    Raises ``NotFound`` for what is no doubtful reply, ``NoChange`` for one that was reviewed before.
    """
    return await _record_review(database, entry_id, "withdrawn", actor)


async def annul_opt_out(database: Database, entry_id: int, *, actor: str) -> ReviewResult:
    """Record that the reply was no opt-out: the state before it is effective again, from the return on.

    The reply stays in the ledger. The new entry, with the operator as its source, annuls it. It annuls
    nothing else, and is no consent where there was none. Raises as ``confirm_opt_out`` does.
    """
    return await _record_review(database, entry_id, "granted", actor)


async def list_consent_entries(
    connection: Any, profile_id: UUID, *, limit: int, after: Cursor | None = None
) -> Page[ConsentEntry]:
    """Return a profile's declarations, the newest first."""
    ends = (profile_id, *entry_cursor_parameters(after), limit + 1)
    return to_entry_page(await fetch_as(connection, ConsentEntry, _SELECT_LEDGER_ENTRIES, *ends), limit)


def entry_cursor_parameters(after: Cursor | None) -> tuple[datetime | None, int | None]:
    """Return where a page of entries begins. Raises ``ForeignCursor`` for a cursor of another list."""
    if after is None:
        return None, None
    if after.id.int >= 2**63:
        raise ForeignCursor("not a cursor of this list; send next_cursor of the page before, as it came")
    return after.at, after.id.int


def to_entry_page(rows: list[Any], limit: int) -> Page[Any]:
    """Return a page of ``limit + 1`` rows that were read; the last one shows that there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], str(Cursor(last.at, UUID(int=last.entry_id))))


async def _record_review(database: Database, entry_id: int, state: str, actor: str) -> ReviewResult:
    async def work(connection: Any) -> ReviewResult:
        row = await connection.fetchrow(_SELECT_REVIEWED_ENTRY, entry_id)
        if row is None or row["method"] != DOUBTFUL_METHOD:
            raise NotFound(f"{entry_id} is no doubtful reply; `waypost consents review` lists them")
        locked = await connection.fetch(_LOCK_NAMED_IDENTIFIERS, row["named"])
        profile_ids = {identifier["profile_id"] for identifier in locked}
        # The entry may have moved to another profile before its identifiers were locked.
        profile_ids.add(await connection.fetchval(_SELECT_ENTRY_PROFILE, entry_id))
        canonical = await lock_profiles(connection, sorted(profile_ids))
        at = row["now"]
        seq = await connection.fetchval(_INSERT_REVIEW, entry_id, state, actor, REVIEW_METHOD, at)
        if seq is None:
            by = f" by {row['reviewer']}" if row["reviewer"] else ""
            raise NoChange(f"{entry_id} was reviewed before{by}")
        await effective.refresh_consents(connection, [*canonical, *canonical.values()], at)
        return ReviewResult(seq, entry_id, state, at)

    return await database.run(work)


def _to_doubtful_reply(row: Any) -> DoubtfulReply:
    return from_row(
        DoubtfulReply,
        row,
        address="" if row["voice"] is None else mask_identifier(*split_key(row["voice"])),
        text=reply_text(orjson.loads(row["properties"] or "{}")),
        done=f"opted out of {row['topic']} on {row['channel']}",
    )
