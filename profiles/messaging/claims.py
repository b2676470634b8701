"""The facts a message is decided on, read under the profile's lock, and the claim that licenses the call.

Two statements, never one: the lock first, then the snapshot. A single statement that locks and reads has a
snapshot from before its wait, and misses the purchase it waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.locks import lock_profiles
from profiles.messaging.snapshot import (
    Snapshot,
    SnapshotQuery,
    batch_snapshot_arguments,
    batch_snapshot_sql,
    snapshot_arguments,
    snapshot_sql,
    to_snapshot,
)


def lock_profile_sql(query: SnapshotQuery) -> str:
    """The first of the gate's two statements, to begin the transaction with: see ``lock_person_of_run``."""
    return f"SELECT lock_person_of_run('{query.run_id}', {GATE_TIMEOUTS})"


async def read_locked_snapshot(connection: Any, query: SnapshotQuery) -> Snapshot | None:
    """Read under the lock that ``lock_person_of`` took; None where there is no such run.

    Holds the lock until COMMIT. Where the run has gone to somebody else meanwhile, by a merge or a split,
    they are locked and read instead; so is its person where nobody is locked yet.
    """
    snapshot = await read_snapshot(connection, None, query)
    if snapshot is None:
        await connection.execute(lock_profile_sql(query))
        snapshot = await read_snapshot(connection, None, query)
    while snapshot is not None and snapshot.run_profile_id != snapshot.profile_id:
        now = (await lock_profiles(connection, [snapshot.run_profile_id]))[snapshot.run_profile_id]
        if now == snapshot.profile_id:
            break
        snapshot = await read_snapshot(connection, now, query)
    return snapshot


async def read_snapshot(connection: Any, profile_id: UUID | None, query: SnapshotQuery) -> Snapshot | None:
    """The second statement; call it only with the profile's lock held. None: the one locked to begin with."""
    text = snapshot_sql(needs_engagement=query.needs_engagement, needs_claim_rate=query.needs_claim_rate)
    row = await connection.fetchrow(text, profile_id, *snapshot_arguments(query).values())
    return None if row is None else to_snapshot(row, query)


def lock_profiles_skip_locked_sql(queries: Sequence[SnapshotQuery]) -> str:
    """The first statement for several messages: locks whom nobody else holds, and waits for no one."""
    runs = ",".join(str(ask.run_id) for ask in queries)
    return f"SELECT lock_free_people_of_runs('{{{runs}}}', {GATE_TIMEOUTS})"


async def read_locked_snapshots(connection: Any, queries: Sequence[SnapshotQuery]) -> list[Snapshot | None]:
    """Read for each ask under the lock that ``lock_free_people_of`` took; holds the locks until COMMIT.

    None where the person is not locked, or is whose ask came before: what is decided on that one has to be
    known first. Those ask again alone.
    """
    text = batch_snapshot_sql(
        needs_engagement=any(ask.needs_engagement for ask in queries),
        needs_claim_rate=any(ask.needs_claim_rate for ask in queries),
    )
    rows = {row["place"]: row for row in await connection.fetch(text, batch_snapshot_arguments(queries))}
    found: list[Snapshot | None] = []
    seen: set[UUID] = set()
    for place, ask in enumerate(queries):
        row = rows.get(place)
        if row is None or row["profile_id"] in seen:
            found.append(None)
        else:
            seen.add(row["profile_id"])
            found.append(to_snapshot(row, ask))
    return found


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as it is written down: the row, and the decision about it."""

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
    """Each of name, passed and detail."""
    until: datetime | None = None
    address: str | None = None
    token: UUID | None = None
    decision_id: UUID | None = None
    policy: str | None = None
    """Version of the policy."""
    basis: dict[str, Any] | None = None
    """What the verdict stood on; no address, no name."""
    topic: str | None = None
    value: float = 0.0
    """What the message is worth, to decide between equals that want one slot."""
    expires_at: datetime | None = None


def write_decisions_sql(*planned: MessageRow) -> str:
    """The claims (or refusals) and the decisions, as one statement to end the transaction with.

    Under the locks still held. Nothing that anybody typed ends the literal: no quotation mark is left in it.
    """
    document = orjson.dumps(planned, default=str).decode().replace("'", r"\u0027")
    return f"SELECT write_decisions('{document}')"


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

_UPDATE_STALE_CLAIMS = """
UPDATE message SET status = CASE status WHEN 'claimed' THEN 'unknown' ELSE 'unknown_final' END
WHERE (status = 'claimed' AND claim_recorded_at < now() - $1::interval)
   OR (status = 'unknown' AND claim_recorded_at < now() - $2::interval) RETURNING status
"""


async def record_sent(
    connection: Any, message_id: UUID, token: UUID, *, provider: str, provider_id: str, at: datetime
) -> None:
    """The provider took it. The holder's own record may replace ``unknown``; a webhook's later word stays."""
    await connection.execute(_UPDATE_SENT, message_id, token, provider, provider_id, at)


async def release_claim(connection: Any, message_id: UUID, token: UUID, reason: str) -> None:
    """Definitely not sent: the claim is void and the cap is given back."""
    await connection.execute(_UPDATE_RELEASED, message_id, token, reason)


async def mark_unknown(connection: Any, message_id: UUID) -> None:
    """Perhaps sent: nobody may call for this send key again."""
    await connection.execute(_UPDATE_UNKNOWN, message_id)


async def expire_stale_claims(
    connection: Any,
    *,
    claim_timeout: timedelta = timedelta(minutes=5),
    unknown_timeout: timedelta = timedelta(minutes=15),
) -> int:
    """Claims nobody recorded become unknown, unknowns no webhook settled become final. Returns how many."""
    return len(await connection.fetch(_UPDATE_STALE_CLAIMS, claim_timeout, unknown_timeout))


_UPSERT_OPT_OUT = """
INSERT INTO opt_out (channel, address, topic, source, state, time, at)
VALUES ($1, $2, 'all', 'provider', 'withdrawn', $3, $3)
ON CONFLICT (channel, address, topic) DO UPDATE SET source = excluded.source, state = excluded.state,
  time = excluded.time, at = excluded.at WHERE excluded.time >= opt_out.time
"""

_INSERT_ADDRESS_PROBLEM = """
INSERT INTO address_problem (channel, address, problem, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


async def record_address_problem(
    connection: Any, channel: str, address: str, problem: str, at: datetime
) -> None:
    """The provider said this address takes no messages (bounced), or wants none (opted_out).

    A stop is entered with the topic "all", which only a later grant of that topic lifts.
    """
    if problem == "opted_out":
        await connection.execute(_UPSERT_OPT_OUT, channel, address, at)
    else:
        await connection.execute(_INSERT_ADDRESS_PROBLEM, channel, address, problem, at)


GATE_TIMEOUTS = "lock_timeout => '5s', statement_timeout => '5s', idle_timeout => '10s'"
"""Arguments of ``lock_person_of_run``: in this transaction nobody waits longer than 5 s for a lock or, from
the next statement on, for a statement: a claim that took longer could not be used any more. Postgres ends a
session that freezes between two. It costs no round trip, and is set before the wait."""

GATE_DEADLINE_S = 6.0
"""By the caller's own clock, where Postgres does not even say that it waits."""
