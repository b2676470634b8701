"""Which cases are open for a person: begun by one event, and not ended by another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from profiles.db.sql import RARE_EVENT_TYPES_PREDICATE, encode_jsonb
from profiles.identity.identifiers import redact_addresses

MAX_HOLD_AGE = timedelta(days=90)
"""A case nobody has closed for so long was closed without a word."""


@dataclass(frozen=True, slots=True)
class HoldDefinition:
    """A kind of case: the name of the event that opens it, of those that close it, what tells cases apart."""

    opened: str
    closed: tuple[str, ...]
    by: str | None = None
    """A property; None: a closing event closes every case that is open."""


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A case that is open."""

    opened: str
    """Name of the event that opened it."""
    ref: str | None
    """The value of the property that tells cases apart, where the event had one."""
    since: datetime


# An event cannot have happened after it came in: a channel's clock that runs ahead must not reopen a case.
_SELECT_OPEN_HOLDS = """
SELECT h.place, h.opened, o.properties ->> h.by AS ref, min(LEAST(o.time, o.at)) AS since
FROM jsonb_to_recordset($2) AS h(place int, opened text, closed text[], by text)
JOIN event o ON o.profile_id = $1 AND o.type = h.opened AND LEAST(o.time, o.at) > $3{opened_rare}
WHERE NOT EXISTS (SELECT 1 FROM event c WHERE c.profile_id = $1 AND c.type = ANY(h.closed){closed_rare}
  AND LEAST(c.time, c.at) >= LEAST(o.time, o.at)
  AND COALESCE(c.properties ->> h.by = o.properties ->> h.by, true))
GROUP BY h.place, h.opened, o.properties ->> h.by
ORDER BY h.place, since, ref
"""

_SELECT_OPEN_HOLDS_OF_ANY_TYPES = _SELECT_OPEN_HOLDS.format(opened_rare="", closed_rare="")

# The same condition as the index's, so that a person's many views need not be read.
_SELECT_OPEN_HOLDS_OF_RARE_TYPES = _SELECT_OPEN_HOLDS.format(
    opened_rare=" AND o." + RARE_EVENT_TYPES_PREDICATE, closed_rare=" AND c." + RARE_EVENT_TYPES_PREDICATE
)


async def load_open_holds(
    connection: Any, profile_id: UUID, holds: Sequence[HoldDefinition], at: datetime
) -> tuple[OpenHold, ...]:
    """The open ones of these kinds of case, in the order asked, the oldest first.

    Open is what no closing event at or after the opening one closes; they belong together by the value of
    ``by``, and where either has none, by the person alone. Instants are the channels' own, so events may come
    in any order and late. Openings older than ``LONGEST`` before ``at`` no longer count. One round trip;
    inside the gate call it under the profile's lock, with the canonical profile.
    """
    if not holds:
        return ()
    rows = [{"place": place, **asdict(hold)} for place, hold in enumerate(holds)]
    frequent = any(
        f"'{name}'" in RARE_EVENT_TYPES_PREDICATE for hold in holds for name in (hold.opened, *hold.closed)
    )
    found = await connection.fetch(
        _SELECT_OPEN_HOLDS_OF_ANY_TYPES if frequent else _SELECT_OPEN_HOLDS_OF_RARE_TYPES,
        profile_id,
        encode_jsonb(rows),
        at - MAX_HOLD_AGE,
    )
    return tuple(
        OpenHold(row["opened"], redact_addresses({"ref": row["ref"]})["ref"], row["since"]) for row in found
    )
