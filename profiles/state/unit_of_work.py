"""The rows that one transaction writes: collected first, then written together in very few statements."""

from collections import Counter, defaultdict
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
from profiles.events import END_RUN
from profiles.state.bounds import MAX_PROBLEM_LENGTH, MAX_PROBLEMS, Problem
from profiles.state.event_records import StoredEvent
from profiles.state.profile_state import CartState, ProfileState
from profiles.state.run_keys import distinct_key
from profiles.state.unstarted_runs import UnstartedRuns

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


SUPERSEDED_OUTCOME = "superseded"
"""Outcome of a run of an unverified event, in the place of which a verified event started another run."""

SUPERSEDED_DETAIL = "an unverified event started it, and a verified one with its key is about something else"

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
    "outbox": _insert_sql("outbox", "lane, kind, name, event_id, payload, trigger, verified"),
}
"""Table → its insert. Rows keep their order, which is the order of the events."""

# A complaint is not replaced by a bounce. A bounce of before an operator reopened the address closes nothing.
UPSERT_ADDRESS_PROBLEMS = """
INSERT INTO address_problem (channel, address, problem, at)
SELECT n.channel, n.address, n.problem, n.at
FROM jsonb_to_recordset($1) AS n(channel text, address text, problem text, at timestamptz, time timestamptz)
WHERE n.problem = 'complained' OR NOT EXISTS (SELECT 1 FROM address_log l
  WHERE l.channel = n.channel AND l.address = n.address AND l.problem = 'bounced' AND l.at >= n.time)
ON CONFLICT (channel, address) DO UPDATE SET problem = excluded.problem, at = excluded.at, reopened_at = NULL
WHERE address_problem.problem <> 'complained'
"""

UPSERT_SOFT_BOUNCES = _insert_sql(
    "soft_bounce",
    "channel, address, ref, time, at, word, lifted_at, lifted_by",
    "ON CONFLICT (channel, address, ref) DO NOTHING",
)

LIFT_SOFT_BOUNCES = """
UPDATE soft_bounce s SET lifted_at = n.at, lifted_by = n.name
FROM jsonb_to_recordset($1) AS n(channel text, address text, name text, time timestamptz, at timestamptz)
WHERE s.channel = n.channel AND s.address = n.address AND s.time <= n.time AND s.lifted_at IS NULL
"""

# An address is asked once in ``ASK_AGAIN_AFTER``. A request that waits is made younger by the next one.
UPSERT_OPT_IN_REQUESTS = _insert_sql(
    "opt_in_request",
    "channel, address, sender, at, state",
    "ON CONFLICT (channel, address) DO UPDATE SET sender = excluded.sender, at = excluded.at, "
    "state = 'waiting', settled_at = NULL WHERE opt_in_request.state = 'waiting' "
    f"OR opt_in_request.settled_at < excluded.at - interval '{ASK_AGAIN_AFTER.days} days'",
)

# A later declaration stays in force. Of two at the same time the withdrawal does.
UPSERT_OPT_OUTS = _insert_sql(
    "opt_out",
    "channel, address, topic, source, state, time, at",
    "ON CONFLICT (channel, address, topic) DO UPDATE SET source = excluded.source, state = excluded.state, "
    "time = excluded.time, at = excluded.at WHERE excluded.time > opt_out.time "
    "OR (excluded.time = opt_out.time AND opt_out.state = 'granted')",
)

_INSERT_RUNS = """
INSERT INTO run (run_id, journey, key, profile_id, state, workflow_id, entry_event, clock_offset_s, signals,
  entered_at, on_merge, verified, entry_digest)
SELECT run_id, journey, key, profile_id, 'running', workflow_id, entry_event, clock_offset_s, 0, entered_at,
  on_merge, verified, entry_digest
FROM jsonb_populate_recordset(NULL::run, $1) n {condition} ORDER BY journey, key, run_id
ON CONFLICT (journey, key) WHERE state <> 'ended' DO NOTHING RETURNING run_id
"""

INSERT_RUNS = _INSERT_RUNS.format(condition="")

# The profile's lock makes the condition certain: one live run for each journey, profile and key.
INSERT_RUNS_OF_TAKEN_KEYS = _INSERT_RUNS.format(
    condition="""WHERE NOT EXISTS (SELECT 1 FROM run r WHERE r.profile_id = n.profile_id
  AND r.journey = n.journey AND split_part(r.key, chr(31), 1) = split_part(n.key, chr(31), 1)
  AND r.state <> 'ended')"""
)

END_SUPERSEDED_RUNS = """
UPDATE run SET state = 'ended', outcome = $2, detail = $3, ended_at = now()
WHERE run_id = ANY($1) AND state <> 'ended'
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
UPDATE run r SET signals = COALESCE(c.signals, r.signals),
  unverified_signals = COALESCE(c.unverified_signals, r.unverified_signals),
  verified = r.verified OR COALESCE(c.verified, false)
FROM jsonb_populate_recordset(NULL::run, $1) c WHERE r.run_id = c.run_id
"""

MARK_AUDIENCE_LEAVING = """
UPDATE audience_member a SET state = 'leaving', reason = c.reason, leaving_at = now()
FROM jsonb_to_recordset($1) AS c(member_id uuid, reason text) WHERE a.member_id = c.member_id
"""

# If purchase and return both name a variant, only that variant is returned. A product without a quantity is
# returned once on each matching line; one with a quantity is counted down line by line. A line that is
# returned in part stays suppressed. The suppressions of all profiles for a returned line end. A return of the
# whole order with an amount counts only if that is no less than the order's total, or that of its lines. What
# one account says adds up. Of several accounts of an order the greatest number of pieces of a line counts.
APPLY_RETURNS = """
WITH undone AS (SELECT profile_id, order_id, event_id, item, sku, verified, amount, account, max(at) AS at,
    count(*) FILTER (WHERE quantity IS NULL) AS times, COALESCE(sum(quantity), 0) AS quantity
  FROM jsonb_to_recordset($1) AS u(profile_id uuid, order_id text, event_id uuid,
    item text, sku text, quantity int, at timestamptz, verified boolean, amount float8, account text)
  GROUP BY profile_id, order_id, event_id, item, sku, verified, amount, account),
fitting AS (SELECT p.event_id, p.line, u.account, u.item, u.times, u.quantity, GREATEST(u.at, p.at) AS at,
    p.quantity - p.returned AS there,
    COALESCE(sum(p.quantity - p.returned) OVER (PARTITION BY p.event_id, u.item, u.sku, u.verified,
      u.event_id, u.account ORDER BY p.line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
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
told AS (SELECT event_id, line, account, max(at) AS at, sum(CASE WHEN item IS NULL THEN there
      ELSE times + LEAST(there, GREATEST(0, quantity - before)) END) AS quantity
  FROM fitting GROUP BY event_id, line, account),
given_back AS (SELECT event_id, line, max(at) AS at, max(quantity) AS quantity
  FROM told GROUP BY event_id, line),
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
    recounted_orders: set[tuple[UUID, str]] = field(default_factory=set)
    """(profile, order) of which several refunds or cancellations are known, or one before its purchase: what
    was returned is counted anew from all of them."""
    signal_counts: dict[UUID, int] = field(default_factory=dict)
    """Run → its number of signals."""
    unverified_signal_counts: dict[UUID, int] = field(default_factory=dict)
    """Run → how many of its signals are unverified events."""
    newly_verified_runs: set[UUID] = field(default_factory=set)
    """Runs of an unverified event that a verified one confirms."""
    superseded_runs: list[UUID] = field(default_factory=list)
    """Live runs of an unverified event, in the place of which a verified one starts a run."""
    audience_removals: dict[UUID, str] = field(default_factory=dict)
    """Audience member → reason of the removal."""
    address_problems: dict[tuple[str, str], Row] = field(default_factory=dict)
    soft_bounces: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    """(channel, address, message or event) → the first soft bounce of it."""
    proven_addresses: dict[tuple[str, str], Row] = field(default_factory=dict)
    """(channel, address) → the latest event that shows that it takes messages."""
    address_reports: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(channel, kind) → reports that close an address, or count towards it."""
    opt_in_requests: dict[tuple[str, str], Row] = field(default_factory=dict)
    opt_outs: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    """(channel, address, topic) → the latest withdrawal of these events that names the address."""
    consent_topics: dict[UUID | str, set[str]] = field(default_factory=dict)
    """Profile, and identifier as type:value → its topics of consent on record."""
    untrusted_events: set[UUID] = field(default_factory=set)
    """Events that neither the shop's systems nor Waypost sent. Any sender can send them in any number."""
    unverified_lines: Counter[UUID] = field(default_factory=Counter)
    """Profile → how many of the new suppressions are of unverified orders."""
    left_out: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    """(event, table, "run" or "lines") → how many of its derived rows, or of its starts, were left out."""
    unstarted_runs: UnstartedRuns | None = None
    """The bound of runs that these events may start; None: there is none."""
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
        """Add a delivery. ``lane``: the run or audience member. ``trigger``: the event could start a run.

        Rows of events that are not of the shop are delivered after the others.
        """
        row = {"lane": lane, "kind": kind, "name": name, "event_id": event_id, "payload": payload}
        self.inserts["outbox"].append(
            row | {"trigger": trigger, "verified": event_id not in self.untrusted_events}
        )

    def add_problem(self, event_id: UUID, journey: str, detail: str) -> None:
        """Record on the event what could not be processed, for which journey."""
        row = self.events.get(event_id)
        if row is not None and len(row["problems"]) < MAX_PROBLEMS:
            row["problems"].append({"journey": journey, "detail": detail[:MAX_PROBLEM_LENGTH]})

    def leave_out(self, event_id: UUID, journey: str, reason: str, detail: str) -> None:
        """Record that an unverified event had no effect on a journey. ``reason``: one word, for the count."""
        self.left_out[event_id, reason] += 1
        self.add_problem(event_id, journey, detail)

    def supersede_run(self, run_id: UUID) -> None:
        """End a live run of an unverified event, or do not begin it if it is new in this transaction."""
        new = next((run for run in self.new_runs if run["run_id"] == run_id), None)
        if new is not None:
            self.new_runs.remove(new)
            self._drop_run(new, SUPERSEDED_DETAIL)
            return
        self.superseded_runs.append(run_id)
        ending = {"outcome": SUPERSEDED_OUTCOME, "reason": SUPERSEDED_DETAIL}
        self.add_outbox_row(OutboxKind.SIGNAL, run_id, END_RUN, ending)

    def add_event_problem(self, event_id: UUID, problem: Problem) -> None:
        """Record on the event a problem of its own: code, pointer and detail."""
        row = self.events.get(event_id)
        if row is not None and len(row["problems"]) < MAX_PROBLEMS:
            row["problems"].append(problem)

    def request_opt_in(self, channel: str, address: str, stored: StoredEvent) -> None:
        """Request that the owner of an address confirms the consent of an unverified event.

        An event that is history requests nothing.
        """
        if stored.is_history:
            return
        row = {"channel": channel, "address": address, "at": stored.at, "state": "waiting"}
        self.opt_in_requests[channel, address] = row | {"sender": stored.incoming.sender}

    def close_address(self, channel: str, address: str, problem: str, stored: StoredEvent) -> None:
        """Close an address. ``problem``: bounced or complained; a complaint is not replaced by a bounce."""
        self.address_reports[channel, problem] += 1
        known = self.address_problems.get((channel, address))
        if known is None or known["problem"] != "complained":
            row = {"channel": channel, "address": address, "problem": problem}
            self.address_problems[channel, address] = row | {"at": stored.at, "time": stored.time}

    def count_soft_bounce(self, channel: str, address: str, ref: str, word: str, stored: StoredEvent) -> None:
        """Count a soft bounce of an address, once for each message."""
        key = (channel, address, ref)
        if key in self.soft_bounces:
            return
        self.address_reports[channel, "bounced_softly"] += 1
        row: Row = {"channel": channel, "address": address, "ref": ref, "word": word}
        self.soft_bounces[key] = row | {"time": stored.time, "at": stored.at}

    def prove_address(self, channel: str, address: str, stored: StoredEvent) -> None:
        """Lift the soft bounces of an address before this delivery, open or click."""
        known = self.proven_addresses.get((channel, address))
        if known is None or known["time"] < stored.time:
            row: Row = {"channel": channel, "address": address, "name": stored.incoming.type}
            self.proven_addresses[channel, address] = row | {"time": stored.time, "at": stored.at}

    def opt_out(self, channel: str, address: str, topic: str, source: str, stored: StoredEvent) -> None:
        """Enter a withdrawal in the register of opt-outs, unless a later declaration is known."""
        key = (channel, address, topic)
        known = self.opt_outs.get(key)
        if known is None or known["time"] < stored.time:
            row = {"channel": channel, "address": address, "topic": topic, "source": source}
            self.opt_outs[key] = row | {"state": "withdrawn", "time": stored.time, "at": stored.at}

    async def write(self, connection: Any, persons: dict[UUID, ProfileState]) -> None:
        """Write all rows, without runs of which the same profile has a live run of the key.

        First the runs, since their keys may be taken; then all other tables in one statement; then the
        returns, which must see the rows of that statement. Locks held: the profiles', by the caller.
        """
        await self._leave_out_excess_runs(connection)
        if self.superseded_runs:
            await connection.execute(
                END_SUPERSEDED_RUNS, self.superseded_runs, SUPERSEDED_OUTCOME, SUPERSEDED_DETAIL
            )
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
            (UPSERT_SOFT_BOUNCES, self._soft_bounce_rows()),
            (LIFT_SOFT_BOUNCES, [row for _, row in sorted(self.proven_addresses.items())]),
            (UPSERT_OPT_IN_REQUESTS, [row for _, row in sorted(self.opt_in_requests.items())]),
            (UPSERT_OPT_OUTS, [row for _, row in sorted(self.opt_outs.items())]),
            (UPSERT_CARTS, [_cart_row(profile_id, cart) for (profile_id, _), cart in self.carts.items()]),
            (UPDATE_MESSAGES, self._highest_messages()),
            (UPDATE_SIGNAL_COUNTS, self._changed_runs()),
            (MARK_AUDIENCE_LEAVING, _as_rows(("member_id", "reason"), self.audience_removals)),
            (UPDATE_PROFILES, [_profile_row(person) for person in persons.values() if person.is_dirty]),
            (UPDATE_EVENTS, list(self.events.values())),
        ]

    def _soft_bounce_rows(self) -> list[Row]:
        """Return the soft bounces, those lifted that an event of the same transaction lifts."""
        rows = []
        for (channel, address, _), row in sorted(self.soft_bounces.items()):
            proof = self.proven_addresses.get((channel, address))
            is_lifted = proof is not None and row["time"] <= proof["time"]
            lifted = {"lifted_at": proof["at"], "lifted_by": proof["name"]} if proof and is_lifted else {}
            rows.append(row | lifted)
        return rows

    def _changed_runs(self) -> list[Row]:
        """Return one row for each run with other counts of signals, or that a verified event confirms."""
        unverified, confirmed = self.unverified_signal_counts, self.newly_verified_runs
        return [
            {
                "run_id": run_id,
                "signals": self.signal_counts.get(run_id),
                "unverified_signals": unverified.get(run_id),
                "verified": run_id in confirmed,
            }
            for run_id in sorted({*self.signal_counts, *unverified, *confirmed})
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

    async def _leave_out_excess_runs(self, connection: Any) -> None:
        excess = [run for run in self.new_runs if run["entry_event"] in self.untrusted_events]
        if self.unstarted_runs is None or not excess or not await self.unstarted_runs.is_full(connection):
            return
        for run in excess:
            self.new_runs.remove(run)
            self.left_out[run["entry_event"], "run"] += 1
            self._drop_run(run, self.unstarted_runs.problem)

    async def _write_runs(self, connection: Any, new_runs: Sequence[Row]) -> None:
        if not new_runs:
            return
        started = {row["run_id"] for row in await connection.fetch(INSERT_RUNS, encode_jsonb(new_runs))}
        left = [run for run in new_runs if run["run_id"] not in started]
        if not left:
            return
        # Of another person, who may have an order of the same number.
        distinct = [run | {"key": distinct_key(run["key"], run["run_id"])} for run in left]
        rows = await connection.fetch(INSERT_RUNS_OF_TAKEN_KEYS, encode_jsonb(distinct))
        started = {row["run_id"] for row in rows}
        for run in left:
            if run["run_id"] not in started:
                self._drop_run(run, f"key {run['key']!r} already has a live run of this profile")

    def _drop_run(self, run: Row, reason: str) -> None:
        self.add_problem(run["entry_event"], run["journey"], reason)
        self.inserts["outbox"] = [row for row in self.inserts["outbox"] if row["lane"] != run["run_id"]]
        self.signal_counts.pop(run["run_id"], None)
        self.unverified_signal_counts.pop(run["run_id"], None)

    async def _write_one_by_one(self, connection: Any, persons: dict[UUID, ProfileState]) -> None:
        """Write all rows but those that Postgres refuses. What bars messages is written first."""
        for run in self.new_runs:
            async with savepoint(connection, lambda error, run=run: self._drop_run(run, repr(error))):  # type: ignore[misc]
                await self._write_runs(connection, [run])
        statements = self._statements(persons)
        *others, events = statements
        first = (INSERT_BY_TABLE["suppression"], INSERT_BY_TABLE["consent"], UPSERT_OPT_OUTS)
        for statement, rows in sorted(others, key=lambda each: each[0] not in first):
            await self._execute_for_each(connection, statement, rows)
        await self._execute_for_each(connection, APPLY_RETURNS, self.returns)
        await self._execute_for_each(connection, *events)
        await connection.execute(sql.NOTIFY_OUTBOX)

    async def _execute_for_each(self, connection: Any, statement: str, rows: Sequence[Row]) -> None:
        for position, error in (await execute_for_each(connection, statement, rows)).items():
            row, table = (
                rows[position],
                statement.split()[1 if statement.lstrip().startswith("UPDATE") else 2],
            )
            event_id = row.get("event_id")
            concerned = [event_id] if event_id is not None else self._events_of(row.get("profile_id"))
            problem = f"a row of {table} could not be stored and was left out: {error}"
            log.error("row left out", table=table, events=concerned, error=error[:300])
            for each in concerned:
                self.left_out[each, table] += 1
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
