"""Leaves a provider alone that keeps failing, and lets one message try it now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from policy.limits import BreakerRule
from policy.verdict import Channel


class CircuitBreaker:
    """One channel's, in this process; several workers each find out by themselves."""

    def __init__(self, rule: BreakerRule, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rule = rule
        self._clock = clock
        self._failures = 0
        self._open_period = rule.first
        self._open_until: float | None = None
        self._probing = False

    @contextmanager
    def attempt(self) -> Iterator[timedelta | None]:
        """How long the provider is to be left alone; None: it may be called.

        After a rest only one may call until its turn is over; the others wait as long as a first rest.
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
        """The provider was busy, broken or away; ``retry_after`` where it said when to come back."""
        self._failures += 1
        if self._open_until is None:
            if self._failures < self._rule.failures:
                return
        elif self._clock() < self._open_until:
            # This call was under way when the breaker opened.
            return
        else:
            self._open_period = min(self._open_period * 2, self._rule.longest)
        rest = max(self._open_period, retry_after or timedelta(0))
        self._open_until = self._clock() + rest.total_seconds()

    def record_success(self) -> None:
        """The provider took a message, or refused that very one: it works."""
        self._failures, self._open_period, self._open_until = 0, self._rule.first, None

    def _remaining_wait(self) -> timedelta | None:
        if self._open_until is None:
            return None
        left = self._open_until - self._clock()
        if left > 0:
            return timedelta(seconds=left)
        return self._rule.first if self._probing else None


class CircuitBreakers:
    """One a channel."""

    def __init__(self, rule: BreakerRule) -> None:
        self._by_channel = {channel: CircuitBreaker(rule) for channel in Channel}

    def __getitem__(self, channel: Channel) -> CircuitBreaker:
        return self._by_channel[channel]
