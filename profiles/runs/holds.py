"""Holds: the open cases of a profile, opened by one event and not closed by another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from profiles.db.sql import RARE_EVENT_TYPES_PREDICATE, encode_jsonb
from profiles.reading.ids import NORMAL_ID_SQL
from profiles.redaction import redact_value

MAX_HOLD_AGE = timedelta(days=90)
"""A case that was opened longer ago counts as closed."""

MAX_UNVERIFIED_HOLD_AGE = timedelta(days=7)
"""The same for a case that an unverified event opened."""

MAX_UNVERIFIED_HOLDS = 3
"""Cases of one kind that unverified events may open for a profile within ``MAX_HOLD_AGE``: the first ones."""


@dataclass(frozen=True, slots=True)
class HoldDefinition:
    """A kind of case: the event that opens it, those that close it, and the property that identifies it."""

    opened: str
    closed: tuple[str, ...]
    by: str | None = None
    """A property. None: a closing event closes every open case."""


@dataclass(frozen=True, slots=True)
class OpenHold:
    """An open case."""

    opened: str
    """Name of the event that opened it."""
    ref: str | None
    """The value of the property that identifies the case, where the event had one."""
    since: datetime


_OPENED_REF = NORMAL_ID_SQL.format("(o.properties ->> h.by)")

_CLOSED_REF = NORMAL_ID_SQL.format("(c.properties ->> o.by)")

# An event counts at its arrival at the latest: a channel's clock that runs ahead must not reopen a case. What
# unverified events open is bounded by their arrival alone, which no sender chooses.
_SELECT_OPEN_HOLDS = f"""
WITH opening AS (
  SELECT h.*, {_OPENED_REF} AS ref, LEAST(o.time, o.at) AS since, o.at, o.verified,
    row_number() OVER (PARTITION BY h.place, o.verified ORDER BY o.at, o.event_id) AS number
  FROM jsonb_to_recordset($2) AS h(place int, opened text, closed text[], by text)
  JOIN event o ON o.profile_id = $1 AND o.type = h.opened AND o.superseded_by IS NULL
    AND LEAST(o.time, o.at) > $3{{opened_rare}})
SELECT o.place, o.opened, o.ref, min(o.since) AS since FROM opening o
WHERE (o.verified OR (o.number <= $4 AND o.at > $5))
  AND NOT EXISTS (SELECT 1 FROM event c WHERE c.profile_id = $1 AND c.type = ANY(o.closed){{closed_rare}}
    AND (c.verified OR NOT o.verified) AND c.superseded_by IS NULL AND LEAST(c.time, c.at) >= o.since
    AND COALESCE({_CLOSED_REF} = o.ref, true))
GROUP BY o.place, o.opened, o.ref
ORDER BY o.place, since, o.ref
"""  # noqa: S608 - constant fragments

_SELECT_OPEN_HOLDS_OF_ANY_TYPES = _SELECT_OPEN_HOLDS.format(opened_rare="", closed_rare="")

# The same condition as the index's, so that a profile's many views are not read.
_SELECT_OPEN_HOLDS_OF_RARE_TYPES = _SELECT_OPEN_HOLDS.format(
    opened_rare=" AND o." + RARE_EVENT_TYPES_PREDICATE, closed_rare=" AND c." + RARE_EVENT_TYPES_PREDICATE
)


async def load_open_holds(
    connection: Any, profile_id: UUID, holds: Sequence[HoldDefinition], at: datetime
) -> tuple[OpenHold, ...]:
    """Return the open cases of these kinds, in the order of ``holds``, each kind with the oldest first.

    A case is open if no closing event has the time of the opening event or a later one. The two belong
    together by the value of ``by``, and where either has none, by the profile alone. Times are the
    channels' own, so events may arrive late and in any order. Openings longer ago than ``MAX_HOLD_AGE``
    before ``at`` do not count. What a verified event opened only a verified event closes. Of the unverified
    openings only the first ``MAX_UNVERIFIED_HOLDS`` count, for ``MAX_UNVERIFIED_HOLD_AGE`` from their
    arrival. One round trip.
    Locks held: in the gate, that of the profile, which is then the canonical one.
    """
    if not holds:
        return ()
    rows = [{"place": place, **asdict(hold)} for place, hold in enumerate(holds)]
    frequent = any(
        f"'{name}'" in RARE_EVENT_TYPES_PREDICATE for hold in holds for name in (hold.opened, *hold.closed)
    )
    query = _SELECT_OPEN_HOLDS_OF_ANY_TYPES if frequent else _SELECT_OPEN_HOLDS_OF_RARE_TYPES
    bounds = at - MAX_HOLD_AGE, MAX_UNVERIFIED_HOLDS, at - MAX_UNVERIFIED_HOLD_AGE
    found = await connection.fetch(query, profile_id, encode_jsonb(rows), *bounds)
    return tuple(OpenHold(row["opened"], redact_value(row["ref"]), row["since"]) for row in found)
