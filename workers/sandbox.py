"""The sandbox ad platform: books of its own in Postgres, apart from what Waypost believes of them."""

from uuid import UUID

from activities.channels.sandbox import SandboxMessage, SandboxStore
from profiles.db.database import Database
from profiles.messaging import sandbox


class SandboxAdPlatform:
    """An ``AdPlatform`` whose every call is a transaction of its own, as a real platform's would be."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, audience: str, member_id: UUID) -> None:
        """Take a member in; idempotent."""
        async with self._database.transaction() as connection:
            await sandbox.add_member(connection, audience, member_id)

    async def remove(self, audience: str, member_id: UUID) -> None:
        """Take a member out; idempotent."""
        async with self._database.transaction() as connection:
            await sandbox.remove_member(connection, audience, member_id)

    async def has_member(self, audience: str, member_id: UUID) -> bool:
        """Whether the books have the member."""
        async with self._database.transaction() as connection:
            return await sandbox.has_member(connection, audience, member_id)


def create_sandbox_store(database: Database) -> SandboxStore:
    """A store that keeps each message once."""

    async def keep(message: SandboxMessage) -> None:
        async with database.transaction() as connection:
            await sandbox.keep(
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
