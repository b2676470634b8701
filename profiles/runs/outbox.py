"""The outbox to Temporal and the ad platform. Only the oldest row of each lane (partition key) is due.

A page's key is public, so that rows of verified events do not wait for those of unverified ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import from_row

MAX_RETRY_INTERVAL_S = 60.0
"""The longest backoff between two attempts to deliver a row, in seconds."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One row to deliver."""

    seq: int
    lane: UUID
    kind: str
    """One of ``OutboxKind``, unless a newer release wrote the row."""
    name: str
    payload: dict[str, Any]
    event_id: UUID | None
    workflow_id: str | None
    profile_id: UUID | None
    verified: bool = True
    """Whether the shop's systems sent the event, or Waypost did."""


UNVERIFIED_SHARE = 0.2
"""Share of a batch that is kept for lanes without a verified row, which else would wait for all others."""

MAX_UNVERIFIED_SHARE = 0.4
"""Most of a batch that such lanes get: Temporal is not busy with many of them when a verified row comes."""

# With SKIP LOCKED alone, two relays could deliver a purchase before its start. Only the first undelivered
# row of a lane is due, until it is delivered and committed. A verified row that is not the first of its lane
# makes the first one urgent. A row that both parts find is locked by both, and returned once.
# $1: most urgent rows, $2: most others, $3: most together.
_LOCK_BATCH = """
WITH urgent AS MATERIALIZED (
  SELECT o.seq, o.lane, o.kind, o.name, o.payload, o.event_id, o.verified, r.workflow_id, r.profile_id
  FROM outbox v JOIN outbox o ON o.seq = (SELECT e.seq FROM outbox e
      WHERE e.lane = v.lane AND e.delivered_at IS NULL ORDER BY e.seq LIMIT 1)
    LEFT JOIN run r ON r.run_id = o.lane
  WHERE v.delivered_at IS NULL AND v.verified AND o.delivered_at IS NULL
    AND (r.state IS NULL OR r.state <> 'stuck') AND (o.retry_at IS NULL OR o.retry_at <= now())
    AND NOT EXISTS (SELECT 1 FROM outbox e
      WHERE e.lane = v.lane AND e.delivered_at IS NULL AND e.verified AND e.seq < v.seq)
  ORDER BY v.seq LIMIT $1 FOR UPDATE OF o SKIP LOCKED),
other AS MATERIALIZED (
  SELECT o.seq, o.lane, o.kind, o.name, o.payload, o.event_id, o.verified, r.workflow_id, r.profile_id
  FROM outbox o LEFT JOIN run r ON r.run_id = o.lane
  WHERE o.delivered_at IS NULL AND NOT o.verified
    AND (r.state IS NULL OR r.state <> 'stuck') AND (o.retry_at IS NULL OR o.retry_at <= now())
    AND NOT EXISTS (SELECT 1 FROM outbox e
      WHERE e.lane = o.lane AND e.delivered_at IS NULL AND e.seq < o.seq)
  ORDER BY o.seq LIMIT GREATEST(LEAST($2, $3 - (SELECT count(*) FROM urgent)), 0)
  FOR UPDATE OF o SKIP LOCKED)
SELECT seq, lane, kind, name, payload::text AS payload, event_id, verified, workflow_id, profile_id
FROM urgent
UNION ALL
SELECT seq, lane, kind, name, payload::text AS payload, event_id, verified, workflow_id, profile_id
FROM other WHERE seq NOT IN (SELECT seq FROM urgent)
"""

_UPDATE_DELIVERED = "UPDATE outbox SET delivered_at = now(), attempts = attempts + 1 WHERE seq = ANY($1)"

_UPDATE_FAILED = "UPDATE outbox SET attempts = attempts + 1, error = $2 WHERE seq = $1"

_UPDATE_RETRY_AT = """
UPDATE outbox SET attempts = attempts + 1, error = $2,
  retry_at = clock_timestamp() + LEAST(2 ^ LEAST(attempts, 10), $3) * interval '1 second' WHERE seq = $1
"""

_UPDATE_RUN_STUCK = """
UPDATE run SET state = 'stuck', detail = $2, stuck_at = clock_timestamp()
WHERE run_id = $1 AND state = 'running'
"""

_MAX_ERROR_LENGTH = 500

_UPDATE_RUNS_STARTED = """
UPDATE run SET temporal_run_id = s.temporal_run_id
FROM unnest($1::uuid[], $2::text[]) AS s(run_id, temporal_run_id) WHERE run.run_id = s.run_id
"""


async def lock_batch(connection: Any, limit: int, *, urgent_only: bool = False) -> list[OutboxRow]:
    """Lock and return up to ``limit`` rows, each of another lane. The locks last until COMMIT.

    Lanes with a row of a verified event come first, then the others; of each, the oldest first. A part of the
    batch, ``UNVERIFIED_SHARE``, is kept for the others. They get ``MAX_UNVERIFIED_SHARE`` at most, and none
    if ``urgent_only``.
    """
    kept, most = (
        (0, 0) if urgent_only else (int(limit * UNVERIFIED_SHARE), ceil(limit * MAX_UNVERIFIED_SHARE))
    )
    return [
        from_row(OutboxRow, row, payload=orjson.loads(row["payload"]))
        for row in await connection.fetch(_LOCK_BATCH, limit - kept, most, limit)
    ]


async def mark_delivered(connection: Any, seqs: Sequence[int], started: Mapping[UUID, str]) -> None:
    """Mark rows as delivered. ``started``: the runs that were started, each with Temporal's own id."""
    await connection.execute(_UPDATE_DELIVERED, list(seqs))
    if started:
        await connection.execute(_UPDATE_RUNS_STARTED, list(started), list(started.values()))


async def record_failure(connection: Any, seq: int, error: str) -> None:
    """Record a failed delivery. The row stays first in its lane."""
    await connection.execute(_UPDATE_FAILED, seq, _storable(error))


async def reschedule(connection: Any, seq: int, error: str) -> None:
    """Record a failed delivery, with a backoff of 1 s that doubles, up to ``MAX_RETRY_INTERVAL_S``."""
    await connection.execute(_UPDATE_RETRY_AT, seq, _storable(error), MAX_RETRY_INTERVAL_S)


async def mark_stuck(connection: Any, run_id: UUID, reason: str) -> bool:
    """Set a running run to stuck, with the reason, after a permanent delivery error.

    Its rows are no longer delivered, and no other run waits for them. Returns False for any other state.
    """
    changed: str = await connection.execute(_UPDATE_RUN_STUCK, run_id, _storable(reason))
    return changed == "UPDATE 1"


def _storable(text: str) -> str:
    """Return a text that Postgres can hold: servers quote values, also half a character or a NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")[:_MAX_ERROR_LENGTH]
