"""People as rows, written past ingest, and what a naive reading makes of them."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from profiles.db.sql import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)

TAKEN_IN = START + timedelta(days=4000)

_PROFILE = "INSERT INTO profile (profile_id, traits, context_timezone, created_at) VALUES ($1, $2, $3, $4)"

_EVENT = """
INSERT INTO event (event_id, source, id, content_hash, type, channel, time, at, profile_id, properties)
VALUES ($1, 'test', $2, '', 'Order Completed', 'store', $3, $4, $5, $6)
"""

_PURCHASE = """
INSERT INTO purchase (event_id, line, profile_id, order_id, item, price, quantity, returned, channel,
  time, at)
VALUES ($1, $2, $3, $4, 'lamp', $5, $6, $7, 'store', $8, $9)
"""


async def message_row(connection: Any, profile_id: UUID, **columns: Any) -> UUID:
    """A message that was sent, written past the gate, with these columns; returns its id."""
    row = {
        "message_id": new_id(),
        "profile_id": profile_id,
        "run_id": new_id(),
        "step": "s",
        "journey": "j",
        "channel": "email",
        "template": "t",
        "message_class": "marketing",
        "items": [],
        "status": "sent",
        "decided_at": datetime.now(UTC),
        **columns,
    }
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO message ({', '.join(row)}) VALUES ({places})", *row.values())
    message_id: UUID = row["message_id"]
    return message_id


@dataclass
class Line:
    price: float | None
    quantity: int = 1
    returned: int = 0


@dataclass
class Order:
    at: datetime
    lines: list[Line] = field(default_factory=list)
    order_id: str | int | None = None


@dataclass
class Touch:
    """A message, and what became of it."""

    channel: str
    status: str
    at: datetime | None = None


@dataclass
class ProfileRows:
    """A person as rows, written past ingest."""

    orders: list[Order] = field(default_factory=list)
    touches: list[Touch] = field(default_factory=list)
    timezone: Any = None
    context_timezone: str | None = None
    profile_id: UUID = field(default_factory=new_id)

    async def keep(self, connection: Any) -> None:
        traits = {} if self.timezone is None else {"timezone": self.timezone}
        told = orjson.dumps(traits).decode()
        await connection.execute(_PROFILE, self.profile_id, told, self.context_timezone, START)
        for one in self.orders:
            event_id, said = new_id(), {} if one.order_id is None else {"order_id": one.order_id}
            properties = orjson.dumps(said).decode()
            await connection.execute(
                _EVENT, event_id, str(event_id), one.at, TAKEN_IN, self.profile_id, properties
            )
            kept = None if one.order_id is None else str(one.order_id).strip() or None
            for number, line in enumerate(one.lines):
                bought = (kept, line.price, line.quantity, line.returned, one.at, TAKEN_IN)
                await connection.execute(_PURCHASE, event_id, number, self.profile_id, *bought)
        for touch in self.touches:
            given = {"channel": touch.channel, "status": touch.status, "engaged_at": touch.at}
            await message_row(connection, self.profile_id, decided_at=START, **given)


def naive(person: ProfileRows, zone: str = "UTC") -> dict[str, Any]:
    """The same by plain loops, from the definitions."""
    placed: dict[object, list[datetime]] = {}
    for number, one in enumerate(person.orders):
        known = None if one.order_id is None else str(one.order_id).strip() or None
        placed.setdefault(known or number, []).append(one.at)
    readable = [one for one in person.orders if one.lines]
    visits: dict[object, list[datetime]] = {}
    for number, one in enumerate(person.orders):
        if one.lines:
            known = None if one.order_id is None else str(one.order_id).strip() or None
            visits.setdefault(known or number, []).append(one.at)
    days = sorted({min(reports).astimezone(UTC).date() for reports in visits.values()})
    gaps = [(later - sooner).days for sooner, later in pairwise(days)]
    paid: dict[object, list[float]] = {}
    for number, one in enumerate(person.orders):
        known = None if one.order_id is None else str(one.order_id).strip() or None
        total = sum((line.price or 0) * (line.quantity - line.returned) for line in one.lines)
        paid.setdefault(known or number, []).append(total)
    touched = [touch for touch in person.touches if touch.at]
    last = max((touch.at for touch in touched if touch.at), default=START)
    lately = Counter(t.channel for t in touched if t.at and t.at > last - timedelta(days=180))
    instants = [*(min(times) for times in placed.values()), *(touch.at for touch in touched if touch.at)]
    hours = Counter(instant.astimezone(ZoneInfo(zone)).hour for instant in instants)
    return {
        "orders": len(placed),
        "last_order_at": max((one.at for one in person.orders), default=None),
        "first_order_at": min((one.at for one in readable), default=None),
        "spent": round(sum(map(max, paid.values())), 2),
        "median_gap_days": float(median(gaps)) if len(gaps) >= 2 else None,
        "opens": sum(touch.status in ("opened", "clicked") for touch in person.touches),
        "clicks": sum(touch.status == "clicked" for touch in person.touches),
        "preferred_channel": min(
            lately, key=lambda channel: (-lately[channel], channel != "email", channel), default=None
        ),
        "preferred_hour": min(hours, key=lambda hour: (-hours[hour], hour), default=None),
    }


def somebody(chance: random.Random) -> ProfileRows:
    """A person with few enough days, ids and channels for coincidences."""

    def instant() -> datetime:
        return START + timedelta(
            days=chance.choice((0, 1, 2, 7, 30, 179, 180, 181)), hours=chance.randrange(48)
        )

    def line() -> Line:
        quantity = chance.randint(1, 3)
        return Line(chance.choice((None, 0.1, 11.77, 39.0)), quantity, chance.randint(0, quantity))

    def touch() -> Touch:
        status = chance.choice(("sent", "delivered", "bounced", "opened", "clicked"))
        at = instant() if status in ("opened", "clicked") else None
        return Touch(chance.choice(("email", "sms", "push")), status, at)

    ids = (None, None, "o-1", " o-1 ", "o-2", 7, "7", "")
    return ProfileRows(
        orders=[
            Order(instant(), [line() for _ in range(chance.randint(0, 3))], chance.choice(ids))
            for _ in range(chance.randint(0, 6))
        ],
        touches=[touch() for _ in range(chance.randint(0, 6))],
        timezone=chance.choice((None, "Asia/Tokyo")),
        context_timezone=chance.choice((None, "America/Sao_Paulo")),
    )
