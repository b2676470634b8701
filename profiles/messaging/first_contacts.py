"""Messages that unverified events have caused: counted and recorded in the gate's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.messaging.claims import MessageRow

_LOCK_KEY = 0x77617970_66697273
"""Key of the advisory lock under which these messages are counted and recorded."""

# A statement of its own before the count, which then sees what was committed while the lock was waited for.
_LOCK = "SELECT pg_advisory_xact_lock($1)"

_SELECT_COUNTS = """
WITH started AS (SELECT COALESCE((SELECT e.sender FROM run r JOIN event e ON e.event_id = r.entry_event
    WHERE r.run_id = $1), '') AS sender),
hour AS (SELECT f.sender FROM first_contact f WHERE f.message_id IS DISTINCT FROM $2::uuid
  AND f.at > $5::timestamptz - interval '1 hour' AND f.at < $5::timestamptz + interval '1 hour')
SELECT s.sender, (SELECT count(*)::int FROM hour) AS in_hour,
  (SELECT count(*)::int FROM hour WHERE hour.sender = s.sender) AS by_sender_in_hour,
  (SELECT count(*)::int FROM first_contact f
    WHERE f.message_id IS DISTINCT FROM $2::uuid AND f.channel = $3 AND f.address = $4
      AND f.at > $5::timestamptz - interval '1 day' AND f.at < $5::timestamptz + interval '1 day'
  ) AS to_address_in_day
FROM started s
"""

_INSERT = """
INSERT INTO first_contact (message_id, channel, address, sender, at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (message_id) DO UPDATE SET channel = excluded.channel, address = excluded.address,
  sender = excluded.sender, at = excluded.at
"""


@dataclass(frozen=True, slots=True)
class FirstContactCounts:
    """The messages so far, without that of the same send key."""

    sender: str
    """Label of the key with which the event that started the run was sent; empty: not known."""
    in_hour: int
    by_sender_in_hour: int
    to_address_in_day: int


async def count_first_contacts(
    connection: Any, run_id: UUID, message_id: UUID | None, *, channel: str, address: str, at: datetime
) -> FirstContactCounts:
    """Count the messages, up to an hour or a day before and after ``at``.

    Other transactions that count wait until this one has ended, so the limits hold for all together. Nothing
    else is locked after this lock. ``message_id``: the message of an earlier attempt, which is not counted.
    Locks held: the profile's.
    """
    await connection.execute(_LOCK, _LOCK_KEY)
    mailbox = counted_mailbox(address)
    row = await connection.fetchrow(_SELECT_COUNTS, run_id, message_id, channel, mailbox, at)
    return FirstContactCounts(**row)


async def record_first_contact(connection: Any, row: MessageRow, sender: str) -> None:
    """Record an allowed message. Locks held: that of ``count_first_contacts``."""
    mailbox = counted_mailbox(row.address or "")
    await connection.execute(_INSERT, row.message_id, row.channel, mailbox, sender, row.at)


def counted_mailbox(address: str) -> str:
    """Return the address under which messages are counted: an email address without its ``+tag``.

    Most providers deliver ada+anything@ to ada@, so that a sender could invent addresses of one person.
    """
    local, at, domain = address.rpartition("@")
    mailbox = local.partition("+")[0]
    return f"{mailbox}{at}{domain}" if at and mailbox else address
