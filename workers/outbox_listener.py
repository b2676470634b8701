"""Postgres rings when there is something in the outbox, so that the relay need not keep asking."""

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

import asyncpg

NOTIFY_CHANNEL = "waypost_outbox"


class OutboxListener:
    """Listens on one connection; where that breaks, waiting goes on by time alone until it is back."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._notified = asyncio.Event()
        self._connection: Any = None
        self.notifications = 0
        """How often it has rung; several may wait, each with the count it knows."""

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None and not self._connection.is_closed():
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._connection.close(timeout=1)

    async def wait(self, timeout_s: float, *, seen: int) -> None:
        """Until it has rung more often than ``known`` times, or the time is up."""
        if self._connection is None or self._connection.is_closed():
            await self._listen()
        if self.notifications == seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._notified.wait(), timeout_s)

    async def _listen(self) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            self._connection = await asyncpg.connect(self._url, timeout=3)
            await self._connection.add_listener(NOTIFY_CHANNEL, self._on_notify)

    def _on_notify(self, *_: object) -> None:
        self.notifications += 1
        rung, self._notified = self._notified, asyncio.Event()
        rung.set()
