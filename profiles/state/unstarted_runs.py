"""How many runs that unverified events begin may wait for their start, so that no sender fills the outbox."""

import time
from typing import Any

DEFAULT_MAX_UNSTARTED_RUNS = 50_000

CHECK_INTERVAL_S = 1.0
"""Seconds for which a process uses the answer of one count."""

_SELECT_IS_FULL = """
SELECT count(*) >= $1 FROM (SELECT 1 FROM outbox
  WHERE delivered_at IS NULL AND NOT verified AND kind = 'start' LIMIT $1) waiting
"""


class UnstartedRuns:
    """The bound of waiting starts. One instance per process.

    Postgres counts once a second at most. Meanwhile a process may start more than the bound allows.
    """

    def __init__(self, limit: int = DEFAULT_MAX_UNSTARTED_RUNS) -> None:
        self._limit = limit
        self._is_full = False
        self._checked_at = float("-inf")

    @property
    def problem(self) -> str:
        """Why an event starts no run, for its sender."""
        return (
            f"{self._limit} runs of unverified events wait for their start, so that this event starts none; "
            "send it with a server key, or its successor later"
        )

    async def is_full(self, connection: Any) -> bool:
        """Return whether as many runs wait as may. False where there is no bound (a limit of 0)."""
        now = time.monotonic()
        if self._limit > 0 and now >= self._checked_at + CHECK_INTERVAL_S:
            self._is_full = bool(await connection.fetchval(_SELECT_IS_FULL, self._limit))
            self._checked_at = now
        return self._is_full
