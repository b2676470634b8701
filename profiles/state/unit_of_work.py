"""The rows that one transaction writes: collected first, then written together in very few statements."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog

from profiles.db import sql
from profiles.db.savepoints import execute_for_each, is_one_by_one, savepoint
from profiles.db.sql import encode_jsonb
from profiles.state.bounds import MAX_PROBLEM_LENGTH, MAX_PROBLEMS
from profiles.state.event_records import StoredEvent
from profiles.state.profile_state import CartState, ProfileState

Row = dict[str, Any]

log = structlog.get_logger(__name__)


class OutboxKind(StrEnum):
    """The kind of an outbox row, which decides how the relay delivers it."""

    START = "start"
    """Start the workflow of the run."""
    SIGNAL = "signal"
    """Signal the workflow of the run."""
    AUDIENCE = "audience"
    """Add or remove an audience member at the ad platform, as the row's name says."""


MESSAGE_RANK = (
    *("withheld", "deferred", "released", "claimed", "unknown", "unknown_final"),
    *("sent", "delivered", "bounced", "opened", "clicked"),
)
"""Statuses of a message in order. A status only moves to the right."""

ACCEPTED_STATUSES = MESSAGE_RANK[MESSAGE_RANK.index("sent") :]
"""Statuses of a message that a provider accepted."""


ASK_AGAIN_AFTER = timedelta(days=30)
"""How long an address gets no second message that asks it to confirm, for any sender."""


def _insert_sql(table: str, columns: str, conflict: str = "") -> str:
    return (
        f"INSERT INTO {table} ({columns}) SELECT {columns} "  # noqa: S608 - constant names
        f"FROM jsonb_populate_recordset(NULL::{table}, $1) {conflict}"
    )


INSERT_BY_TABLE = {
    "purchase": _insert_sql(
        "purchase",
        "event_id, line, profile_id, order_id, item, sku, name, price, quantity, returned, channel, time, at",
    ),
    "suppression": _insert_sql(
        "suppression", "profile_id, event_id, line, item, sku, order_id, until, reason, scope, of, parts"
    ),
    "consent": _insert_sql(
        "consent",
        "profile_id, channel, topic, state, source, text_version, method, jurisdiction, verified, voice, "
        "named, event_id, time, at",
    ),
    "outbox": _insert_sql("outbox", "lane, kind, name, event_id, payload, trigger"),
}
"""Table → its insert. Rows keep their order, which is the order of the events."""

# A complaint is not replaced by a bounce.
UPSERT_ADDRESS_PROBLEMS = _insert_sql(
    "address_problem",
    "channel, address, problem, at",
    "ON CONFLICT (channel, address) DO UPDATE SET problem = excluded.problem, at = excluded.at "
    "WHERE address_problem.problem <> 'complained'",
)

# An address is asked once in ``ASK_AGAIN_AFTER``. A request that waits is made younger by the next one.
UPSERT_OPT_IN_REQUESTS = _insert_sql(
    "opt_in_request",
    "channel, address, sender, at, state",
    "ON CONFLICT (channel, address) DO UPDATE SET sender = excluded.sender, at = excluded.at, "
    "state = 'waiting', settled_at = NULL WHERE opt_in_request.state = 'waiting' "
    f"OR opt_in_request.settled_at < excluded.at - interval '{ASK_AGAIN_AFTER.days} days'",
)

INSERT_RUNS = """
INSERT INTO run (run_id, journey, key, profile_id, state, workflow_id, entry_event, clock_offset_s, signals,
  entered_at, on_merge)
SELECT run_id, journey, key, profile_id, 'running', workflow_id, entry_event, clock_offset_s, 0, entered_at,
  on_merge
FROM jsonb_populate_recordset(NULL::run, $1) ORDER BY journey, key, run_id
ON CONFLICT (journey, key) WHERE state <> 'ended' DO NOTHING RETURNING run_id
"""

UPSERT_CARTS = _insert_sql(
    "cart",
    "profile_id, cart_id, lines, updated_at, closed_at",
    "ON CONFLICT (profile_id, cart_id) DO UPDATE "
    "SET lines = excluded.lines, updated_at = excluded.updated_at, closed_at = excluded.closed_at",
)

_PROFILE_COLUMNS = (
    *("profile_id", "traits", "origins", "context_timezone", "context_locale"),
    *("last_checkout_at", "sure_checkout_at", "email_ordered"),
)

UPDATE_PROFILES = """
UPDATE profile p SET traits = c.traits, origins = c.origins, context_timezone = c.context_timezone,
  context_locale = c.context_locale, email_from_order = c.email_from_order,
  last_checkout_at = c.last_checkout_at, sure_checkout_at = c.sure_checkout_at,
  email_ordered = c.email_ordered, seen = c.seen, carts_time = c.carts_time, carts_key = c.carts_key
FROM jsonb_populate_recordset(NULL::profile, $1) c WHERE p.profile_id = c.profile_id
"""

UPDATE_EVENTS = """
UPDATE event e SET profile_id = c.profile_id, cart_id = c.cart_id, problems = c.problems
FROM jsonb_populate_recordset(NULL::event, $1) c WHERE e.event_id = c.event_id
"""

UPDATE_MESSAGES = """
UPDATE message m SET status = CASE WHEN m.status = ANY(c.lower) THEN c.status ELSE m.status END,
  engaged_at = GREATEST(m.engaged_at, c.engaged_at), complained_at = LEAST(m.complained_at, c.complained_at)
FROM jsonb_to_recordset($1) AS c(message_id uuid, status text, lower text[], engaged_at timestamptz,
  complained_at timestamptz)
WHERE m.message_id = c.message_id
  AND (m.status = ANY(c.lower) OR c.engaged_at IS NOT NULL OR c.complained_at IS NOT NULL)
"""

UPDATE_SIGNAL_COUNTS = """
UPDATE run r SET signals = c.signals FROM jsonb_populate_recordset(NULL::run, $1) c WHERE r.run_id = c.run_id
"""

MARK_AUDIENCE_LEAVING = """
UPDATE audience_member a SET state = 'leaving', reason = c.reason, leaving_at = now()
FROM jsonb_to_recordset($1) AS c(member_id uuid, reason text) WHERE a.member_id = c.member_id
"""

# If purchase and return both name a variant, only that variant is returned. A product without a quantity is
# returned once on each matching line; one with a quantity is counted down line by line. A line that is
# returned in part stays suppressed. The suppressions of all profiles for a returned line end. A return of the
# whole order with an amount counts only if that is no less than the order's total, or that of its lines.
APPLY_RETURNS = """
WITH undone AS (SELECT profile_id, order_id, event_id, item, sku, verified, amount, max(at) AS at,
    count(*) FILTER (WHERE quantity IS NULL) AS times, COALESCE(sum(quantity), 0) AS quantity
  FROM jsonb_to_recordset($1) AS u(profile_id uuid, order_id text, event_id uuid,
    item text, sku text, quantity int, at timestamptz, verified boolean, amount float8)
  GROUP BY profile_id, order_id, event_id, item, sku, verified, amount),
fitting AS (SELECT p.event_id, p.line, u.item, u.times, u.quantity, GREATEST(u.at, p.at) AS at,
    p.quantity - p.returned AS there,
    COALESCE(sum(p.quantity - p.returned) OVER (PARTITION BY p.event_id, u.item, u.sku, u.verified, u.event_id
      ORDER BY p.line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
  FROM purchase p JOIN undone u ON p.profile_id = u.profile_id AND p.order_id = u.order_id
    AND (u.event_id IS NULL OR p.event_id = u.event_id)
    AND (u.verified OR NOT (SELECT e.verified FROM event e WHERE e.event_id = p.event_id))
    AND (u.amount IS NULL OR u.amount::numeric >= (
      SELECT LEAST(CASE WHEN count(*) = count(o.price) THEN sum(o.price::numeric * o.quantity) END,
        (SELECT (e.properties ->> 'total')::numeric FROM event e
          WHERE e.event_id = p.event_id AND jsonb_typeof(e.properties -> 'total') = 'number')) - 0.01
      FROM purchase o WHERE o.event_id = p.event_id))
    AND (u.item IS NULL
      OR CASE WHEN p.sku IS NULL OR u.sku IS NULL THEN p.item = u.item ELSE p.sku = u.sku END)),
given_back AS (SELECT event_id, line, max(at) AS at, sum(CASE WHEN item IS NULL THEN there
      ELSE times + LEAST(there, GREATEST(0, quantity - before)) END) AS quantity
  FROM fitting GROUP BY event_id, line),
returned AS (UPDATE purchase p SET returned = LEAST(p.quantity, p.returned + r.quantity) FROM given_back r
  WHERE p.event_id = r.event_id AND p.line = r.line
  RETURNING p.event_id, p.line, p.returned >= p.quantity AS wholly, r.at)
UPDATE suppression s SET lifted_at = r.at FROM returned r
WHERE r.wholly AND s.event_id = r.event_id AND s.line = r.line AND s.lifted_at IS NULL
"""


@dataclass(slots=True)
class UnitOfWork:
    """Rows to write at the end of one transaction."""

    inserts: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """Table → new rows; for purchase, suppression, consent and outbox."""
    new_runs: list[Row] = field(default_factory=list)
    carts: dict[tuple[UUID, str], CartState] = field(default_factory=dict)
    """(profile, cart id) → the cart. Its rows are made when all events are applied."""
    events: dict[UUID, Row] = field(default_factory=dict)
    message_updates: list[Row] = field(default_factory=list)
    returns: list[Row] = field(default_factory=list)
    signal_counts: dict[UUID, int] = field(default_factory=dict)
    """Run → its number of signals."""
    audience_removals: dict[UUID, str] = field(default_factory=dict)
    """Audience member → reason of the removal."""
    address_problems: dict[tuple[str, str], Row] = field(default_factory=dict)
    opt_in_requests: dict[tuple[str, str], Row] = field(default_factory=dict)
    one_by_one: bool = field(default_factory=is_one_by_one)
    """Whether a row that Postgres refuses is left out, with a problem of its event. Costs more."""

    def save_cart(self, person: ProfileState, cart: CartState) -> None:
        """Add a cart, to be written as it is in the end."""
        self.carts[person.profile_id, cart.cart_id] = cart

    def leave_audiences(self, person: ProfileState, reason: str) -> None:
        """Add the removal of a profile from all its ad audiences."""
        for member in person.audiences:
            self.audience_removals[member.member_id] = reason
            payload = {"audience": member.audience, "reason": reason}
            self.add_outbox_row(OutboxKind.AUDIENCE, member.member_id, "remove", payload)
        person.audiences = []

    def add_outbox_row(
        self,
        kind: OutboxKind,
        lane: UUID,
        name: str,
        payload: Row,
        *,
        event_id: UUID | None = None,
        trigger: bool = False,
    ) -> None:
        """Add a delivery. ``lane``: the run or audience member. ``trigger``: the event could start a run."""
        row = {"lane": lane, "kind": kind, "name": name, "event_id": event_id, "payload": payload}
        self.inserts["outbox"].append(row | {"trigger": trigger})

    def add_problem(self, event_id: UUID, journey: str, detail: str) -> None:
        """Record on the event what could not be processed, for which journey."""
        row = self.events.get(event_id)
        if row is not None and len(row["problems"]) < MAX_PROBLEMS:
            row["problems"].append({"journey": journey, "detail": detail[:MAX_PROBLEM_LENGTH]})

    def request_opt_in(self, channel: str, address: str, stored: StoredEvent) -> None:
        """Request that the owner of an address confirms the consent of an unverified event."""
        row = {"channel": channel, "address": address, "at": stored.at, "state": "waiting"}
        self.opt_in_requests[channel, address] = row | {"sender": stored.incoming.sender}

    async def write(self, connection: Any, persons: dict[UUID, ProfileState]) -> None:
        """Write all rows, without runs of which another profile's live run has the key.

        First the runs, since their keys may be taken; then all other tables in one statement; then the
        returns, which must see the rows of that statement. Locks held: the profiles', by the caller.
        """
        if self.one_by_one:
            await self._write_one_by_one(connection, persons)
            return
        await self._write_runs(connection, self.new_runs)
        parts: list[str] = []
        arguments: list[Any] = []
        for statement, rows in self._statements(persons):
            if rows:
                arguments.append(encode_jsonb(rows))
                parts.append(statement.replace("$1", f"${len(arguments)}"))
        if self.inserts["outbox"]:
            parts.append(sql.NOTIFY_OUTBOX)
        if parts:
            named = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts[:-1]))
            await connection.execute(f"WITH {named} {parts[-1]}" if named else parts[-1], *arguments)
        if self.returns:
            await connection.execute(APPLY_RETURNS, encode_jsonb(self.returns))

    def _statements(self, persons: dict[UUID, ProfileState]) -> list[tuple[str, list[Row]]]:
        """Return statements with their rows: where others write too, in key order, against deadlocks."""
        return [
            *((statement, self.inserts[table]) for table, statement in INSERT_BY_TABLE.items()),
            (UPSERT_ADDRESS_PROBLEMS, [row for _, row in sorted(self.address_problems.items())]),
            (UPSERT_OPT_IN_REQUESTS, [row for _, row in sorted(self.opt_in_requests.items())]),
            (UPSERT_CARTS, [_cart_row(profile_id, cart) for (profile_id, _), cart in self.carts.items()]),
            (UPDATE_MESSAGES, self._highest_messages()),
            (UPDATE_SIGNAL_COUNTS, _as_rows(("run_id", "signals"), self.signal_counts)),
            (MARK_AUDIENCE_LEAVING, _as_rows(("member_id", "reason"), self.audience_removals)),
            (UPDATE_PROFILES, [_profile_row(person) for person in persons.values() if person.is_dirty]),
            (UPDATE_EVENTS, list(self.events.values())),
        ]

    def _highest_messages(self) -> list[Row]:
        """Return one row for each message: its highest status, last engagement and first complaint."""
        highest: dict[UUID, int] = {}
        engaged: dict[UUID, datetime] = {}
        complained: dict[UUID, datetime] = {}
        for row in self.message_updates:
            message, rank = row["message_id"], MESSAGE_RANK.index(row["status"])
            highest[message] = max(rank, highest.get(message, rank))
            if (at := row["engaged_at"]) is not None:
                engaged[message] = max(at, engaged.get(message, at))
            if (at := row["complained_at"]) is not None:
                complained[message] = min(at, complained.get(message, at))
        return [
            {
                "message_id": message,
                "status": MESSAGE_RANK[rank],
                "lower": MESSAGE_RANK[:rank],
                "engaged_at": engaged.get(message),
                "complained_at": complained.get(message),
            }
            for message, rank in highest.items()
        ]

    async def _write_runs(self, connection: Any, new_runs: Sequence[Row]) -> None:
        if not new_runs:
            return
        started = {row["run_id"] for row in await connection.fetch(INSERT_RUNS, encode_jsonb(new_runs))}
        for run in new_runs:
            if run["run_id"] not in started:
                self._drop_run(run, f"key {run['key']!r} already has a live run of another profile")

    def _drop_run(self, run: Row, reason: str) -> None:
        self.add_problem(run["entry_event"], run["journey"], reason)
        self.inserts["outbox"] = [row for row in self.inserts["outbox"] if row["lane"] != run["run_id"]]
        self.signal_counts.pop(run["run_id"], None)

    async def _write_one_by_one(self, connection: Any, persons: dict[UUID, ProfileState]) -> None:
        """Write all rows but those that Postgres refuses. What bars messages is written first."""
        for run in self.new_runs:
            async with savepoint(connection, lambda error, run=run: self._drop_run(run, repr(error))):  # type: ignore[misc]
                await self._write_runs(connection, [run])
        statements = self._statements(persons)
        *others, events = statements
        first = (INSERT_BY_TABLE["suppression"], INSERT_BY_TABLE["consent"])
        for statement, rows in sorted(others, key=lambda each: each[0] not in first):
            await self._execute_for_each(connection, statement, rows)
        await self._execute_for_each(connection, APPLY_RETURNS, self.returns)
        await self._execute_for_each(connection, *events)
        await connection.execute(sql.NOTIFY_OUTBOX)

    async def _execute_for_each(self, connection: Any, statement: str, rows: Sequence[Row]) -> None:
        for position, error in (await execute_for_each(connection, statement, rows)).items():
            row, table = rows[position], statement.split()[2]
            event_id = row.get("event_id")
            concerned = [event_id] if event_id is not None else self._events_of(row.get("profile_id"))
            problem = f"a row of {table} could not be stored and was left out: {error}"
            log.error("row left out", table=table, events=concerned, error=error[:300])
            for each in concerned:
                self.add_problem(each, "", problem)

    def _events_of(self, profile_id: UUID | None) -> list[UUID]:
        return [event_id for event_id, row in self.events.items() if row["profile_id"] == profile_id]


def _as_rows(names: tuple[str, str], values: Mapping[UUID, object]) -> list[Row]:
    return [dict(zip(names, pair, strict=True)) for pair in values.items()]


def _cart_row(profile_id: UUID, cart: CartState) -> Row:
    return {
        "profile_id": profile_id,
        "cart_id": cart.cart_id,
        "lines": [line.model_dump(exclude_none=True) for line in cart.lines],
        "updated_at": cart.updated_at,
        "closed_at": cart.closed_at,
    }


def _profile_row(person: ProfileState) -> Row:
    time, *names = person.carts_sort_key or (None,)
    row = {name: getattr(person, name) for name in _PROFILE_COLUMNS}
    row |= {"email_from_order": person.is_customer_by_email, "seen": person.last_seen}
    return row | {"carts_time": time, "carts_key": "\x1f".join(names) if time else None}
