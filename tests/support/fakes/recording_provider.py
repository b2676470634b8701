"""A provider that keeps a ledger of what it accepted: the only ground truth about who got what twice."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from activities.channels.adapter import Accepted, NotSent, OutgoingMessage
from policy.verdict import Channel
from profiles.db.database import Database


@dataclass
class RecordingProvider:
    """Serves one channel; what comes of each call is said beforehand in ``answers``."""

    channel: Channel
    database: Database | None = None
    """Where set, each call is checked on arrival: its claim and its allow must be committed."""
    provider: str = "ledger"
    answers: list[Exception] = field(default_factory=list)
    """Raised by the next calls, in order. ``NotSent`` comes before accepting, all else after it."""
    calls: Counter[str] = field(default_factory=Counter)
    accepted: list[OutgoingMessage] = field(default_factory=list)
    unlicensed: list[str] = field(default_factory=list)
    holding: asyncio.Event | None = None
    """Where set, a call accepts, and answers only when this is."""
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, outgoing: OutgoingMessage) -> Accepted:
        """Accept one message, or do what ``answers`` says."""
        self.calls[outgoing.message_id] += 1
        if self.database is not None and not await self._licensed(self.database, outgoing.message_id):
            self.unlicensed.append(outgoing.message_id)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, NotSent):
            raise answer
        self.accepted.append(outgoing)
        self.called.set()
        if self.holding is not None:
            await self.holding.wait()
        if answer is not None:
            raise answer
        return Accepted(f"ledger-{len(self.accepted)}")

    async def aclose(self) -> None:
        """Nothing to release."""

    @property
    def times(self) -> Counter[str]:
        """Message id → how often it was accepted."""
        return Counter(outgoing.message_id for outgoing in self.accepted)

    async def _licensed(self, database: Database, message_id: str) -> bool:
        async with database.transaction() as connection:
            claimed = await connection.fetchval(
                "SELECT status IN ('claimed', 'unknown') FROM message WHERE message_id = $1", UUID(message_id)
            )
            allowed = await connection.fetchval(
                "SELECT count(*) FROM decision WHERE message_id = $1 AND verdict = 'allow'", UUID(message_id)
            )
        return bool(claimed) and allowed == self.calls[message_id]
