"""What waits for somebody: undelivered outbox rows, stuck runs, messages of unknown outcome, quarantines."""

from dataclasses import dataclass
from datetime import datetime
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
    quarantined: int
    """Identifiers that are nobody's; an address and its hash are two."""
    quarantined_last_day: int
    """Those that became it within 24 hours, released ones included."""
    stops: list[str]
    """The kind of each kill switch that is on."""


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that waits for an operator."""

    run_id: UUID
    journey: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class LatelyQuarantined:
    """An identifier that is nobody's."""

    type: str
    value: str
    quarantined_at: datetime
    """By the clock of Postgres."""


# The quarantined identifiers have an index of their own, and so have the log's rows of them.
_BACKLOG = """
SELECT o.count AS undelivered, COALESCE(EXTRACT(epoch FROM now() - o.oldest), 0)::float8 AS oldest_s,
  (SELECT count(*) FROM run WHERE state <> 'ended') AS live_runs,
  (SELECT count(*) FROM run WHERE state = 'stuck') AS stuck_runs,
  (SELECT count(*) FROM message WHERE status = 'unknown') AS unknown_messages,
  (SELECT count(*) FROM identifier WHERE status = 'quarantined') AS quarantined,
  (SELECT count(DISTINCT key) FROM identity_log WHERE kind = 'quarantined'
    AND recorded_at > now() - interval '1 day') AS quarantined_last_day,
  ARRAY(SELECT kind FROM kill_switch) AS stops
FROM (SELECT count(*), min(recorded_at) AS oldest FROM outbox WHERE delivered_at IS NULL) o
"""

_STUCK = """
SELECT r.run_id, r.journey, COALESCE(r.detail, o.error) AS reason FROM run r
LEFT JOIN LATERAL (
  SELECT error FROM outbox WHERE lane = r.run_id AND delivered_at IS NULL ORDER BY seq LIMIT 1) o ON true
WHERE r.state = 'stuck' ORDER BY r.entered_at DESC LIMIT $1
"""

# One may have been quarantined, released and quarantined again.
_QUARANTINED = """
SELECT i.type, i.value, max(l.recorded_at) AS quarantined_at FROM (
  SELECT key, recorded_at FROM identity_log WHERE kind = 'quarantined' ORDER BY recorded_at DESC LIMIT 100) l
JOIN identifier i ON i.type = split_part(l.key, ':', 1) AND i.value = substr(l.key, strpos(l.key, ':') + 1)
WHERE i.status = 'quarantined' GROUP BY i.type, i.value ORDER BY quarantined_at DESC, i.type, i.value LIMIT $1
"""


async def backlog(connection: Any) -> Backlog:
    """The figures now."""
    return Backlog(**await connection.fetchrow(_BACKLOG))


async def stuck_runs(connection: Any, limit: int = 20) -> list[StuckRun]:
    """The newest stuck runs and why."""
    return [StuckRun(**row) for row in await connection.fetch(_STUCK, limit)]


async def lately_quarantined(connection: Any, limit: int = 5) -> list[LatelyQuarantined]:
    """The identifiers quarantined last that still are, the newest first."""
    return [LatelyQuarantined(**row) for row in await connection.fetch(_QUARANTINED, limit)]
