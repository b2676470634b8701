"""Identifiers that are nobody's, remembered by this process so that nothing waits for them."""

import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

FOR_S = 30.0
"""Seconds after which Postgres is asked again: an operator may have released one."""
_MOST = 10_000


class Shunned(AbstractSet[str]):
    """Keys lately found to be nobody's. Thousands of events may name one, each waiting for its row."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, keys: Iterable[str]) -> None:
        """Remember some for ``FOR_S``."""
        until = time.monotonic() + FOR_S
        for key in keys:
            self._until.pop(key, None)
            self._until[key] = until
        while len(self._until) > _MOST:
            del self._until[next(iter(self._until))]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._until.get(key, 0.0) > time.monotonic()

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._until if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
