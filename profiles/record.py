"""The golden record of a person, for reading: fields and who said them, computed traits, zone and locale."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson

from profiles.golden import LOCALE, TIMEZONE, VERIFIED, Origins
from profiles.lapse import DEFAULT_LAPSE, Lapse, lapse_state


@dataclass(frozen=True, slots=True)
class OriginView:
    """Who said what a field holds. ``event_id`` is the event's own id within its source."""

    source: str
    time: datetime
    event_id: str
    verified: bool


@dataclass(frozen=True, slots=True)
class ComputedView:
    """What Waypost works out of events, orders and messages, and keeps up to date with every one of them."""

    last_seen: dict[str, datetime]
    """Channel → when the person was last heard of there."""
    preferred_channel: str | None
    """On which most messages were opened, clicked or answered, in the 180 days before the last one was."""
    preferred_hour: int | None
    """Hour of the day, in the person's zone, in which most orders and engagements fell."""
    orders: int
    spent: float
    first_order_at: datetime | None
    last_order_at: datetime | None
    median_gap_days: float | None
    days_since_order: int | None
    lapse_state: str
    opens: int
    clicks: int


@dataclass(frozen=True, slots=True)
class Guess:
    """The best that is known, what it was taken from, and when that was said."""

    value: str
    source: str
    """traits, context, phone or default."""
    at: datetime | None
    """None of a default, and where nobody kept it."""


class ZoneRule(Protocol):
    """How a zone is worked out; a decision, which the caller brings along."""

    def __call__(
        self, traits_timezone: str | None, context_timezone: str | None, phone: str | None, /
    ) -> tuple[str, str]:
        """The zone, and its source as ``Guess`` names them."""


@dataclass(frozen=True, slots=True)
class Record:
    """Fields of one person, each with where it came from."""

    traits: dict[str, Any]
    origins: dict[str, OriginView]
    computed: ComputedView
    timezone: Guess
    locale: Guess | None


_RECORD = """
SELECT p.traits::text AS traits, p.origins::text AS origins, p.context_timezone, p.context_locale,
  p.seen::text AS seen, p.preferred_channel, p.preferred_hour, p.orders, p.spent, p.first_order_at,
  p.last_order_at, p.median_gap_days, p.opens, p.clicks, now() AS now, i.value AS phone, i.since
FROM profile p LEFT JOIN LATERAL (SELECT value, since FROM identifier
  WHERE profile_id = p.profile_id AND type = 'phone' AND status <> 'quarantined'
  ORDER BY since DESC, value LIMIT 1) i ON true
WHERE p.profile_id = $1
"""


async def read(connection: Any, profile_id: UUID, zone: ZoneRule, lapse: Lapse = DEFAULT_LAPSE) -> Record:
    """The record of one profile. Raises LookupError where there is none."""
    row = await connection.fetchrow(_RECORD, profile_id)
    if row is None:
        raise LookupError(f"no profile {profile_id}")
    traits: dict[str, Any] = orjson.loads(row["traits"])
    kept: Origins = orjson.loads(row["origins"])
    origins = {
        name: OriginView(
            register["source"],
            datetime.fromisoformat(register["time"]),
            register["event_id"],
            register["rank"] >= VERIFIED,
        )
        for name, register in sorted(kept.items())
    }
    said = {name: origin.time for name, origin in origins.items()}
    return Record(
        traits=traits,
        origins=origins,
        computed=_computed(row, lapse),
        timezone=_timezone(row, text(traits, "timezone"), said, zone),
        locale=_locale(traits, row["context_locale"], said),
    )


def text(traits: dict[str, Any], name: str) -> str | None:
    """A trait that is text with something in it, else None."""
    value = traits.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _computed(row: Any, lapse: Lapse) -> ComputedView:
    last, gap = row["last_order_at"], row["median_gap_days"]
    return ComputedView(
        last_seen={channel: datetime.fromisoformat(at) for channel, at in orjson.loads(row["seen"]).items()},
        preferred_channel=row["preferred_channel"],
        preferred_hour=row["preferred_hour"],
        orders=row["orders"],
        spent=row["spent"],
        first_order_at=row["first_order_at"],
        last_order_at=last,
        median_gap_days=gap,
        days_since_order=None if last is None else (row["now"] - last).days,
        lapse_state=lapse_state(last, row["orders"], gap, row["now"], lapse),
        opens=row["opens"],
        clicks=row["clicks"],
    )


def _timezone(row: Any, named: str | None, said: dict[str, datetime], zone: ZoneRule) -> Guess:
    value, source = zone(named, row["context_timezone"], row["phone"])
    at = {"traits": said.get("timezone"), "context": said.get(TIMEZONE), "phone": row["since"]}
    return Guess(value, source, at.get(source))


def _locale(traits: dict[str, Any], from_context: str | None, said: dict[str, datetime]) -> Guess | None:
    for name in ("locale", "language"):
        if value := text(traits, name):
            return Guess(value, "traits", said.get(name))
    return None if from_context is None else Guess(from_context, "context", said.get(LOCALE))
