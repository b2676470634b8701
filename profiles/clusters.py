"""Makes clusters of keys one where the rules allow it, and says why where they do not."""

from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from profiles.identity_rules import MICROSECOND, IdentityRules, kind_of, strongest_first

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class _Cluster:
    """Some keys, with what the rules ask of them, so that no question walks them all."""

    founder: str
    """The key that was seen first."""
    keys: list[str]
    times: dict[str, list[int]]
    """Type → when its values were first seen, in microseconds, sorted."""
    strong: bool
    vouched: bool
    severed: list[str]
    """The keys that are in a cut."""
    settled: datetime
    """The time of the latest link that it is made of."""


class Clusters:
    """Disjoint clusters of keys that only grow. ``of`` is the cluster of each key."""

    def __init__(
        self,
        seen: Mapping[str, datetime],
        vouched: Collection[str],
        cuts: Mapping[str, Sequence[str]],
        rules: IdentityRules,
    ) -> None:
        self._rules = rules
        self._cuts = cuts
        self._seen = seen
        self._taken_in: dict[str, list[tuple[str, datetime]]] = {key: [] for key in seen}
        self.of = {
            key: _Cluster(
                founder=key,
                keys=[key],
                times={kind_of(key): [(time - _EPOCH) // MICROSECOND]},
                strong=rules.is_strong(key),
                vouched=key in vouched,
                severed=[key] if key in cuts else [],
                settled=time,
            )
            for key, time in seen.items()
        }

    def join(self, one: str, other: str, time: datetime, *, weakly: bool, verified: bool) -> tuple[str, str]:
        """Make the clusters of two keys one, unless a rule forbids it: then the reason and its detail.

        ``("", "")`` when they are one now. A refusal never lapses by a cluster's growing, so that no pair
        needs to be tried twice.
        """
        this, that = self.of[one], self.of[other]
        if this is that:
            return "", ""
        why, detail = self._refusal(this, that, weakly=weakly, verified=verified)
        if not why:
            self._unite(this, that, time)
        return why, detail

    def _refusal(self, one: _Cluster, other: _Cluster, *, weakly: bool, verified: bool) -> tuple[str, str]:
        cut = self._cut(one, other)
        if cut:
            return "cut", cut
        for kind, limit in self._rules.limits.items():
            if limit.broken_by(one.times.get(kind, ()), other.times.get(kind, ())):
                return "limit", kind
        if weakly and one.strong and other.strong:
            return "strong", ""
        if not verified and (one.vouched or other.vouched):
            return "unverified", ""
        return "", ""

    def _cut(self, one: _Cluster, other: _Cluster) -> str:
        if not one.severed or not other.severed:
            return ""
        few, many = sorted((one, other), key=lambda cluster: len(cluster.severed))
        found = [
            sorted((key, apart), key=strongest_first)
            for key in few.severed
            for apart in self._cuts[key]
            if self.of.get(apart) is many
        ]
        return " and ".join(min(found, key=lambda pair: [*map(strongest_first, pair)], default=[]))

    def _unite(self, one: _Cluster, other: _Cluster, time: datetime) -> None:
        early, late = sorted(
            (one.founder, other.founder), key=lambda key: (self._seen[key], strongest_first(key))
        )
        settled = max(time, one.settled, other.settled)
        self._taken_in[early].append((late, settled))
        # The smaller moves into the larger: a key moves at most log2(keys) times.
        few, many = sorted((one, other), key=lambda cluster: len(cluster.keys))
        for key in few.keys:
            self.of[key] = many
        for kind, times in few.times.items():
            known = many.times.setdefault(kind, [])
            for seen in times:
                insort(known, seen)
        many.founder, many.settled = early, settled
        many.keys += few.keys
        many.severed += few.severed
        many.strong |= few.strong
        many.vouched |= few.vouched

    def joined_at(self) -> dict[str, datetime]:
        """When each key became one with the founder of its cluster; the founder: when it was first seen."""
        joined = {}
        for founder in dict.fromkeys(cluster.founder for cluster in self.of.values()):
            joined[founder] = self._seen[founder]
            for part, time in self._taken_in[founder]:
                rest = [part]
                while rest:
                    key = rest.pop()
                    joined[key] = time
                    rest.extend(later for later, _ in self._taken_in[key])
        return joined
