"""Stop the templates of which too many messages bounce or are complained about."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from profiles import stops

ACTOR = "waypost"


@dataclass(frozen=True, slots=True)
class Rates:
    """What is too many; percent of what was sent in the window. None: never."""

    complaints: float | None
    bounces: float | None
    window: timedelta
    at_least: int
    least_reports: int


@dataclass(frozen=True, slots=True)
class Sick:
    """A template that is past a limit, and is not stopped yet."""

    template: str
    sent: int
    bounced: int
    complained: int


# By the run's clock, as caps; what was sent before an operator resumed the template has been judged by them.
_SICK = """
SELECT m.template, count(*) AS sent, count(*) FILTER (WHERE m.status = 'bounced') AS bounced,
  count(m.complained_at) AS complained
FROM message m LEFT JOIN (SELECT name, max(at) AS at FROM kill_switch_log
  WHERE kind = 'template' AND done = 'resumed' GROUP BY name) r ON r.name = m.template
WHERE m.channel = ANY(ARRAY['email', 'sms', 'push']) AND m.claimed_at > now() - $1::interval
  AND m.claimed_at > COALESCE(r.at, '-infinity')
  AND m.status IN ('sent', 'delivered', 'bounced', 'opened', 'clicked')
  AND NOT EXISTS (SELECT 1 FROM kill_switch k WHERE k.kind = 'template' AND k.name = m.template)
GROUP BY m.template HAVING count(*) >= $2 AND (
  (count(m.complained_at) >= $5 AND count(m.complained_at) * 100.0 >= count(*) * $3::float8)
  OR (count(*) FILTER (WHERE m.status = 'bounced') >= $5
    AND count(*) FILTER (WHERE m.status = 'bounced') * 100.0 >= count(*) * $4::float8))
ORDER BY m.template
"""


async def sick_templates(connection: Any, rates: Rates) -> list[Sick]:
    """Templates past a limit. One statement, by the index of claims per channel."""
    limits = (rates.at_least, rates.complaints, rates.bounces, rates.least_reports)
    return [Sick(**row) for row in await connection.fetch(_SICK, rates.window, *limits)]


async def stop_template(connection: Any, sick: Sick, reason: str) -> bool:
    """Stop it in Waypost's own name; False where somebody else has. It never resumes by itself."""
    return await stops.stop(connection, "template", sick.template, reason=reason, actor=ACTOR)
