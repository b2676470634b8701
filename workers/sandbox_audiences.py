"""The sandbox ad platform: books of its own in Postgres, apart from what Waypost believes of them."""

from uuid import UUID

from profiles.database import Database


class SandboxAudiences:
    """An ``AdPlatform`` whose every call is a transaction of its own, as a real platform's would be."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, audience: str, member_id: UUID) -> None:
        """Take a member in; idempotent."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO sandbox_audience (audience, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                audience,
                member_id,
            )

    async def remove(self, audience: str, member_id: UUID) -> None:
        """Take a member out; idempotent."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "DELETE FROM sandbox_audience WHERE audience = $1 AND member_id = $2", audience, member_id
            )

    async def holds(self, audience: str, member_id: UUID) -> bool:
        """Whether the books have the member."""
        async with self._database.transaction() as connection:
            return bool(
                await connection.fetchval(
                    "SELECT true FROM sandbox_audience WHERE audience = $1 AND member_id = $2",
                    audience,
                    member_id,
                )
            )
