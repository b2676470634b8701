"""Sweep for addresses that pages alone have granted or sent with a checkout: has them asked to confirm it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from profiles.db.database import Database
from profiles.db.sql import encode_jsonb
from profiles.events import OptInRequested
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, identifier_key
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import Ingest
from profiles.messaging.addresses import delete_old_soft_bounces
from profiles.state.event_records import IncomingEvent
from profiles.state.unit_of_work import ASK_AGAIN_AFTER

OPT_IN_SOURCE = "waypost/opt-in"

CONFIRMATION_TEMPLATE = "confirm_opt_in"
"""The message that asks."""

MAX_REQUEST_AGE = timedelta(days=1)
"""A request that was not asked for this long is dropped: the visitor does not expect a message any more."""

# The newest first: those who wait for the message now are asked also while a flood of requests waits.
# A profile is asked once, also where a page has put several addresses into it.
_SELECT_REQUESTS = """
SELECT r.channel, r.address, r.sender, r.at, now() AS now, i.type,
  i.profile_id IS NOT NULL AND p.erased_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM opt_out o WHERE o.channel = r.channel AND o.address = r.address
      AND o.state = 'withdrawn')
    AND NOT EXISTS (SELECT 1 FROM address_problem a WHERE a.channel = r.channel AND a.address = r.address)
    AND NOT EXISTS (SELECT 1 FROM consent_state s WHERE s.profile_id = i.profile_id
      AND s.channel IN (r.channel, 'all') AND s.topic IN ('marketing', 'all')
      AND (s.state = 'withdrawn' OR i.vouched OR EXISTS (SELECT 1 FROM consent c
        WHERE c.profile_id = i.profile_id AND c.verified AND c.state = 'granted'
          AND i.type || ':' || i.value = ANY(c.named))))
    AND NOT (r.channel = 'email' AND p.email_from_order AND i.vouched)
    AND NOT EXISTS (SELECT 1 FROM message m WHERE m.profile_id = i.profile_id AND m.channel = r.channel
      AND m.template = $4 AND m.decided_at > now() - $5::interval) AS is_due
FROM opt_in_request r
LEFT JOIN identifier i ON i.type = CASE r.channel WHEN 'email' THEN 'email' ELSE 'phone' END
  AND i.value = r.address AND i.status <> 'quarantined'
LEFT JOIN profile p ON p.profile_id = i.profile_id
WHERE r.state = 'waiting' AND r.channel = ANY($1) AND r.at > now() - $2::interval
ORDER BY r.at DESC, r.channel, r.address LIMIT $3
"""

_SELECT_ASKED = """
SELECT sender, count(*)::int AS asked FROM opt_in_request
WHERE state = 'asked' AND settled_at > now() - interval '1 hour' GROUP BY sender
"""

_UPDATE_SETTLED = """
UPDATE opt_in_request r SET state = s.state, settled_at = now()
FROM jsonb_to_recordset($1) AS s(channel text, address text, at timestamptz, state text)
WHERE r.channel = s.channel AND r.address = s.address AND r.at = s.at AND r.state = 'waiting'
"""

_DROP_OLD = """
UPDATE opt_in_request SET state = 'dropped', settled_at = now()
WHERE state = 'waiting' AND at <= now() - $1::interval
"""

# Once settled, a row keeps its address from being asked again, and counts within the hour.
_DELETE_SETTLED = """
DELETE FROM opt_in_request r USING (SELECT channel, address FROM opt_in_request
  WHERE state <> 'waiting' AND settled_at < now() - $1::interval ORDER BY settled_at LIMIT 10000) old
WHERE r.channel = old.channel AND r.address = old.address
  AND r.state <> 'waiting' AND r.settled_at < now() - $1::interval
"""

_DELETE_FIRST_CONTACTS = "DELETE FROM first_contact WHERE recorded_at < now() - interval '7 days'"


@dataclass(frozen=True, slots=True)
class OptInRules:
    """Which channels ask for a confirmation, and how many addresses are asked in an hour."""

    channels: tuple[str, ...] = ()
    """email, sms. Empty: none asks."""
    per_hour: int = 500
    per_sender_hour: int = 250
    """For each label of a key."""


async def sweep_opt_in_requests(
    database: Database, ingest: Ingest, *, rules: OptInRules, limit: int = 500
) -> int:
    """Write ``Opt In Requested`` for addresses that wait, within the hourly limits. Returns how many are new.

    Not asked is an address that has been confirmed, has refused, takes no messages, or belongs to a profile
    that was asked within ``ASK_AGAIN_AFTER``. Idempotent: the id of an event is the address and the instant
    of its request. Also deletes requests that were settled ``ASK_AGAIN_AFTER`` ago, and rows of
    ``first_contact`` and soft bounces that no limit counts any more.
    """
    async with database.transaction() as connection:
        await connection.execute(_DELETE_FIRST_CONTACTS)
        await delete_old_soft_bounces(connection)
        await connection.execute(_DROP_OLD, MAX_REQUEST_AGE)
        await connection.execute(_DELETE_SETTLED, ASK_AGAIN_AFTER)
        asked = {row["sender"]: row["asked"] for row in await connection.fetch(_SELECT_ASKED)}
        arguments = (list(rules.channels), MAX_REQUEST_AGE, limit, CONFIRMATION_TEMPLATE, ASK_AGAIN_AFTER)
        rows = await connection.fetch(_SELECT_REQUESTS, *arguments)
    due, settled = _within_limits(rows, asked, rules)
    results = await ingest([_opt_in_event(row) for row in due])
    if settled:
        async with database.transaction() as connection:
            await connection.execute(_UPDATE_SETTLED, encode_jsonb(settled))
    return sum(result.status is IngestStatus.ACCEPTED for result in results)


def _within_limits(
    rows: Sequence[Any], asked: dict[str, int], rules: OptInRules
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return the requests to ask, and all that are settled. The others wait."""
    due, settled, total = [], [], sum(asked.values())
    for row in rows:
        place = {"channel": row["channel"], "address": row["address"], "at": row["at"]}
        if not row["is_due"]:
            settled.append(place | {"state": "dropped"})
        elif total < rules.per_hour and asked.get(row["sender"], 0) < rules.per_sender_hour:
            total += 1
            asked[row["sender"]] = asked.get(row["sender"], 0) + 1
            due.append(row)
            settled.append(place | {"state": "asked"})
    return due, settled


def _opt_in_event(row: Any) -> IncomingEvent:
    kind = ADDRESS_TYPE_BY_CHANNEL[row["channel"]]
    seed = f"{identifier_key(kind, row['address'])}|{row['at'].isoformat()}"
    request_id = "opt-in-" + hashlib.sha256(seed.encode()).hexdigest()[:32]
    named = ((kind, row["address"]),)
    properties = {"request_id": request_id, "asks_by": row["channel"]}
    name = OptInRequested.event_name
    return IncomingEvent(
        OPT_IN_SOURCE, request_id, name, "server", row["now"], named, properties, sender=row["sender"]
    )
