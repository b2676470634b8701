"""Budgets of unverified senders: token buckets per client address and per key, in the memory of a process.

A key that may be public is known to everybody who reads the shop's pages, so what it may cost is limited.
Server and admin keys have no budget.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from api.http.keys import ApiKey, Role
from api.http.problems import Problem

BURST_S = 20.0
"""Seconds of its rate that a bucket holds. A page's visit, or a backlog of an app, comes at once."""

BYTES_PER_EVENT = 4096
"""Bytes of bodies, after gzip, that the budget of one event pays for: several times an ordinary event."""

REPLAYED_PER_EVENT = 10
"""Past events, applied again for a late one, that cost as much as one event."""

MAX_ADDRESSES = 20_000
"""(key, address) pairs of which the buckets are kept. The one that was used longest ago goes first."""

NO_KEY_LABEL = "none"
"""Label of requests without a key in their headers, as the browser client sends them."""

_MAX_ADDRESS_LENGTH = 64

Clock = Callable[[], float]


class OverBudget(Exception):
    """A sender used up its budget; nothing of the request was read."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        """The exhausted bucket: address_events, address_bytes, key_events or key_bytes."""
        self.retry_after_s = max(1, math.ceil(wait_s))
        """Whole seconds after which the budget suffices, if no other sender uses it up."""

    def to_problem(self) -> Problem:
        """Return the 429 for the request."""
        holder = "address" if self.reason.startswith("address") else "key"
        what = "events" if self.reason.endswith("events") else "bytes"
        return Problem(
            429,
            f"the {what} that one {holder} may send are used up, and nothing of this request was written; "
            "send it again after Retry-After seconds. A backend that sends more uses a server key",
            headers={"Retry-After": str(self.retry_after_s)},
        )


@dataclass(slots=True)
class TokenBucket:
    """Tokens that come back at a rate, up to a burst. The balance may become negative, as a debt."""

    rate: float
    """Tokens a second."""
    burst: float
    tokens: float
    updated_at: float
    """Seconds of a monotonic clock."""

    def wait_for(self, amount: float, now: float) -> float:
        """Return the seconds until ``amount`` tokens are there, or until the bucket is full; 0: now."""
        self._refill(now)
        return max(0.0, (min(amount, self.burst) - self.tokens) / self.rate)

    def take(self, amount: float) -> None:
        """Take tokens; a negative amount gives them back."""
        self.tokens = min(self.burst, self.tokens - amount)

    def _refill(self, now: float) -> None:
        self.tokens = min(self.burst, self.tokens + (now - self.updated_at) * self.rate)
        self.updated_at = now


@dataclass(slots=True)
class _Buckets:
    """The two buckets of one address or one key."""

    events: TokenBucket
    bytes: TokenBucket

    @classmethod
    def full(cls, events_per_s: float, now: float) -> "_Buckets":
        def bucket(rate: float) -> TokenBucket:
            return TokenBucket(rate, max(rate * BURST_S, 1.0), max(rate * BURST_S, 1.0), now)

        return cls(bucket(events_per_s), bucket(events_per_s * BYTES_PER_EVENT))


class RequestBudget:
    """What one request may use. Without buckets it may use anything."""

    def __init__(self, clock: Clock, *buckets: tuple[str, _Buckets]) -> None:
        self._clock, self._buckets = clock, buckets
        self._events = self._bytes = 0

    def reserve(self, body_bytes: int) -> None:
        """Take one event and a body's bytes, before the body is read. Raises ``OverBudget``."""
        self._require(1, body_bytes)
        self._take(1, body_bytes)

    def settle_body(self, body_bytes: int) -> None:
        """Replace the reserved bytes by those of the inflated body, before it is parsed.

        Raises ``OverBudget`` if requests that were read meanwhile left a debt; gives back what it reserved.
        """
        self._take(0, body_bytes - self._bytes)
        try:
            self._require(0, 0)
        except OverBudget:
            self.give_back()
            raise

    def charge_events(self, count: int) -> None:
        """Take the events of a parsed body. What the bucket lacks is a debt that later requests wait for."""
        self._take(count - self._events, 0)

    def charge_replay(self, count: int) -> None:
        """Take what late events cost, after they were stored: past events that were applied again for them.

        What the bucket lacks is a debt, so that a sender of late events cannot cost more than any other.
        """
        self._take(count // REPLAYED_PER_EVENT, 0)

    def give_back(self) -> None:
        """Return what this request took."""
        self._take(-self._events, -self._bytes)

    def _require(self, events: int, body_bytes: int) -> None:
        now = self._clock()
        waits = [
            (bucket.wait_for(amount, now), f"{name}_{what}")
            for name, pair in self._buckets
            for bucket, amount, what in ((pair.events, events, "events"), (pair.bytes, body_bytes, "bytes"))
        ]
        if waits and (longest := max(waits))[0] > 0:
            raise OverBudget(longest[1], longest[0])

    def _take(self, events: int, body_bytes: int) -> None:
        self._events += events
        self._bytes += body_bytes
        for _, pair in self._buckets:
            pair.events.take(events)
            pair.bytes.take(body_bytes)


class SenderBudgets:
    """The buckets of all senders of a process. A rate of 0 sets no limit."""

    def __init__(
        self, *, address_events_per_s: float, key_events_per_s: float, clock: Clock = time.monotonic
    ) -> None:
        self._address_rate, self._key_rate, self._clock = address_events_per_s, key_events_per_s, clock
        self._keys: dict[bytes, _Buckets] = {}
        self._addresses: OrderedDict[tuple[bytes, str], _Buckets] = OrderedDict()

    def __len__(self) -> int:
        """Number of buckets' pairs in memory."""
        return len(self._keys) + len(self._addresses)

    def for_request(self, key: ApiKey | None, address: str) -> RequestBudget:
        """Return the budget of a request; ``key`` None: its headers have none."""
        if key is not None and key.role >= Role.SERVER:
            return RequestBudget(self._clock)
        digest, now = key.digest if key else b"", self._clock()
        buckets: list[tuple[str, _Buckets]] = []
        if self._address_rate:
            buckets.append(("address", self._address_buckets(digest, address_group(address), now)))
        if self._key_rate:
            if digest not in self._keys:
                self._keys[digest] = _Buckets.full(self._key_rate, now)
            buckets.append(("key", self._keys[digest]))
        return RequestBudget(self._clock, *buckets)

    def _address_buckets(self, digest: bytes, address: str, now: float) -> _Buckets:
        found = self._addresses.get((digest, address))
        if found is None:
            # A bucket that was not used for BURST_S is full again, so that forgetting it changes nothing.
            while len(self._addresses) >= MAX_ADDRESSES:
                self._addresses.popitem(last=False)
            found = self._addresses[digest, address] = _Buckets.full(self._address_rate, now)
        else:
            self._addresses.move_to_end((digest, address))
        return found


def address_group(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    text = address[:_MAX_ADDRESS_LENGTH].partition("%")[0]
    if ":" not in text:
        return text
    try:
        parsed = ip_address(text)
    except ValueError:
        return text
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)
