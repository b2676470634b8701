"""The gate with another reading than its own, or without its lock, and a point at which it stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from profiles.messaging import claims
from profiles.messaging.snapshot import Snapshot, SnapshotQuery

_GATES = ("activities.gate.send_gate", "activities.audiences")

Reading = Callable[[Any, SnapshotQuery], Awaitable[Snapshot | None]]


class Pause:
    """Whoever awaits a call of it waits there until ``go_on`` is set."""

    def __init__(self) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        """Stand still."""
        self.reached.set()
        await self.go_on.wait()


async def without_lock(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
    """The naive reading: no lock at all."""
    profile_id = await connection.fetchval("SELECT profile_id FROM run WHERE run_id = $1", ask.run_id)
    return await claims.read_snapshot(connection, profile_id, ask)


def replace_reading(
    monkeypatch: pytest.MonkeyPatch, reading: Reading, then: Callable[[], Awaitable[Any]] | None = None
) -> None:
    """Let the gates of messages and of audiences read so, and await ``then`` between reading and deciding."""

    async def read(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
        snapshot = await reading(connection, ask)
        if then is not None:
            await then()
        return snapshot

    for gate in _GATES:
        monkeypatch.setattr(f"{gate}.read_locked_snapshot", read)


def unlock_gate(
    monkeypatch: pytest.MonkeyPatch,
    reading: Reading = without_lock,
    *,
    then: Callable[[], Awaitable[Any]] | None = None,
) -> None:
    """As ``replace_reading``, and nothing is locked before."""
    for gate in _GATES:
        monkeypatch.setattr(f"{gate}.lock_profile_sql", lambda ask: "")
    replace_reading(monkeypatch, reading, then)
