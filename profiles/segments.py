"""Find who newly belongs to an author's segment, and say so by an event like any other.

Each stay of a person in a segment has one event, whatever is repeated or killed: its id is made of the last
sweep that was finished before, which is the same until this one is finished too. The event comes before the
membership row: killed in between, the next sweep writes the same event, which is known, and then the row. The
other way round, the next sweep would take a person whom nobody entered for a member.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.database import Database
from profiles.events import SegmentEntered
from profiles.incoming import IncomingEvent, Status
from profiles.ingest import Ingest
from profiles.person import lock
from profiles.segment_queries import Asked, SegmentQuery, ask
from profiles.statements import STRONGEST_IDENTIFIER

SOURCE = "waypost/segment"
BATCH = 500

_NAMED = f"""
SELECT p.profile_id, i.type, i.value FROM profile p {STRONGEST_IDENTIFIER}
WHERE p.profile_id = ANY($1) AND p.merged_into IS NULL AND p.erased_at IS NULL ORDER BY p.profile_id
"""  # noqa: S608 - constant fragments

_NOTE = """
INSERT INTO segment_member (segment, profile_id, since) SELECT $1, unnest($2::uuid[]), $3
ON CONFLICT (segment, profile_id) DO NOTHING
"""

_LEAVE = "DELETE FROM segment_member WHERE segment = $1 AND profile_id = ANY($2) AND since <= $3"

_FINISH = """
INSERT INTO segment (name, swept_at) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET swept_at = GREATEST(segment.swept_at, excluded.swept_at)
"""


@dataclass(frozen=True, slots=True)
class SegmentSweep:
    """What one sweep found and did."""

    found: int
    newcomers: int = 0
    """Entered."""
    left: int = 0
    skipped: int = 0
    """Newcomers without an identifier to name them by; asked again at every sweep."""
    noted: int = 0
    """Found by the first sweep of the segment, and therefore not entered."""


async def sweep_segment(
    database: Database,
    ingest: Ingest,
    segment: SegmentQuery,
    *,
    batch: int = BATCH,
    progress: Callable[[int], None] = lambda done: None,
) -> SegmentSweep:
    """Ask a segment's query; enter newcomers by ``Segment Entered``, forget those who left.

    Idempotent, also where it was killed on its way: one event a stay. The first finished sweep of a segment
    only notes whom it finds, unless ``existing``. ``progress`` hears how many newcomers are done, after each
    ``batch``. Raises ``SegmentFault`` where the query fails, writes, or takes over ``TIMEOUT_S``.
    """
    asked = await ask(database, segment)
    noting = asked.last_sweep is None and not segment.existing
    done = 0
    for start in range(0, len(asked.newcomers), batch):
        some = asked.newcomers[start : start + batch]
        members = some if noting else await _enter(database, ingest, segment.name, some, asked)
        await _note(database, segment.name, members, asked.at)
        done += len(members)
        progress(done)

    async def finish(connection: Any) -> None:
        # In one COMMIT: who left and comes back does so after a finished sweep, and so into a new stay.
        await connection.execute(_LEAVE, segment.name, asked.gone, asked.at)
        await connection.execute(_FINISH, segment.name, asked.at)

    await database.run(finish)
    return SegmentSweep(
        found=asked.found,
        newcomers=0 if noting else done,
        left=len(asked.gone),
        skipped=len(asked.newcomers) - done,
        noted=done if noting else 0,
    )


async def _enter(
    database: Database, ingest: Ingest, segment: str, newcomers: Sequence[UUID], asked: Asked
) -> list[UUID]:
    """Write the events of newcomers; returns those who have one now."""
    async with database.transaction() as connection:
        named = await connection.fetch(_NAMED, newcomers)
    stay = asked.last_sweep.isoformat() if asked.last_sweep else "first"
    answers = await ingest(
        [
            IncomingEvent(
                source=SOURCE,
                id=f"{segment}/{row['profile_id']}/{stay}",
                type=SegmentEntered.event_name,
                channel="server",
                time=asked.at,
                identifiers=((row["type"], row["value"]),),
                properties={"segment": segment},
            )
            for row in named
        ]
    )
    return [
        row["profile_id"]
        for row, answer in zip(named, answers, strict=True)
        if answer.status is not Status.REJECTED
    ]


async def _note(database: Database, segment: str, members: Sequence[UUID], at: datetime) -> None:
    async def work(connection: Any) -> None:
        # By way of the one order of locks; who was merged meanwhile is noted under their new profile.
        canonical = await lock(connection, members)
        await connection.execute(_NOTE, segment, sorted(set(canonical.values())), at)

    await database.run(work)
