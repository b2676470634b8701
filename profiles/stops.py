"""Kill switches: what is stopped, switching it, and the log of that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

# A gate takes the same lock, shared, before it reads the switches (lock_person_of_run). Switching waits for
# those who have, and they for it: so no claim commits after a switch that it has not seen.
_SWITCHING = "SELECT pg_advisory_xact_lock(hashtext('waypost: stops'))"


@dataclass(frozen=True, slots=True)
class Switch:
    """Something that is stopped."""

    kind: str
    """all, channel, journey or template."""
    name: str
    """"all" where the kind is."""
    since: datetime
    """By the clock of Postgres."""
    reason: str
    actor: str


_STOP = """
WITH stopped AS (INSERT INTO kill_switch (kind, name, since, reason, actor)
  VALUES ($1, $2, clock_timestamp(), $3, $4) ON CONFLICT DO NOTHING RETURNING *)
INSERT INTO kill_switch_log (kind, name, done, reason, actor, at)
SELECT kind, name, 'stopped', reason, actor, since FROM stopped RETURNING true
"""

_RESUME = """
WITH resumed AS (DELETE FROM kill_switch WHERE kind = $1 AND name = $2 RETURNING *)
INSERT INTO kill_switch_log (kind, name, done, reason, actor, at)
SELECT kind, name, 'resumed', $3, $4, clock_timestamp() FROM resumed RETURNING true
"""

_STOPS = "SELECT kind, name, since, reason, actor FROM kill_switch ORDER BY kind, name"


async def stop(connection: Any, kind: str, name: str, *, reason: str, actor: str) -> bool:
    """Switch on. False where it was on: the first one's reason stands. In force when the transaction commits.

    Waits for the gates that have read the switches, some milliseconds; the gate's own timeouts bound it.
    """
    await connection.execute(_SWITCHING)
    return bool(await connection.fetchval(_STOP, kind, name, reason, actor))


async def resume(connection: Any, kind: str, name: str, *, reason: str, actor: str) -> bool:
    """Switch off; False where it was off. The rates of a template count anew from here."""
    return bool(await connection.fetchval(_RESUME, kind, name, reason, actor))


async def stops(connection: Any) -> list[Switch]:
    """All that is stopped now."""
    return [Switch(**row) for row in await connection.fetch(_STOPS)]
