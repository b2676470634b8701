"""What a transaction is going to write, gathered first and written in bulk: one statement a table."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.person import OpenCart, Person

Row = dict[str, Any]

MESSAGE_RANK = (
    "withheld deferred released claimed unknown unknown_final sent delivered bounced opened clicked".split(
        " "
    )
)
"""A message's status only ever moves to the right."""

_INSERTS = {
    "purchase": (
        "event_id line profile_id order_id item sku name price quantity returned channel time at",
        "ON CONFLICT DO NOTHING",
    ),
    "suppression": ("profile_id event_id line item sku order_id until reason", "ON CONFLICT DO NOTHING"),
    "consent": ("profile_id channel topic state source event_id at", ""),
    "opt_out": (
        "channel address topic source at",
        "ON CONFLICT (channel, address, topic) DO UPDATE SET source = excluded.source, at = excluded.at",
    ),
    "address_problem": (
        "channel address problem at",
        "ON CONFLICT (channel, address) DO UPDATE SET problem = excluded.problem, at = excluded.at",
    ),
    "outbox": ("lane kind name event_id payload trigger", ""),
}

_RUNS = """
INSERT INTO run (run_id, journey, key, profile_id, state, workflow_id, entry_event, clock_offset_s, signals, entered_at)
SELECT run_id, journey, key, profile_id, 'running', workflow_id, entry_event, clock_offset_s, 0, entered_at
FROM jsonb_populate_recordset(NULL::run, $1) ORDER BY journey, key
ON CONFLICT (journey, key) WHERE state <> 'ended' DO NOTHING RETURNING run_id
"""

_CARTS = """
INSERT INTO cart (profile_id, cart_id, lines, updated_at, closed_at)
SELECT profile_id, cart_id, lines, updated_at, closed_at FROM jsonb_populate_recordset(NULL::cart, $1)
ORDER BY profile_id, cart_id
ON CONFLICT (profile_id, cart_id) DO UPDATE
SET lines = excluded.lines, updated_at = excluded.updated_at, closed_at = excluded.closed_at
"""

_PROFILES = """
UPDATE profile p SET traits = c.traits, context_timezone = c.context_timezone,
  email_from_order = c.email_from_order, last_order_at = c.last_order_at, orders = c.orders
FROM jsonb_populate_recordset(NULL::profile, $1) c WHERE p.profile_id = c.profile_id
"""

_EVENTS = """
UPDATE event e SET profile_id = c.profile_id, cart_id = c.cart_id, problems = c.problems
FROM jsonb_populate_recordset(NULL::event, $1) c WHERE e.event_id = c.event_id
"""

_MESSAGES = """
UPDATE message m SET status = c.status
FROM (SELECT DISTINCT ON (message_id) message_id, status FROM jsonb_populate_recordset(NULL::message, $1)
      ORDER BY message_id, array_position($2::text[], status) DESC) c
WHERE m.message_id = c.message_id
  AND array_position($2::text[], c.status) > array_position($2::text[], m.status)
"""

_LIFT = """
WITH undone AS (SELECT * FROM jsonb_to_recordset($1) AS u(profile_id uuid, order_id text, item text, sku text,
  quantity int, at timestamptz)),
lifted AS (UPDATE suppression s SET lifted_at = u.at FROM undone u
  WHERE s.profile_id = u.profile_id AND s.order_id = u.order_id AND s.lifted_at IS NULL
    AND (u.item IS NULL OR s.item = u.item OR s.sku = u.sku))
UPDATE purchase p SET returned = LEAST(p.quantity, p.returned + COALESCE(u.quantity, p.quantity)) FROM undone u
WHERE p.profile_id = u.profile_id AND p.order_id = u.order_id
  AND (u.item IS NULL OR p.item = u.item OR p.sku = u.sku)
"""

_SIGNALS = """
UPDATE run r SET signals = c.signals FROM jsonb_populate_recordset(NULL::run, $1) c WHERE r.run_id = c.run_id
"""

_LEAVE = "UPDATE audience_member SET state = 'leaving', reason = $2 WHERE member_id = ANY($1)"

_REOPEN = """
DELETE FROM opt_out o USING jsonb_to_recordset($1) AS c(channel text, address text, topic text)
WHERE o.channel = c.channel AND o.address = c.address AND o.topic = c.topic
"""


def encode(rows: Any) -> str:
    """JSON for one jsonb parameter."""
    return orjson.dumps(rows, default=str).decode()


@dataclass(slots=True)
class Changes:
    """Rows to write at the end of one transaction."""

    inserts: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    runs: list[Row] = field(default_factory=list)
    carts: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    events: dict[UUID, Row] = field(default_factory=dict)
    messages: list[Row] = field(default_factory=list)
    undone: list[Row] = field(default_factory=list)
    signals: dict[UUID, int] = field(default_factory=dict)
    leaving: list[UUID] = field(default_factory=list)
    reopened: list[Row] = field(default_factory=list)

    def keep_cart(self, person: Person, cart: OpenCart, closed_at: datetime | None) -> None:
        """Write a cart's lines as they are now."""
        self.carts[person.profile_id, cart.cart_id] = {
            "profile_id": person.profile_id,
            "cart_id": cart.cart_id,
            "lines": [line.model_dump(exclude_none=True) for line in cart.lines],
            "updated_at": cart.updated_at,
            "closed_at": closed_at,
        }

    def problem(self, event_id: UUID, journey: str, detail: str) -> None:
        """Record on the event what could not be done with it."""
        if (row := self.events.get(event_id)) is not None:
            row["problems"].append({"journey": journey, "detail": detail})

    async def write(self, connection: Any, persons: dict[UUID, Person]) -> None:
        """Write everything; the outbox last, and without the starts of runs that lost their key's race."""
        await self._write_runs(connection)
        for table, (columns, conflict) in _INSERTS.items():
            if rows := self.inserts[table]:
                names = ", ".join(columns.split(" "))
                await connection.execute(
                    f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608 - names are constants above
                    f"FROM jsonb_populate_recordset(NULL::{table}, $1) {conflict}",
                    encode(rows),
                )
        if self.carts:
            await connection.execute(_CARTS, encode(list(self.carts.values())))
        if self.messages:
            await connection.execute(_MESSAGES, encode(self.messages), MESSAGE_RANK)
        if self.undone:
            await connection.execute(_LIFT, encode(self.undone))
        if self.signals:
            await connection.execute(
                _SIGNALS, encode([{"run_id": run, "signals": count} for run, count in self.signals.items()])
            )
        if self.leaving:
            await connection.execute(_LEAVE, self.leaving, "purchased")
        if self.reopened:
            await connection.execute(_REOPEN, encode(self.reopened))
        await self._write_profiles(connection, persons)
        if self.events:
            await connection.execute(_EVENTS, encode(list(self.events.values())))
        if self.inserts["outbox"]:
            await connection.execute("SELECT pg_notify('waypost_outbox', '')")

    async def _write_runs(self, connection: Any) -> None:
        if not self.runs:
            return
        started = {row["run_id"] for row in await connection.fetch(_RUNS, encode(self.runs))}
        for run in self.runs:
            if run["run_id"] not in started:
                self.problem(
                    run["entry_event"],
                    run["journey"],
                    f"key {run['key']!r} already has a live run of another profile",
                )
        lost = {run["run_id"] for run in self.runs} - started
        self.inserts["outbox"] = [row for row in self.inserts["outbox"] if row["lane"] not in lost]
        self.signals = {run: count for run, count in self.signals.items() if run not in lost}

    async def _write_profiles(self, connection: Any, persons: dict[UUID, Person]) -> None:
        rows = [
            {
                "profile_id": person.profile_id,
                "traits": person.traits,
                "context_timezone": person.context_timezone,
                "email_from_order": person.email_from_order,
                "last_order_at": person.last_order_at,
                "orders": person.orders,
            }
            for person in persons.values()
            if person.changed
        ]
        if rows:
            await connection.execute(_PROFILES, encode(rows))
