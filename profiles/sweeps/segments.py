"""Segments: run an author's query read-only, check such queries, and sweep for entries and exits."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from profiles.db.database import Database
from profiles.db.locks import lock_profiles
from profiles.events import SegmentEntered
from profiles.identity.identifiers import JOIN_STRONGEST_IDENTIFIER
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import Ingest
from profiles.state.event_records import IncomingEvent
from profiles.sweeps.history import IS_HISTORY_SQL

SEGMENT_SOURCE = "waypost/segment"

DEFAULT_BATCH_SIZE = 500

QUERY_TIMEOUT_S = 30
"""Statement timeout of an author's query, in seconds."""

# Planner settings of Database suit ingest, which reads single rows. A query over all profiles needs others.
_QUERY_SETTINGS = f"""
SET TRANSACTION READ ONLY;
SET LOCAL statement_timeout = '{QUERY_TIMEOUT_S}s';
SET LOCAL enable_seqscan = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on
"""

_SELECT_MATCHING_PROFILES = """
SELECT DISTINCT p.profile_id FROM (
{query}
) AS result(first_column_of_segment) JOIN profile p ON p.profile_id = result.first_column_of_segment
WHERE p.merged_into IS NULL AND p.erased_at IS NULL
"""

_SELECT_SEGMENT_CHANGES = f"""
WITH found AS MATERIALIZED ({_SELECT_MATCHING_PROFILES}),
member AS MATERIALIZED (SELECT profile_id FROM segment_member WHERE segment = $1)
SELECT now() AS at, (SELECT swept_at FROM segment WHERE name = $1) AS last_sweep,
  (SELECT count(*) FROM found) AS found,
  ARRAY(SELECT profile_id FROM found EXCEPT SELECT profile_id FROM member ORDER BY 1) AS newcomers,
  ARRAY(SELECT profile_id FROM member EXCEPT SELECT profile_id FROM found) AS gone
"""  # noqa: S608 - constant fragments; the query is code of the author's

_SELECT_PERSON_COLUMNS = """
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = to_regclass('person') AND attnum > 0 AND NOT attisdropped
"""

_SELECT_IDENTIFIERS = f"""
SELECT p.profile_id, i.type, i.value, {IS_HISTORY_SQL.format(profile="p.profile_id")} AS is_history
FROM profile p {JOIN_STRONGEST_IDENTIFIER}
WHERE p.profile_id = ANY($1) AND p.merged_into IS NULL AND p.erased_at IS NULL ORDER BY p.profile_id
"""  # noqa: S608 - constant fragments

_INSERT_MEMBERS = """
INSERT INTO segment_member (segment, profile_id, since) SELECT $1, unnest($2::uuid[]), $3
ON CONFLICT (segment, profile_id) DO NOTHING
"""

_DELETE_MEMBERS = "DELETE FROM segment_member WHERE segment = $1 AND profile_id = ANY($2) AND since <= $3"

_UPSERT_SEGMENT = """
INSERT INTO segment (name, swept_at) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET swept_at = GREATEST(segment.swept_at, excluded.swept_at)
"""


class SegmentQueryError(Exception):
    """A segment's query cannot be run. The message says which, why and what to do."""


class SegmentQuery(Protocol):
    """What a sweep reads of a segment. An author's ``Segment`` has this shape."""

    @property
    def name(self) -> str:
        """Unique among segments."""

    @property
    def query(self) -> str:
        """One SELECT; its first column is ``profile_id``."""

    @property
    def existing(self) -> bool:
        """Whether profiles that the first sweep finds enter."""


@dataclass(frozen=True, slots=True)
class SegmentChanges:
    """Result of a query compared with the stored members, in one snapshot."""

    at: datetime
    last_sweep: datetime | None
    """Instant of the last finished sweep; None: there was none."""
    found: int
    newcomers: list[UUID]
    gone: list[UUID]


@dataclass(frozen=True, slots=True)
class SegmentSweep:
    """Counts of one sweep."""

    found: int
    newcomers: int = 0
    """Profiles that entered."""
    left: int = 0
    skipped: int = 0
    """Newcomers without an identifier; tried again at every sweep."""
    history: int = 0
    """Newcomers known by history alone; tried again at every sweep."""
    noted: int = 0
    """Found by the first sweep of the segment and stored as members without entering."""


async def evaluate_segment(database: Database, segment: SegmentQuery) -> SegmentChanges:
    """Run a segment's query and compare its result with the stored members.

    Only the query's first column counts, and only canonical profiles that are not erased.
    Raises ``SegmentQueryError`` if it fails, writes, or takes over ``QUERY_TIMEOUT_S``.
    """
    query = _SELECT_SEGMENT_CHANGES.format(query=_without_semicolon(segment))
    try:
        async with database.transaction() as connection:
            await connection.execute(_QUERY_SETTINGS)
            row = await connection.fetchrow(query, segment.name)
    except asyncpg.QueryCanceledError as error:
        raise SegmentQueryError(
            f"segment {segment.name!r}: its query was stopped ({error}); it may take {QUERY_TIMEOUT_S} s, "
            "so narrow it down"
        ) from error
    except asyncpg.PostgresError as error:
        fault = f"segment {segment.name!r} cannot be asked: {_describe_error(error)}"
        raise SegmentQueryError(fault) from error
    return SegmentChanges(**row)


async def check_segment_queries(database: Database, segments: Iterable[SegmentQuery]) -> list[str]:
    """Return what Postgres rejects in the queries of these segments, one sentence each, without running them.

    Each query is planned against the current schema. Its first column must be ``profile_id``, a uuid.
    """
    faults = []
    for segment in segments:
        try:
            async with database.transaction() as connection:
                await connection.execute(_QUERY_SETTINGS)
                if fault := await _query_fault(connection, _without_semicolon(segment)):
                    faults.append(f"segment {segment.name!r}: {fault}")
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError, asyncpg.FeatureNotSupportedError) as error:
            is_unknown_column = isinstance(error, asyncpg.UndefinedColumnError)
            columns = await _describe_person_columns(database) if is_unknown_column else ""
            faults.append(f"segment {segment.name!r}: {_describe_error(error)}{columns}")
    return faults


async def _query_fault(connection: Any, query: str) -> str | None:
    prepared = await connection.prepare(query)
    columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    if columns[:1] != [("profile_id", "uuid")]:
        got = f"{columns[0][0]} of type {columns[0][1]}" if columns else "no column"
        return f"its first column must be profile_id, a uuid; got {got}"
    if prepared.get_parameters():
        return "it has parameters ($1), which get no values; write the values into the query"
    await connection.execute(f"EXPLAIN {_SELECT_MATCHING_PROFILES.format(query=query)}")
    return None


async def _describe_person_columns(database: Database) -> str:
    async with database.transaction() as connection:
        return f"; person has the columns {await connection.fetchval(_SELECT_PERSON_COLUMNS)}"


def _without_semicolon(segment: SegmentQuery) -> str:
    return segment.query.strip().rstrip(";")


def _describe_error(error: asyncpg.PostgresError) -> str:
    """Return Postgres's message with its hint."""
    hint = getattr(error, "hint", None)
    return f"{error.args[0]} ({hint})" if hint else str(error.args[0])


async def sweep_segment(
    database: Database,
    ingest: Ingest,
    segment: SegmentQuery,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    progress: Callable[[int], None] = lambda done: None,
) -> SegmentSweep:
    """Run a segment's query, write ``Segment Entered`` for newcomers, delete members that left.

    Idempotent, also after a killed sweep: one event per stay. The first finished sweep of a segment only
    stores the profiles it finds, unless ``existing``, by which those of history enter too. Else a newcomer
    that is known by history alone waits: see ``profiles.sweeps.history``. ``progress``: called with the
    number of newcomers done, after each ``batch_size``. Raises ``SegmentQueryError`` if the query fails,
    writes, or takes over ``QUERY_TIMEOUT_S``.
    """
    changes = await evaluate_segment(database, segment)
    is_first = changes.last_sweep is None
    only_store = is_first and not segment.existing
    done = waiting = 0
    for start in range(0, len(changes.newcomers), batch_size):
        chunk = changes.newcomers[start : start + batch_size]
        members = chunk
        if not only_store:
            known = await _load_newcomers(database, chunk)
            waiting += sum(row["is_history"] and not is_first for row in known)
            entering = [row for row in known if is_first or not row["is_history"]]
            members = await _ingest_entries(ingest, segment.name, entering, changes)
        await _record_members(database, segment.name, members, changes.at)
        done += len(members)
        progress(done)

    async def finish(connection: Any) -> None:
        # In one COMMIT: a profile that left and returns does so after a finished sweep, in a new stay.
        await connection.execute(_DELETE_MEMBERS, segment.name, changes.gone, changes.at)
        await connection.execute(_UPSERT_SEGMENT, segment.name, changes.at)

    await database.run(finish)
    return SegmentSweep(
        found=changes.found,
        newcomers=0 if only_store else done,
        left=len(changes.gone),
        skipped=len(changes.newcomers) - done - waiting,
        history=waiting,
        noted=done if only_store else 0,
    )


async def _load_newcomers(database: Database, newcomers: Sequence[UUID]) -> list[Any]:
    """Return the newcomers that an identifier names, with it, and whether history alone is known of them."""
    async with database.transaction() as connection:
        return list(await connection.fetch(_SELECT_IDENTIFIERS, newcomers))


async def _ingest_entries(
    ingest: Ingest, segment: str, rows: Sequence[Any], asked: SegmentChanges
) -> list[UUID]:
    """Write the events of newcomers; return the newcomers with a stored event."""
    stay = asked.last_sweep.isoformat() if asked.last_sweep else "first"
    events = []
    for row in rows:
        event_id, named = f"{segment}/{row['profile_id']}/{stay}", ((row["type"], row["value"]),)
        envelope = (SEGMENT_SOURCE, event_id, SegmentEntered.event_name, "server", asked.at)
        events.append(IncomingEvent(*envelope, named, {"segment": segment}))
    statuses = [result.status for result in await ingest(events)]
    stored = zip(rows, statuses, strict=True)
    return [row["profile_id"] for row, status in stored if status is not IngestStatus.REJECTED]


async def _record_members(database: Database, segment: str, members: Sequence[UUID], at: datetime) -> None:
    async def work(connection: Any) -> None:
        # lock_profiles keeps the order of locks. A profile merged meanwhile is stored as its canonical one.
        canonical = await lock_profiles(connection, members)
        await connection.execute(_INSERT_MEMBERS, segment, sorted(set(canonical.values())), at)

    await database.run(work)
