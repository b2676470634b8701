"""Kill switches, the log of their changes, and the templates that are past a deliverability limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from profiles.db.sql import fetch_as
from profiles.state.unit_of_work import ACCEPTED_STATUSES

AUTOMATIC_ACTOR = "waypost"
"""Actor of the templates that a sweep stops. Only an operator resumes them."""

# A gate takes the same lock, shared, before it reads the switches (lock_person_of_run). A switch waits for
# gates that hold it, and gates wait for the switch. So no claim commits after a switch that it has not seen.
_LOCK_KILL_SWITCHES = "SELECT pg_advisory_xact_lock(hashtext('waypost: stops'))"


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """A kill switch that is on."""

    kind: str
    """all, channel, journey or template."""
    name: str
    """``all`` where the kind is ``all``."""
    since: datetime
    """By the clock of Postgres."""
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class DeliverabilityLimits:
    """Limits, in percent of the messages sent in the window. None: no limit."""

    max_complaint_percent: float | None
    max_bounce_percent: float | None
    window: timedelta
    min_sent: int
    min_reports: int


@dataclass(frozen=True, slots=True)
class UnhealthyTemplate:
    """A template that is past a limit and not stopped yet."""

    template: str
    sent: int
    bounced: int
    complained: int


_INSERT_KILL_SWITCH = """
WITH stopped AS (INSERT INTO kill_switch (kind, name, since, reason, actor)
  VALUES ($1, $2, clock_timestamp(), $3, $4) ON CONFLICT DO NOTHING RETURNING *)
INSERT INTO kill_switch_log (kind, name, done, reason, actor, at)
SELECT kind, name, 'stopped', reason, actor, since FROM stopped RETURNING true
"""

_DELETE_KILL_SWITCH = """
WITH resumed AS (DELETE FROM kill_switch WHERE kind = $1 AND name = $2 RETURNING *)
INSERT INTO kill_switch_log (kind, name, done, reason, actor, at)
SELECT kind, name, 'resumed', $3, $4, clock_timestamp() FROM resumed RETURNING true
"""

_SELECT_KILL_SWITCHES = "SELECT kind, name, since, reason, actor FROM kill_switch ORDER BY kind, name"

# By the run's clock, as caps. Messages before an operator resumed the template no longer count.
_SELECT_UNHEALTHY_TEMPLATES = f"""
SELECT m.template, count(*) AS sent, count(*) FILTER (WHERE m.status = 'bounced') AS bounced,
  count(m.complained_at) AS complained
FROM message m LEFT JOIN (SELECT name, max(at) AS at FROM kill_switch_log
  WHERE kind = 'template' AND done = 'resumed' GROUP BY name) r ON r.name = m.template
WHERE m.channel = ANY(ARRAY['email', 'sms', 'push']) AND m.claimed_at > now() - $1::interval
  AND m.claimed_at > COALESCE(r.at, '-infinity')
  AND m.status IN {ACCEPTED_STATUSES}
  AND NOT EXISTS (SELECT 1 FROM kill_switch k WHERE k.kind = 'template' AND k.name = m.template)
GROUP BY m.template HAVING count(*) >= $2 AND (
  (count(m.complained_at) >= $5 AND count(m.complained_at) * 100.0 >= count(*) * $3::float8)
  OR (count(*) FILTER (WHERE m.status = 'bounced') >= $5
    AND count(*) FILTER (WHERE m.status = 'bounced') * 100.0 >= count(*) * $4::float8))
ORDER BY m.template
"""  # noqa: S608 - constant names


async def activate_kill_switch(connection: Any, kind: str, name: str, *, reason: str, actor: str) -> bool:
    """Turn a kill switch on. Returns False where it was on; its first reason stays.

    In force when the transaction commits. Waits some milliseconds for the gates that have read the switches;
    the gate's own timeouts limit the wait.
    """
    await connection.execute(_LOCK_KILL_SWITCHES)
    return bool(await connection.fetchval(_INSERT_KILL_SWITCH, kind, name, reason, actor))


async def deactivate_kill_switch(connection: Any, kind: str, name: str, *, reason: str, actor: str) -> bool:
    """Turn a kill switch off. Returns False where it was off. A template's rates then count anew."""
    return bool(await connection.fetchval(_DELETE_KILL_SWITCH, kind, name, reason, actor))


async def list_kill_switches(connection: Any) -> list[KillSwitch]:
    """Return all kill switches that are on."""
    return await fetch_as(connection, KillSwitch, _SELECT_KILL_SWITCHES)


async def unhealthy_templates(connection: Any, rates: DeliverabilityLimits) -> list[UnhealthyTemplate]:
    """Return the templates past a limit. One statement, by the index of claims per channel."""
    limits = (rates.min_sent, rates.max_complaint_percent, rates.max_bounce_percent, rates.min_reports)
    return await fetch_as(connection, UnhealthyTemplate, _SELECT_UNHEALTHY_TEMPLATES, rates.window, *limits)
