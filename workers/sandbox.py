"""The sandbox in Postgres: an ad platform with its own membership table, and the store of sent messages."""

from uuid import UUID

from activities.channels.sandbox import SandboxMessage, SandboxStore
from profiles.db.database import Database
from profiles.messaging import sandbox


class SandboxAdPlatform:
    """An ``AdPlatform`` that runs each call in its own transaction, as a real platform would."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, audience: str, member_id: UUID) -> None:
        """Add a member. Idempotent."""
        await self._database.run(lambda connection: sandbox.add_member(connection, audience, member_id))

    async def remove(self, audience: str, member_id: UUID) -> None:
        """Remove a member. Idempotent."""
        await self._database.run(lambda connection: sandbox.remove_member(connection, audience, member_id))

    async def has_member(self, audience: str, member_id: UUID) -> bool:
        """Whether the platform's table has the member."""
        return await self._database.run(
            lambda connection: sandbox.has_member(connection, audience, member_id)
        )


def create_sandbox_store(database: Database) -> SandboxStore:
    """Return a store that saves each message once, by its id."""

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
