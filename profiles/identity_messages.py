"""Messages that went out while people were one who should not have been, for reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

MOST = 200
"""Messages that are read at most."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that went out."""

    message_id: UUID
    journey: str
    channel: str
    template: str
    sent_at: datetime


_WHILE = """
SELECT message_id, journey, channel, template, sent_at FROM message
WHERE profile_id = $1 AND sent_at BETWEEN $2 AND $3 ORDER BY sent_at, message_id LIMIT $4
"""

_THESE = """
SELECT message_id, journey, channel, template, sent_at FROM message
WHERE message_id = ANY($1) AND sent_at IS NOT NULL ORDER BY sent_at, message_id
"""


async def messages_while(
    connection: Any, profile_id: UUID, since: datetime, until: datetime
) -> list[SentMessage]:
    """Messages that went out to a profile between two instants, both included, the oldest first."""
    rows = await connection.fetch(_WHILE, profile_id, since, until, MOST)
    return [SentMessage(**row) for row in rows]


async def messages_by_id(connection: Any, message_ids: Sequence[UUID]) -> list[SentMessage]:
    """Those of these messages that went out, the oldest first."""
    return [SentMessage(**row) for row in await connection.fetch(_THESE, list(message_ids))]
