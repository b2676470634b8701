"""What waits for somebody: undelivered outbox rows, stuck runs, messages of unknown outcome."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Backlog:
    """Figures of one instant."""

    undelivered: int
    oldest_s: float
    """Age of the oldest undelivered outbox row, in seconds; 0 where there is none."""
    live_runs: int
    stuck_runs: int
    unknown_messages: int


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that waits for an operator."""

    run_id: UUID
    journey: str
    reason: str | None


_BACKLOG = """
SELECT o.count AS undelivered, COALESCE(EXTRACT(epoch FROM now() - o.oldest), 0)::float8 AS oldest_s,
  (SELECT count(*) FROM run WHERE state <> 'ended') AS live_runs,
  (SELECT count(*) FROM run WHERE state = 'stuck') AS stuck_runs,
  (SELECT count(*) FROM message WHERE status = 'unknown') AS unknown_messages
FROM (SELECT count(*), min(recorded_at) AS oldest FROM outbox WHERE delivered_at IS NULL) o
"""

_STUCK = """
SELECT r.run_id, r.journey, COALESCE(r.detail, o.error) AS reason FROM run r
LEFT JOIN LATERAL (
  SELECT error FROM outbox WHERE lane = r.run_id AND delivered_at IS NULL ORDER BY seq LIMIT 1) o ON true
WHERE r.state = 'stuck' ORDER BY r.entered_at DESC LIMIT $1
"""


async def backlog(connection: Any) -> Backlog:
    """The figures now."""
    return Backlog(**await connection.fetchrow(_BACKLOG))


async def stuck_runs(connection: Any, limit: int = 20) -> list[StuckRun]:
    """The newest stuck runs and why."""
    return [StuckRun(**row) for row in await connection.fetch(_STUCK, limit)]
