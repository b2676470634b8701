"""What ties two identifiers to one person, how many a person may have, and when one is nobody's."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from types import MappingProxyType

PRIORITY = ("user_id", "loyalty_id", "email", "phone", "push_token", "anonymous_id", "email_sha256")
"""Identifier types, strongest first."""

STRONG = frozenset(("user_id", "loyalty_id", "email", "phone"))
"""Types whose values a person knows or is given; the others name a device or a hash, and are weak."""

DEVICE = frozenset(("push_token", "anonymous_id"))
"""Types of a device: nobody can guess such a value, and many people may use what it names."""

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """The most distinct values of one type that one person may have."""

    most: int
    within: timedelta | None = None
    """Counted over every span shorter than this, by when the values were first seen; None: for ever."""

    def broken_by(self, one: Sequence[int], other: Sequence[int]) -> bool:
        """Whether two people's values, neither over the limit alone, are too many for one person.

        Both are first-seen times in microseconds, sorted. Broken when any span shorter than ``within``
        holds more than ``most`` (values exactly ``within`` apart are not in one span). Symmetric, depends
        on the two lists only, and once broken stays broken whatever is added to either.
        """
        if not one or not other or len(one) + len(other) <= self.most:
            return False
        if self.within is None:
            return True
        few, many = (one, other) if len(one) <= len(other) else (other, one)
        span = self.within // MICROSECOND
        # A span that is too full holds one of the few, so only their neighbourhood matters.
        near = many[bisect_right(many, few[0] - span) : bisect_left(many, few[-1] + span)]
        times = sorted([*few, *near])
        return any(last - first < span for first, last in zip(times, times[self.most :], strict=False))


_LIMITS = MappingProxyType(
    {
        "user_id": Limit(1),
        "loyalty_id": Limit(5, timedelta(days=365)),
        "email": Limit(5, timedelta(days=365)),
        "phone": Limit(5, timedelta(days=365)),
        "push_token": Limit(10, timedelta(days=30)),
        "anonymous_id": Limit(10, timedelta(days=7)),
    }
)
_SHARED_BY = MappingProxyType(
    {
        "user_id": 20,
        "loyalty_id": 10,
        "email": 10,
        "phone": 10,
        "push_token": 5,
        "anonymous_id": 5,
        "email_sha256": 10,
    }
)


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """By what identifiers become people; raises ValueError that names every rule that makes no sense."""

    limits: Mapping[str, Limit] = field(default_factory=lambda: _LIMITS)
    """Type → how many values of it one person may have; a type that is not named has no limit."""

    shared_by: Mapping[str, int] = field(default_factory=lambda: _SHARED_BY)
    """Type → the most values of one strong type that may be linked with one key before it is nobody's."""

    strong: frozenset[str] = STRONG
    """Types that two people can be joined by."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} names {kind!r}; there are {', '.join(PRIORITY)}"
            for name, kinds in (
                ("limits", self.limits),
                ("shared_by", self.shared_by),
                ("strong", self.strong),
            )
            for kind in sorted(kinds)
            if kind not in PRIORITY
        ]
        for kind, limit in self.limits.items():
            if limit.most < 1:
                faults.append(f"limits: {kind} must allow at least 1, got {limit.most}")
            if limit.within is not None and limit.within <= timedelta():
                faults.append(f"limits: {kind} must count over a span longer than 0, got {limit.within}")
        faults += [
            f"shared_by: {kind} must allow at least 1, got {most}"
            for kind, most in self.shared_by.items()
            if most < 1
        ]
        if faults:
            raise ValueError("these identity rules make no sense: " + "; ".join(faults))

    def is_strong(self, key: str) -> bool:
        """Whether a key may join two people who each have a strong key already."""
        return kind_of(key) in self.strong


DEFAULT = IdentityRules()

_RANK = {kind: rank for rank, kind in enumerate(PRIORITY)}


def kind_of(key: str) -> str:
    """The type of a key "type:value"."""
    return key.partition(":")[0]


def strongest_first(key: str) -> tuple[int, str]:
    """Sort key of keys: by priority of their type (an unknown type is the weakest), then by value."""
    return _RANK.get(kind_of(key), len(_RANK)), key


def hash_of(key: str) -> str:
    """The email_sha256 key that an email key implies."""
    return "email_sha256:" + sha256(key.partition(":")[2].encode()).hexdigest()
