"""The gate's transaction: locks, snapshot, claims and decisions; and what is recorded of a claim afterwards.

The gate reads with two statements, never one: the lock first, then the snapshot. A single statement that
locks and reads has a snapshot from before its wait, and misses the purchase it waited for. The
migrations 0010 and 0011 define the SQL functions that they call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.locks import lock_profiles
from profiles.messaging.snapshot import (
    ExistingMessage,
    Snapshot,
    SnapshotQuery,
    batch_snapshot_arguments,
    batch_snapshot_sql,
    snapshot_arguments,
    snapshot_sql,
    to_snapshot,
)
from profiles.state.unit_of_work import ACCEPTED_STATUSES

GATE_TIMEOUTS = "lock_timeout => '5s', statement_timeout => '5s', idle_timeout => '10s'"
"""Timeouts of the gate's transaction, as arguments of ``lock_person_of_run``: they need no round trip.

For the wait for a lock, for each later statement, and for a session that is idle between two statements. A
claim that took longer could not be used any more."""

GATE_DEADLINE_S = 6.0
"""Timeout of the gate's transaction by the caller's clock, for a Postgres that does not answer at all."""

_UPDATE_SENT = """
UPDATE message SET
  status = CASE WHEN status IN ('claimed', 'unknown', 'unknown_final') THEN 'sent' ELSE status END,
  provider = $3, provider_id = $4, sent_at = $5,
  accept_recorded_at = COALESCE(accept_recorded_at, clock_timestamp())
WHERE message_id = $1 AND token = $2
"""

_UPDATE_RELEASED = """
UPDATE message SET status = 'released', reason = $3, claimed_at = NULL, claim_recorded_at = NULL
WHERE message_id = $1 AND token = $2 AND status IN ('claimed', 'unknown', 'unknown_final')
"""

_UPDATE_UNKNOWN = "UPDATE message SET status = 'unknown' WHERE message_id = $1 AND status = 'claimed'"

_SELECT_ACCEPTED = """
SELECT message_id, status, channel, items, planned_at FROM message
WHERE run_id = $1 AND message_id = ANY($2) AND status = ANY($3) ORDER BY planned_at LIMIT 1
"""

_UPDATE_STALE_CLAIMS = """
UPDATE message SET status = CASE status WHEN 'claimed' THEN 'unknown' ELSE 'unknown_final' END
WHERE (status = 'claimed' AND claim_recorded_at < now() - $1::interval)
   OR (status = 'unknown' AND claim_recorded_at < now() - $2::interval) RETURNING status
"""

_UPSERT_OPT_OUT = """
INSERT INTO opt_out (channel, address, topic, source, state, time, at)
VALUES ($1, $2, 'all', 'provider', 'withdrawn', $3, $3)
ON CONFLICT (channel, address, topic) DO UPDATE SET source = excluded.source, state = excluded.state,
  time = excluded.time, at = excluded.at WHERE excluded.time >= opt_out.time
"""

_INSERT_ADDRESS_PROBLEM = """
INSERT INTO address_problem (channel, address, problem, at) VALUES ($1, $2, $3, $4)
ON CONFLICT (channel, address) DO UPDATE SET at = excluded.at, reopened_at = NULL
WHERE address_problem.problem = 'bounced' AND address_problem.reopened_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message to write: its row, and the decision on it."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    step: str
    journey: str
    channel: str
    template: str
    message_class: str
    status: str
    """claimed, withheld or deferred."""
    verdict: str
    """allow, withhold or defer."""
    at: datetime
    items: tuple[str, ...] = ()
    items_removed: tuple[str, ...] = ()
    reason: str | None = None
    detail: str = ""
    checks: tuple[object, ...] = ()
    """Each with name, passed and detail."""
    until: datetime | None = None
    address: str | None = None
    token: UUID | None = None
    decision_id: UUID | None = None
    policy: str | None = None
    """Version of the policy."""
    basis: dict[str, Any] | None = None
    """The values that the verdict is based on; no address, no name."""
    topic: str | None = None
    value: float = 0.0
    """Decides between messages of equal priority that compete for one slot."""
    expires_at: datetime | None = None


def lock_profile_sql(query: SnapshotQuery) -> str:
    """Return the first of the gate's two statements, which begins the transaction: ``lock_person_of_run``."""
    return f"SELECT lock_person_of_run('{query.run_id}', {GATE_TIMEOUTS})"


async def read_locked_snapshot(connection: Any, query: SnapshotQuery) -> Snapshot | None:
    """Read the snapshot under the lock that ``lock_profile_sql`` took; None where there is no such run.

    Where a merge or a split has moved the run to another profile meanwhile, that profile is locked and read
    instead. Where no profile is locked yet, the run's profile is.
    Locks held: that of the profile, until COMMIT.
    """
    snapshot = await read_snapshot(connection, None, query)
    if snapshot is None:
        await connection.execute(lock_profile_sql(query))
        snapshot = await read_snapshot(connection, None, query)
    while snapshot is not None and snapshot.run_profile_id != snapshot.profile_id:
        current = (await lock_profiles(connection, [snapshot.run_profile_id]))[snapshot.run_profile_id]
        if current == snapshot.profile_id:
            break
        snapshot = await read_snapshot(connection, current, query)
    return snapshot


async def read_snapshot(connection: Any, profile_id: UUID | None, query: SnapshotQuery) -> Snapshot | None:
    """Run the gate's second statement. ``profile_id`` None: the profile that the first statement locked.

    Locks held: that of the profile.
    """
    text = snapshot_sql(needs_engagement=query.needs_engagement, needs_claim_rate=query.needs_claim_rate)
    row = await connection.fetchrow(text, profile_id, *snapshot_arguments(query).values())
    return None if row is None else to_snapshot(row, query)


def lock_profiles_skip_locked_sql(queries: Sequence[SnapshotQuery]) -> str:
    """Return the first statement for several messages: it locks the free profiles, without a wait."""
    runs = ",".join(str(query.run_id) for query in queries)
    return f"SELECT lock_free_people_of_runs('{{{runs}}}', {GATE_TIMEOUTS})"


async def read_locked_snapshots(connection: Any, queries: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
    """Read a snapshot for each query, under the locks that ``lock_profiles_skip_locked_sql`` took.

    None where the profile is not locked, or has an earlier query in the list, of which the decision has to
    be known first. Such a query is repeated alone.
    Locks held: those of the profiles, until COMMIT.
    """
    text = batch_snapshot_sql(
        needs_engagement=any(query.needs_engagement for query in queries),
        needs_claim_rate=any(query.needs_claim_rate for query in queries),
    )
    rows = {row["place"]: row for row in await connection.fetch(text, batch_snapshot_arguments(queries))}
    snapshots: list[Snapshot | None] = []
    seen: set[UUID] = set()
    for place, query in enumerate(queries):
        row = rows.get(place)
        if row is None or row["profile_id"] in seen:
            snapshots.append(None)
        else:
            seen.add(row["profile_id"])
            snapshots.append(to_snapshot(row, query))
    return snapshots


def write_decisions_sql(*planned: MessageRow) -> str:
    """Return one statement that writes claims or refusals with their decisions, and ends the transaction.

    No text of a message can end the SQL literal: no quotation mark is left in it.
    Locks held: those of the read.
    """
    document = orjson.dumps(planned, default=str).decode().replace("'", r"\u0027")
    return f"SELECT write_decisions('{document}')"


async def record_sent(
    connection: Any, message_id: UUID, token: UUID, *, provider: str, provider_id: str, at: datetime
) -> None:
    """Record that the provider accepted the message. The status of a later report of the provider stays."""
    await connection.execute(_UPDATE_SENT, message_id, token, provider, provider_id, at)


async def release_claim(connection: Any, message_id: UUID, token: UUID, reason: str) -> None:
    """Release a claim: the message was certainly not sent, and its slots are returned to the caps."""
    await connection.execute(_UPDATE_RELEASED, message_id, token, reason)


async def mark_unknown(connection: Any, message_id: UUID) -> None:
    """Mark a claimed message as possibly sent: the provider is not called for this send key again."""
    await connection.execute(_UPDATE_UNKNOWN, message_id)


async def load_accepted_message(
    connection: Any, run_id: UUID, message_ids: Sequence[str]
) -> ExistingMessage | None:
    """Return the run's first message of these ids that the provider has accepted; None: none of them."""
    ids = [UUID(each) for each in message_ids]
    row = await connection.fetchrow(_SELECT_ACCEPTED, run_id, ids, ACCEPTED_STATUSES)
    if row is None:
        return None
    return ExistingMessage(
        row["message_id"], row["status"], None, row["channel"], None, tuple(row["items"]), row["planned_at"]
    )


async def expire_stale_claims(
    connection: Any,
    *,
    claim_timeout: timedelta = timedelta(minutes=5),
    unknown_timeout: timedelta = timedelta(minutes=15),
) -> int:
    """Set claims without a result to unknown, and unknowns without a report to final; return how many."""
    return len(await connection.fetch(_UPDATE_STALE_CLAIMS, claim_timeout, unknown_timeout))


async def record_address_problem(
    connection: Any, channel: str, address: str, problem: str, at: datetime
) -> None:
    """Record the provider's report that an address takes no messages (bounced), or opted out (opted_out).

    An opt-out is entered with the topic "all", which only a later grant of that topic lifts. A bounce closes
    an address that an operator has reopened.
    """
    if problem == "opted_out":
        await connection.execute(_UPSERT_OPT_OUT, channel, address, at)
    else:
        await connection.execute(_INSERT_ADDRESS_PROBLEM, channel, address, problem, at)
