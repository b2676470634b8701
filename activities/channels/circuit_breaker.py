"""Circuit breakers: stop calls to a provider after consecutive failures, and probe it after a backoff."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from policy.limits import BreakerRule
from policy.verdict import Channel


class CircuitBreaker:
    """The circuit breaker of one channel in this process; other workers have their own."""

    def __init__(self, rule: BreakerRule, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rule = rule
        self._clock = clock
        self._failures = 0
        self._open_period = rule.first
        self._open_until: float | None = None
        self._probing = False

    @contextmanager
    def attempt(self) -> Iterator[timedelta | None]:
        """Yield how long not to call the provider; None: it may be called.

        After a backoff only one attempt, the probe, may call. The others wait as long as the first backoff.
        """
        wait = self._remaining_wait()
        probes = wait is None and self._open_until is not None
        self._probing = self._probing or probes
        try:
            yield wait
        finally:
            if probes:
                self._probing = False

    def record_failure(self, retry_after: timedelta | None = None) -> None:
        """Record that the provider was busy, faulty or unreachable; ``retry_after``: the wait it asks for."""
        self._failures += 1
        if self._open_until is None:
            if self._failures < self._rule.failures:
                return
        elif self._clock() < self._open_until:
            # This call was in progress when the breaker opened.
            return
        else:
            self._open_period = min(self._open_period * 2, self._rule.longest)
        rest = max(self._open_period, retry_after or timedelta(0))
        self._open_until = self._clock() + rest.total_seconds()

    def record_success(self) -> None:
        """Record that the provider works: it accepted a message, or rejected only that message."""
        self._failures, self._open_period, self._open_until = 0, self._rule.first, None

    def _remaining_wait(self) -> timedelta | None:
        if self._open_until is None:
            return None
        left = self._open_until - self._clock()
        if left > 0:
            return timedelta(seconds=left)
        return self._rule.first if self._probing else None


class CircuitBreakers(dict[Channel, CircuitBreaker]):
    """The circuit breakers of all channels."""

    def __init__(self, rule: BreakerRule) -> None:
        super().__init__({channel: CircuitBreaker(rule) for channel in Channel})
