"""The tables of the sandbox: the messages that it delivered, and its ad audiences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.sql import encode_jsonb, fetch_as


@dataclass(frozen=True, slots=True)
class MailboxEntry:
    """One delivered message; its bodies are empty in a list."""

    message_id: UUID
    channel: str
    address: str
    subject: str
    recorded_at: datetime
    preview: str
    """The first 400 characters of the text."""
    journey: str | None
    template: str | None
    status: str | None
    decided_at: datetime | None
    """By the run's clock, which may have travelled."""
    html: str = ""
    text: str = ""


_KEEP = """
INSERT INTO sandbox_message (message_id, channel, address, subject, html, text, headers)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""

_SELECT_MAILBOX = """
SELECT s.message_id, s.channel, s.address, s.subject, s.recorded_at, left(s.text, 400) AS preview,
       m.journey, m.template, m.status, m.decided_at{bodies}
FROM sandbox_message s LEFT JOIN message m USING (message_id)
"""


async def keep(
    connection: Any,
    message_id: UUID,
    *,
    channel: str,
    address: str,
    subject: str,
    html: str,
    text: str,
    headers: Mapping[str, str],
) -> None:
    """Keep a delivered message. Idempotent: a second one with the same id changes nothing."""
    await connection.execute(_KEEP, message_id, channel, address, subject, html, text, encode_jsonb(headers))


async def list_mailbox(connection: Any, limit: int) -> list[MailboxEntry]:
    """Return the newest messages, without their bodies."""
    query = _SELECT_MAILBOX.format(bodies="") + " ORDER BY s.recorded_at DESC, s.message_id DESC LIMIT $1"
    return await fetch_as(connection, MailboxEntry, query, limit)


async def load_mailbox_entry(connection: Any, message_id: UUID) -> MailboxEntry | None:
    """Return one message with its bodies; None where there is none."""
    query = _SELECT_MAILBOX.format(bodies=", s.html, s.text") + " WHERE s.message_id = $1"
    return next(iter(await fetch_as(connection, MailboxEntry, query, message_id)), None)


async def add_member(connection: Any, audience: str, member_id: UUID) -> None:
    """Add a member to an audience of the sandbox. Idempotent."""
    query = "INSERT INTO sandbox_audience (audience, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await connection.execute(query, audience, member_id)


async def remove_member(connection: Any, audience: str, member_id: UUID) -> None:
    """Remove a member from an audience of the sandbox. Idempotent."""
    query = "DELETE FROM sandbox_audience WHERE audience = $1 AND member_id = $2"
    await connection.execute(query, audience, member_id)


async def has_member(connection: Any, audience: str, member_id: UUID) -> bool:
    """Return whether an audience of the sandbox has the member."""
    query = "SELECT true FROM sandbox_audience WHERE audience = $1 AND member_id = $2"
    return bool(await connection.fetchval(query, audience, member_id))
