"""Identities written straight into Postgres, as ingest leaves them, for tests of reading them."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.identity.identifiers import STRONG_TYPES, strongest_first
from tests.identities import FIRST

_EVENT = """
INSERT INTO event (event_id, source, id, content_hash, type, channel, time, at, verified)
VALUES ($1, 'shop', $2, '', $3, $4, $5, $5, $6)
"""
_LINK = """
INSERT INTO identity_link (digest, verified, keys, time, source, id, event_id, at)
VALUES ($1, $2, $3, $4, 'shop', $5, $6, $4)
"""
_IDENTIFIER = """
INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, status, vouched, created_at)
VALUES ($1, $2, $3, $3, $4, $4, $5, $6, $4)
"""
_MESSAGE = """
INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, message_class, items,
  status, decided_at, sent_at)
VALUES ($1, $2, $1, 's', 'win-back', 'email', 'we_miss_you', 'marketing', '{}', 'sent', $3, $3)
"""
_LOG = """
INSERT INTO identity_log (at, kind, profile_id, other_profile_id, key, other_key, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


@dataclass(slots=True)
class IdentityRows:
    """Writes people, what links them, and what was sent to them."""

    database: Database
    events: list[UUID] = field(default_factory=list)

    async def person(
        self, *keys: str, quarantined: tuple[str, ...] = (), merged_into: UUID | None = None
    ) -> UUID:
        """A profile with these identifiers."""
        profile_id = new_id()
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO profile (profile_id, merged_into, created_at) VALUES ($1, $2, $3)",
                profile_id,
                merged_into,
                FIRST,
            )
            for key in keys:
                kind, _, value = key.partition(":")
                status = "quarantined" if key in quarantined else "good"
                await connection.execute(
                    _IDENTIFIER, kind, value, profile_id, FIRST, status, kind in STRONG_TYPES
                )
        return profile_id

    async def link(
        self,
        *keys: str,
        name: str = "Signed In",
        channel: str = "web",
        after: timedelta = timedelta(),
        verified: bool = True,
    ) -> UUID:
        """An event that names several identifiers; its id."""
        event_id, said = new_id(), f"e-{len(self.events) + 1}"
        named = sorted(keys, key=strongest_first)
        digest = hashlib.sha256("\x1f".join(named).encode()).digest()
        async with self.database.transaction() as connection:
            await connection.execute(_EVENT, event_id, said, name, channel, FIRST + after, verified)
            await connection.execute(_LINK, digest, verified, named, FIRST + after, said, event_id)
        self.events.append(event_id)
        return event_id

    async def cut(self, one: str, other: str, *, lifted: bool = False) -> int:
        """Two identifiers kept apart; the cut's id."""
        async with self.database.transaction() as connection:
            cut_id: int = await connection.fetchval(
                "INSERT INTO identity_cut (one, other, actor, reason, at, lifted_at) "
                "VALUES ($1, $2, 'ops', 'siblings', $3, $4) RETURNING cut_id",
                one,
                other,
                FIRST,
                FIRST if lifted else None,
            )
        return cut_id

    async def logged(
        self,
        kind: str,
        profile_id: UUID | None = None,
        *,
        other: UUID | None = None,
        key: str | None = None,
        at: datetime = FIRST,
        detail: str = "",
    ) -> None:
        """A row of the log."""
        async with self.database.transaction() as connection:
            await connection.execute(_LOG, at, kind, profile_id, other, key, None, detail)

    async def sent(self, profile_id: UUID, at: datetime) -> UUID:
        """A message that went out."""
        message_id = new_id()
        async with self.database.transaction() as connection:
            await connection.execute(_MESSAGE, message_id, profile_id, at)
        return message_id
