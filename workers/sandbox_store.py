"""Keep what the sandbox delivers in Postgres, where ``GET /sandbox`` shows it."""

from uuid import UUID

from activities.channels.sandbox import SandboxMessage, Store
from profiles import mailbox
from profiles.database import Database


def sandbox_store(database: Database) -> Store:
    """A store that keeps each message once."""

    async def keep(message: SandboxMessage) -> None:
        async with database.transaction() as connection:
            await mailbox.keep(
                connection,
                UUID(message.message_id),
                channel=message.channel.value,
                address=message.to,
                subject=message.subject,
                html=message.html,
                text=message.text,
                headers=message.headers,
            )

    return keep
