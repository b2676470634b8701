"""Identifiers that are nobody's, remembered by this process so that nothing waits for them."""

import time
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet

from profiles.identifiers import split_key
from profiles.identity_rules import DEVICE

FOR_S = 30.0
"""Seconds after which Postgres is asked again: an operator may have released one."""
_MOST = 10_000


class Shunned(AbstractSet[str]):
    """Keys lately found to be nobody's. Thousands of events may name one, each waiting for its row."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, bool]] = {}

    def add(self, keys: Iterable[str], attested: Collection[str] = ()) -> None:
        """Remember some for ``FOR_S``. ``attested``: those that verified events took away."""
        until = time.monotonic() + FOR_S
        for key in keys:
            self._until.pop(key, None)
            self._until[key] = (until, key in attested)
        while len(self._until) > _MOST:
            del self._until[next(iter(self._until))]

    def has(self, key: str, *, verified: bool) -> bool:
        """Whether an event need not name it.

        A verified one must name an address that only made-up events have taken away: it is weighed anew then.
        A device is nobody's whoever says so.
        """
        until, attested = self._until.get(key, (0.0, False))
        return until > time.monotonic() and (not verified or attested or split_key(key)[0] in DEVICE)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.has(key, verified=False)

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._until if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
