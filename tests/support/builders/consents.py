"""People and what they said, row by row: a ledger of consents for tests that fold it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from profiles.consent.effective import refresh_consents
from profiles.db.database import Database
from profiles.db.sql import new_id

DAY = datetime(2026, 11, 1, tzinfo=UTC)

_IDENTIFIER = """
INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, vouched, created_at)
VALUES ($1, $2, $3, $3, $4, $4, $5, $4)
"""

_WORD = """
INSERT INTO consent (profile_id, channel, topic, state, source, verified, voice, event_id, time, at)
VALUES ($1, $2, $3, $4, 'test', $5, $6, $7, $8, $8)
"""


def day(number: float) -> datetime:
    return DAY + timedelta(days=number)


@dataclass
class ConsentRows:
    """People and what they said, row by row."""

    database: Database

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            return list(await connection.fetch(query, *arguments))

    async def person(self, *keys: str, vouched: bool = True, joined: float = 0) -> UUID:
        profile_id = new_id()
        await self.rows("INSERT INTO profile (profile_id, created_at) VALUES ($1, $2)", profile_id, DAY)
        for key in keys:
            await self.gets(profile_id, key, vouched=vouched, joined=joined)
        return profile_id

    async def gets(self, profile_id: UUID, key: str, *, vouched: bool = True, joined: float = 0) -> None:
        kind, _, value = key.partition(":")
        await self.rows(_IDENTIFIER, kind, value, profile_id, day(joined), vouched)

    async def says(
        self,
        profile_id: UUID,
        state: str,
        on: float,
        voice: str | None,
        *,
        channel: str = "email",
        topic: str = "marketing",
        verified: bool = True,
    ) -> None:
        word = (profile_id, channel, topic, state, verified, voice, new_id(), day(on))
        await self.rows(_WORD, *word)

    async def moves(self, key: str, to: UUID, *, joined: float) -> None:
        """An identifier becomes somebody else's, with all that was said under it."""
        kind, _, value = key.partition(":")
        await self.rows(
            "UPDATE identifier SET profile_id = $3, linked_at = $4 WHERE type = $1 AND value = $2",
            *(kind, value, to, day(joined)),
        )
        await self.rows("UPDATE consent SET profile_id = $2 WHERE voice = $1", key, to)

    async def refresh(self, *profile_ids: UUID) -> int:
        """Returns how many statements it took; the driver's own, once a connection, left out."""
        taken: list[Any] = []
        async with self.database.transaction() as connection:
            with connection.query_logger(taken.append):
                await refresh_consents(connection, profile_ids, day(30))
        return sum("opt_out" in statement.query for statement in taken)

    async def states(self, profile_id: UUID) -> dict[tuple[str, str], tuple[str, int]]:
        """(channel, topic) → what stands, and the day it was said."""
        rows = await self.rows("SELECT * FROM consent_state WHERE profile_id = $1", profile_id)
        return {(row["channel"], row["topic"]): (row["state"], (row["time"] - DAY).days) for row in rows}

    async def register(self) -> list[tuple[str, str, str, int]]:
        """Address, topic, state, day."""
        rows = await self.rows("SELECT * FROM opt_out ORDER BY address, topic")
        return [(row["address"], row["topic"], row["state"], (row["time"] - DAY).days) for row in rows]
