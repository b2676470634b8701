"""The sandbox ad platform: books of its own in Postgres, apart from what Waypost believes of them."""

from uuid import UUID

from profiles import mailbox
from profiles.database import Database


class SandboxAudiences:
    """An ``AdPlatform`` whose every call is a transaction of its own, as a real platform's would be."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, audience: str, member_id: UUID) -> None:
        """Take a member in; idempotent."""
        async with self._database.transaction() as connection:
            await mailbox.add_member(connection, audience, member_id)

    async def remove(self, audience: str, member_id: UUID) -> None:
        """Take a member out; idempotent."""
        async with self._database.transaction() as connection:
            await mailbox.remove_member(connection, audience, member_id)

    async def holds(self, audience: str, member_id: UUID) -> bool:
        """Whether the books have the member."""
        async with self._database.transaction() as connection:
            return await mailbox.has_member(connection, audience, member_id)
