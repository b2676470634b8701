"""LISTEN/NOTIFY for the outbox: wakes the relay when rows are written, so that it need not poll often."""

import asyncio
import contextlib
from typing import Any, Self

import asyncpg

NOTIFY_CHANNEL = "waypost_outbox"


class OutboxListener:
    """Listens on one connection. While it is broken, ``wait`` falls back to its timeout and reconnects."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._notified = asyncio.Event()
        self._connection: Any = None
        self._connecting = asyncio.Lock()
        self.notifications = 0
        """Number of notifications so far. Several tasks may wait, each with the count it has seen."""

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None and not self._connection.is_closed():
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._connection.close(timeout=1)

    async def wait(self, timeout_s: float, *, seen: int) -> None:
        """Wait for more than ``seen`` notifications, at most ``timeout_s`` seconds."""
        async with self._connecting:
            # One of the waiting tasks connects again for all.
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
