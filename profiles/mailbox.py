"""What the sandbox delivered, for looking at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivered message; its bodies are empty in a list."""

    message_id: UUID
    channel: str
    address: str
    subject: str
    recorded_at: datetime
    preview: str
    journey: str | None
    template: str | None
    status: str | None
    decided_at: datetime | None
    """By the run's clock, which may have travelled."""
    html: str = ""
    text: str = ""


_COLUMNS = """
SELECT s.message_id, s.channel, s.address, s.subject, s.recorded_at, left(s.text, 160) AS preview,
       m.journey, m.template, m.status, m.decided_at{bodies}
FROM sandbox_message s LEFT JOIN message m USING (message_id)
"""


async def letters(connection: Any, limit: int) -> list[Letter]:
    """The newest messages."""
    query = _COLUMNS.format(bodies="") + " ORDER BY s.recorded_at DESC, s.message_id DESC LIMIT $1"
    return [Letter(**row) for row in await connection.fetch(query, limit)]


async def letter(connection: Any, message_id: UUID) -> Letter | None:
    """One message with its bodies."""
    query = _COLUMNS.format(bodies=", s.html, s.text") + " WHERE s.message_id = $1"
    row = await connection.fetchrow(query, message_id)
    return None if row is None else Letter(**row)
