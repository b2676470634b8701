"""State transitions of a run, by its workflow or an operator, and reads of single runs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson

from profiles.db.database import Database
from profiles.db.locks import SELECT_RUN_PROFILE, lock_profile_of_run
from profiles.db.sql import NOTIFY_OUTBOX, encode_jsonb, new_id
from profiles.events import END_RUN
from profiles.redaction import redact_addresses, redact_text
from profiles.runs.earlier_events import earlier_event_types, load_earlier_events
from profiles.runs.routing import ApplyResult, Route, match_routes, route_event
from profiles.runs.stuck import log_run_action
from profiles.state.bounds import bound_event
from profiles.state.clock import StackClock
from profiles.state.event_records import StoredEvent, incoming_from_row, parse_event
from profiles.state.profile_state import load_profile_states
from profiles.state.run_keys import RUN_KEY_SQL, run_key
from profiles.state.unit_of_work import OutboxKind, UnitOfWork

# Outbox rows are locked before the run's row, as in the relay, to avoid a deadlock.
_LOCK_OUTBOX_ROWS = (
    "SELECT 1 FROM outbox WHERE lane = $1 AND (delivered_at IS NULL OR trigger) ORDER BY seq FOR UPDATE"
)

_UPDATE_RUN_ENDED = """
UPDATE run SET state = 'ended', outcome = COALESCE(outcome, $2), detail = COALESCE(detail, $3),
  ended_at = COALESCE(ended_at, $4)
WHERE run_id = $1 RETURNING journey, key
"""

# The reason for the end replaces the detail, which held the error that the run was stuck on.
_UPDATE_STUCK_RUN_ENDED = """
UPDATE run SET state = 'ended', outcome = $2, detail = $3, ended_at = $4, stuck_at = NULL
WHERE run_id = $1 RETURNING journey, key, entered_at
"""

# What was delivered is left to the workflow: at its end it says what of it the story has not seen.
_MARK_UNDELIVERED_REROUTED = """
WITH marked AS (
  UPDATE outbox SET rerouted_at = now(), delivered_at = now(), error = COALESCE(error, 'the run has ended')
  WHERE lane = $1 AND trigger AND rerouted_at IS NULL AND delivered_at IS NULL
  RETURNING event_id, seq, kind)
SELECT e.event_id, e.source, e.id, e.type, e.channel, e.time, e.verified, e.by_customer, e.cart_id,
  e.properties::text AS properties, e.problems::text AS problems, m.kind
FROM marked m JOIN event e USING (event_id) WHERE e.superseded_by IS NULL ORDER BY m.seq
"""

# Marks all rows, seen or not: a redelivery after the end must not reroute what the story acted on.
_MARK_REROUTED = f"""
WITH marked AS (
  UPDATE outbox SET rerouted_at = now(), delivered_at = COALESCE(delivered_at, now())
  WHERE lane = $1 AND trigger AND rerouted_at IS NULL AND kind = '{OutboxKind.SIGNAL}'
  RETURNING event_id, seq, kind)
SELECT e.event_id, e.source, e.id, e.type, e.channel, e.time, e.verified, e.by_customer, e.cart_id,
  e.properties::text AS properties, e.problems::text AS problems, m.kind
FROM marked m JOIN event e USING (event_id)
WHERE NOT (m.event_id = ANY($2)) AND e.superseded_by IS NULL ORDER BY m.seq
"""  # noqa: S608 - constant names

_DISCARD_OUTBOX_ROWS = """
UPDATE outbox SET delivered_at = now(), error = 'the run has ended' WHERE lane = $1 AND delivered_at IS NULL
"""

_LEAVE_AUDIENCES = f"""
WITH leaving AS (UPDATE audience_member SET state = 'leaving', reason = 'run_ended', leaving_at = now()
  WHERE run_id = $1 AND state IN ('joining', 'in') RETURNING member_id, audience)
INSERT INTO outbox (lane, kind, name, payload)
SELECT member_id, '{OutboxKind.AUDIENCE}', 'remove',
  jsonb_build_object('audience', audience, 'reason', 'run_ended') FROM leaving
"""  # noqa: S608 - constant names

_DELIVERED = """
SELECT event_id FROM outbox
WHERE lane = $1 AND event_id IS NOT NULL AND ($2::bigint IS NULL OR seq < $2)
  AND ($2::bigint IS NOT NULL OR delivered_at IS NOT NULL)
"""

_SELECT_RUNNING = f"""
SELECT r.run_id FROM run r WHERE r.journey = $1 AND {RUN_KEY_SQL} = $2 AND r.state = 'running'
ORDER BY r.entered_at, r.run_id LIMIT 100
"""  # noqa: S608 - constant fragment

_STARTED_BY = """
SELECT count(*) FROM run r JOIN event e ON e.event_id = r.entry_event
WHERE r.recorded_at >= $1 AND e.source LIKE $2
"""


class SeveralRuns(Exception):
    """Several people have a live run of one key, as two orders may have one number."""

    def __init__(self, journey: str, key: str, run_ids: Sequence[UUID]) -> None:
        super().__init__(f"{len(run_ids)} live runs of {journey} have the key {key!r}")
        self.run_ids = tuple(run_ids)


@dataclass(frozen=True, slots=True)
class ClosedRun:
    """The result of closing a run."""

    rerouted: int = 0


async def close_run(
    database: Database,
    routes: Sequence[Route],
    run_id: UUID,
    *,
    outcome: str,
    seen_event_ids: Sequence[UUID],
    at: datetime,
    detail: str = "",
    local: bool = False,
) -> ClosedRun:
    """End a run's row, and reroute each trigger event addressed to it that its story did not see.

    Takes the profile's lock, so that no event is addressed to the run meanwhile. Idempotent. Raises KeyError
    where there is no such run.
    """

    async def work(connection: Any) -> ClosedRun:
        canonical = await lock_profile_of_run(connection, run_id)
        if canonical is None:
            raise KeyError(f"no run {run_id}")
        await connection.execute(_LOCK_OUTBOX_ROWS, run_id)
        run = await connection.fetchrow(_UPDATE_RUN_ENDED, run_id, outcome, detail, at)
        unseen = await connection.fetch(_MARK_REROUTED, run_id, list(seen_event_ids))
        await connection.execute(_DISCARD_OUTBOX_ROWS, run_id)
        await connection.execute(_LEAVE_AUDIENCES, run_id)
        if unseen:
            route = [route for route in routes if route.name == run["journey"]]
            now = await connection.fetchval("SELECT now()")
            calendar = StackClock(now, local)
            await _reroute(connection, canonical, unseen, route, calendar, at, ended_key=run["key"])
        await connection.execute(NOTIFY_OUTBOX)
        return ClosedRun(len(unseen))

    return await database.run(work)


async def _reroute(
    connection: Any,
    profile_id: UUID,
    rows: Sequence[Any],
    routes: Sequence[Route],
    calendar: StackClock,
    at: datetime,
    *,
    ended_key: str,
    never_began: tuple[str, datetime] | None = None,
) -> None:
    """Route stored events again, after the end of the run with the stored key ``ended_key``.

    ``never_began``: the run's journey and entry, if it did not begin; re-entry rules ignore that entry.
    """
    keys = [key for key in (run_key(ended_key), *(row["cart_id"] for row in rows)) if key]
    person = (await load_profile_states(connection, [profile_id], keys))[profile_id]
    if never_began is not None:
        journey, entered = never_began
        person.forget_entry(journey, run_key(ended_key), entered)
    untrusted = {row["event_id"] for row in rows if not row.get("verified", True) or row.get("by_customer")}
    changes = UnitOfWork(untrusted_events=untrusted)
    for row in rows:
        incoming, _ = bound_event(incoming_from_row(row))
        event, _ = parse_event(incoming.type, incoming.properties, verified=incoming.verified)
        if event is None:
            continue
        stored = StoredEvent(incoming, row["event_id"], max(at, calendar.now), event)
        applied = ApplyResult(row["cart_id"], (row["cart_id"],) if row["cart_id"] else ())
        kept = {"event_id": row["event_id"], "profile_id": profile_id, "cart_id": row["cart_id"]}
        changes.events[row["event_id"]] = {**kept, "problems": orjson.loads(row["problems"])}
        # The event of a start was admitted when it came, perhaps by an operator against the filter.
        matches = match_routes(event, routes, filtered=row["kind"] != OutboxKind.START).matches
        types = {profile_id: earlier_event_types(stored, matches, calendar)}
        earlier = await load_earlier_events(connection, types)
        route_event(person, stored, applied, matches, calendar, changes, earlier=earlier.get(profile_id))
    await changes.write(connection, {})


async def signal_run_manually(
    database: Database,
    *,
    journey: str,
    key: str,
    event_name: str,
    properties: dict[str, Any],
    idempotency_key: str | None = None,
    only_run: UUID | None = None,
) -> UUID | None:
    """Signal one live run through the outbox. Returns its id, or None where no run of that key is live.

    ``only_run``: the run, where several people have one of that key; without it, raises ``SeveralRuns``.

    Signals with the same ``idempotency_key`` reach the run once, because a run sees each event id once.
    Raises ValueError where no such event is declared or the properties do not fit it.
    """
    event, fault = parse_event(event_name, properties, verified=True)
    if event is None or fault:
        raise ValueError(fault or f"no event named {event_name!r} is declared")
    # A digest, because the caller's text would be stored in the run's history.
    suffix = hashlib.sha256(idempotency_key.encode()).hexdigest() if idempotency_key else str(new_id())

    async def work(connection: Any) -> UUID | None:
        found: list[UUID] = [row["run_id"] for row in await connection.fetch(_SELECT_RUNNING, journey, key)]
        if len(found) > 1 and only_run is None:
            raise SeveralRuns(journey, key, found)
        run_id = next((each for each in found if only_run in (None, each)), None)
        if run_id is None or await _lock_run_state(connection, run_id) != "running":
            return None
        now = (await connection.fetchval("SELECT now()")).isoformat()
        fields = redact_addresses(event.model_dump(mode="json", exclude_none=True, exclude={"id"}))
        await _enqueue_signal(
            connection, run_id, event_name, {**fields, "id": f"by-hand-{suffix}", "time": now, "at": now}
        )
        return run_id

    return await database.run(work)


async def request_run_end(
    database: Database,
    routes: Sequence[Route],
    run_id: UUID,
    outcome: str,
    reason: str,
    *,
    actor: str = "waypost",
    reroute: bool = True,
    local: bool = False,
) -> bool:
    """Request the end of a live run, through the outbox. Returns False where it is not live.

    A stuck run is ended at once, because no signal reaches it, and its key is free again. The trigger events
    that were not delivered to it, its entry included, are routed afresh, unless ``reroute`` is False.
    ``reason`` is stored in the run's history, without addresses.
    """
    reason = redact_text(reason)

    async def work(connection: Any) -> bool:
        canonical = await lock_profile_of_run(connection, run_id)
        if canonical is None:
            return False
        state = await connection.fetchval("SELECT state FROM run WHERE run_id = $1", run_id)
        if state not in ("running", "stuck"):
            return False
        if state == "stuck":
            await _end_stuck_run(
                connection, canonical, routes, run_id, outcome, reason, reroute=reroute, local=local
            )
        await log_run_action(connection, run_id, outcome, reason=reason, actor=actor)
        await _enqueue_signal(connection, run_id, END_RUN, {"outcome": outcome, "reason": reason})
        return True

    return await database.run(work)


async def _end_stuck_run(
    connection: Any,
    profile_id: UUID,
    routes: Sequence[Route],
    run_id: UUID,
    outcome: str,
    reason: str,
    *,
    reroute: bool,
    local: bool,
) -> None:
    await connection.execute(_LOCK_OUTBOX_ROWS, run_id)
    now = await connection.fetchval("SELECT now()")
    run = await connection.fetchrow(_UPDATE_STUCK_RUN_ENDED, run_id, outcome, reason, now)
    undelivered = await connection.fetch(_MARK_UNDELIVERED_REROUTED, run_id)
    await connection.execute(_DISCARD_OUTBOX_ROWS, run_id)
    await connection.execute(_LEAVE_AUDIENCES, run_id)
    if undelivered and reroute:
        route = [route for route in routes if route.name == run["journey"]]
        calendar = StackClock(now, local)
        began = all(row["kind"] != OutboxKind.START for row in undelivered)
        never_began = None if began else (run["journey"], run["entered_at"])
        await _reroute(
            connection,
            profile_id,
            undelivered,
            route,
            calendar,
            now,
            ended_key=run["key"],
            never_began=never_began,
        )


async def load_run_profile(connection: Any, run_id: UUID) -> UUID | None:
    """Return the current profile of a run, after any merge; None where there is no such run."""
    return cast("UUID | None", await connection.fetchval(SELECT_RUN_PROFILE, run_id))


async def delivered_events(
    connection: Any, run_id: UUID, *, before_seq: int | None = None
) -> tuple[list[UUID], datetime]:
    """Return ids of the events that were delivered to a run, and Postgres's now.

    ``before_seq``: all that lie before this row of the outbox count as delivered, and no others.
    """
    now: datetime = await connection.fetchval("SELECT now()")
    return [row["event_id"] for row in await connection.fetch(_DELIVERED, run_id, before_seq)], now


async def is_live(connection: Any, run_id: UUID) -> bool:
    """Return whether there is such a run and it has not ended."""
    query = "SELECT true FROM run WHERE run_id = $1 AND state <> 'ended'"
    return bool(await connection.fetchval(query, run_id))


async def workflow_id_of(connection: Any, run_id: UUID) -> str | None:
    """Return Temporal's id of a run, None where there is no such run."""
    query = "SELECT workflow_id FROM run WHERE run_id = $1"
    return cast("str | None", await connection.fetchval(query, run_id))


async def count_started(connection: Any, since: datetime, source: str) -> int:
    """Count runs that began since then, by Postgres's clock, with an event of this source (LIKE pattern)."""
    return int(await connection.fetchval(_STARTED_BY, since, source))


async def _lock_run_state(connection: Any, run_id: UUID) -> str | None:
    """Return a run's state, None where there is no run. Holds the profile's lock until COMMIT."""
    if await lock_profile_of_run(connection, run_id) is None:
        return None
    return cast("str", await connection.fetchval("SELECT state FROM run WHERE run_id = $1", run_id))


async def _enqueue_signal(connection: Any, run_id: UUID, name: str, payload: dict[str, Any]) -> None:
    query = "INSERT INTO outbox (lane, kind, name, payload) VALUES ($1, $2, $3, $4)"
    await connection.execute(query, run_id, OutboxKind.SIGNAL, name, encode_jsonb(payload))
    await connection.execute(NOTIFY_OUTBOX)
