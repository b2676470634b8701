"""Ask an author's query who belongs to a segment, without letting it write; say what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from profiles.database import Database

TIMEOUT_S = 30
"""Seconds an author's query may take."""

# What Database sets for ingest, which looks up single rows, would spoil a query over everybody.
_ALONE = f"""
SET TRANSACTION READ ONLY;
SET LOCAL statement_timeout = '{TIMEOUT_S}s';
SET LOCAL enable_seqscan = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on
"""

_FOUND = """
SELECT DISTINCT p.profile_id FROM (
{query}
) AS asked(first_column_of_segment) JOIN profile p ON p.profile_id = asked.first_column_of_segment
WHERE p.merged_into IS NULL AND p.erased_at IS NULL
"""

_ASK = f"""
WITH found AS MATERIALIZED ({_FOUND}),
member AS MATERIALIZED (SELECT profile_id FROM segment_member WHERE segment = $1)
SELECT now() AS at, (SELECT swept_at FROM segment WHERE name = $1) AS last_sweep,
  (SELECT count(*) FROM found) AS found,
  ARRAY(SELECT profile_id FROM found EXCEPT SELECT profile_id FROM member ORDER BY 1) AS newcomers,
  ARRAY(SELECT profile_id FROM member EXCEPT SELECT profile_id FROM found) AS gone
"""  # noqa: S608 - constant fragments; the query is code of the author's

_COLUMNS = """
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = to_regclass('person') AND attnum > 0 AND NOT attisdropped
"""


class SegmentFault(Exception):
    """A segment's query cannot be asked; the message says which, why, and what to do."""


class SegmentQuery(Protocol):
    """What a sweep needs to know of a segment. An author's ``Segment`` has this shape."""

    @property
    def name(self) -> str:
        """Unique among segments."""

    @property
    def query(self) -> str:
        """One SELECT whose first column is ``profile_id``."""

    @property
    def existing(self) -> bool:
        """Whether those enter whom the first sweep finds."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query said, and who belonged before; of one snapshot."""

    at: datetime
    last_sweep: datetime | None
    """When the last finished sweep asked; None: there was none."""
    found: int
    newcomers: list[UUID]
    gone: list[UUID]


async def ask(database: Database, segment: SegmentQuery) -> Asked:
    """Ask a segment's query; only its first column counts, and of it only canonical people not erased.

    Raises ``SegmentFault`` where it fails, writes, or takes over ``TIMEOUT_S``.
    """
    try:
        async with database.transaction() as connection:
            await connection.execute(_ALONE)
            row = await connection.fetchrow(_ASK.format(query=_bare(segment)), segment.name)
    except asyncpg.QueryCanceledError as error:
        raise SegmentFault(
            f"segment {segment.name!r}: its query was stopped ({error}); it may take {TIMEOUT_S} s, "
            "so narrow it down"
        ) from error
    except asyncpg.PostgresError as error:
        raise SegmentFault(f"segment {segment.name!r} cannot be asked: {_said(error)}") from error
    return Asked(**row)


async def query_faults(database: Database, segments: Iterable[SegmentQuery]) -> list[str]:
    """What Postgres has against the queries of these segments, a sentence each; nothing is run.

    Each is parsed and planned against the schema as it is. The first column must be ``profile_id``, a uuid.
    """
    faults = []
    for segment in segments:
        try:
            async with database.transaction() as connection:
                await connection.execute(_ALONE)
                if fault := await _fault(connection, _bare(segment)):
                    faults.append(f"segment {segment.name!r}: {fault}")
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError, asyncpg.FeatureNotSupportedError) as error:
            shown = isinstance(error, asyncpg.UndefinedColumnError)
            columns = await _columns(database) if shown else ""
            faults.append(f"segment {segment.name!r}: {_said(error)}{columns}")
    return faults


async def _fault(connection: Any, query: str) -> str | None:
    prepared = await connection.prepare(query)
    columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    if columns[:1] != [("profile_id", "uuid")]:
        came = f"{columns[0][0]} of type {columns[0][1]}" if columns else "no column"
        return f"its first column must be profile_id, a uuid; got {came}"
    if prepared.get_parameters():
        return "it has parameters ($1), and nobody to give them; write the values into it"
    await connection.execute(f"EXPLAIN {_FOUND.format(query=query)}")
    return None


async def _columns(database: Database) -> str:
    async with database.transaction() as connection:
        return f"; person has the columns {await connection.fetchval(_COLUMNS)}"


def _bare(segment: SegmentQuery) -> str:
    return segment.query.strip().rstrip(";")


def _said(error: asyncpg.PostgresError) -> str:
    """Postgres's own words, with its hint."""
    hint = getattr(error, "hint", None)
    return f"{error.args[0]} ({hint})" if hint else str(error.args[0])
