"""Keep what the sandbox delivers in Postgres, where ``GET /sandbox`` shows it."""

from uuid import UUID

from activities.channels.sandbox import SandboxMessage, Store
from profiles.changes import encode
from profiles.database import Database

_KEEP = """
INSERT INTO sandbox_message (message_id, channel, address, subject, html, text, headers)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""


def sandbox_store(database: Database) -> Store:
    """A store that keeps each message once."""

    async def keep(message: SandboxMessage) -> None:
        async with database.transaction() as connection:
            await connection.execute(
                _KEEP,
                UUID(message.message_id),
                message.channel.value,
                message.to,
                message.subject,
                message.html,
                message.text,
                encode(message.headers),
            )

    return keep
