"""Replies that may have meant an opt-out: which wait for somebody, and what an operator says of one."""

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
from profiles.errors import NoChange, NotFound
from profiles.identity.identifiers import mask_identifier, split_key


@dataclass(frozen=True, slots=True)
class DoubtfulReply:
    """A reply that opted somebody out although it may have meant something else."""

    entry_id: int
    profile_id: UUID
    address: str
    """Without its middle."""
    text: str
    """As it came; empty once its event is gone."""
    done: str
    time: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class ReviewResult:
    """What an operator's word added to the ledger."""

    entry_id: int
    reviews: int
    state: str
    at: datetime


_SELECT_OPEN_REPLIES = f"""
SELECT c.seq, c.profile_id, c.channel, c.topic, c.voice, c.time, c.at, e.properties::text AS properties
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

# In the order of all locks: identifiers, then people.
_LOCK_NAMED_IDENTIFIERS = """
SELECT i.profile_id FROM identifier i JOIN unnest($1::text[]) AS n(key)
  ON i.type = split_part(n.key, ':', 1) AND i.value = substr(n.key, strpos(n.key, ':') + 1)
ORDER BY i.type, i.value FOR NO KEY UPDATE OF i
"""

# Kept: as of the time it was said, so that what the person has said since stands.
_INSERT_REVIEW = """
INSERT INTO consent (profile_id, channel, topic, state, source, method, verified, voice, named, time, at,
  reviews)
SELECT profile_id, channel, topic, $2::text, $3, $4, true, voice, named,
  CASE $2 WHEN 'withdrawn' THEN time ELSE $5 END, $5, seq FROM consent WHERE seq = $1
ON CONFLICT (reviews) WHERE reviews IS NOT NULL DO NOTHING RETURNING seq
"""


async def list_doubtful_replies(
    connection: Any, *, limit: int, after: Cursor | None = None
) -> Page[DoubtfulReply]:
    """Doubtful replies that nobody has passed judgement on, the newest first."""
    rows = await connection.fetch(_SELECT_OPEN_REPLIES, *entry_cursor_parameters(after), limit + 1)
    return to_entry_page([_to_doubtful_reply(row) for row in rows], limit)


async def confirm_opt_out(database: Database, entry_id: int, *, actor: str) -> ReviewResult:
    """The reply did mean an opt-out: it stays, and is no longer listed.

    Raises ``Unknown`` for what is no doubtful reply, ``Needless`` for one that was reviewed before.
    """
    return await _record_review(database, entry_id, "withdrawn", actor)


async def annul_opt_out(database: Database, entry_id: int, *, actor: str) -> ReviewResult:
    """The reply meant something else: what stood before it stands again, in force from the return on.

    The reply stays in the ledger; the new entry, with the operator as its source, takes it back. It takes
    back nothing else, and is no consent where there was none. Raises as ``keep`` does.
    """
    return await _record_review(database, entry_id, "granted", actor)


async def _record_review(database: Database, entry_id: int, state: str, actor: str) -> ReviewResult:
    async def work(connection: Any) -> ReviewResult:
        row = await connection.fetchrow(_SELECT_REVIEWED_ENTRY, entry_id)
        if row is None or row["method"] != DOUBTFUL_METHOD:
            raise NotFound(f"{entry_id} is no doubtful reply; `waypost consents review` lists them")
        people = {
            found["profile_id"] for found in await connection.fetch(_LOCK_NAMED_IDENTIFIERS, row["named"])
        }
        # Whose it is may have changed until its identifiers were locked.
        people.add(await connection.fetchval(_SELECT_ENTRY_PROFILE, entry_id))
        canonical = await lock_profiles(connection, sorted(people))
        at = row["now"]
        seq = await connection.fetchval(_INSERT_REVIEW, entry_id, state, actor, REVIEW_METHOD, at)
        if seq is None:
            by = f" by {row['reviewer']}" if row["reviewer"] else ""
            raise NoChange(f"{entry_id} was reviewed before{by}")
        await effective.refresh_consents(connection, [*canonical, *canonical.values()], at)
        return ReviewResult(seq, entry_id, state, at)

    return await database.run(work)


def _to_doubtful_reply(row: Any) -> DoubtfulReply:
    return DoubtfulReply(
        row["seq"],
        row["profile_id"],
        "" if row["voice"] is None else mask_identifier(*split_key(row["voice"])),
        reply_text(orjson.loads(row["properties"] or "{}")),
        f"opted out of {row['topic']} on {row['channel']}",
        row["time"],
        row["at"],
    )


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


class ForeignCursor(ValueError):
    """A cursor that another list has made."""


_SELECT_LEDGER_ENTRIES = """
SELECT seq AS entry_id, channel, topic, state, source, text_version, method, jurisdiction, verified,
  voice AS said_by, event_id, reviews, time, at
FROM consent WHERE profile_id = $1 AND ($2::timestamptz IS NULL OR (at, seq) < ($2, $3::bigint))
ORDER BY at DESC, seq DESC LIMIT $4
"""


async def list_consent_entries(
    connection: Any, profile_id: UUID, *, limit: int, after: Cursor | None = None
) -> Page[ConsentEntry]:
    """What a person has said, the newest first."""
    at, seq = entry_cursor_parameters(after)
    rows = [
        ConsentEntry(**row)
        for row in await connection.fetch(_SELECT_LEDGER_ENTRIES, profile_id, at, seq, limit + 1)
    ]
    return to_entry_page(rows, limit)


def entry_cursor_parameters(after: Cursor | None) -> tuple[datetime | None, int | None]:
    """Where a page of entries begins. Raises ``OtherList`` for a cursor of another list."""
    if after is None:
        return None, None
    if after.id.int >= 2**63:
        raise ForeignCursor("not a cursor of this list; send next_cursor of the page before, as it came")
    return after.at, after.id.int


def to_entry_page(rows: list[Any], limit: int) -> Page[Any]:
    """One row more than asked for was read: it tells whether there is a next page."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], str(Cursor(last.at, UUID(int=last.entry_id))))
