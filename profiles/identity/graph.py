"""Resolves identifiers into people: which keys are one person, since when, and why others are not."""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from types import MappingProxyType
from uuid import UUID

from profiles.identity.identifiers import (
    DEFAULT,
    DEVICE,
    MICROSECOND,
    IdentityRules,
    hash_of,
    kind_of,
    strongest_first,
)

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


_NONE: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Link:
    """Identifiers that one event named together."""

    keys: tuple[str, ...]
    """Each "type:value", strongest first. One key alone joins nothing, but a verified link vouches for it."""
    time: datetime
    """The earliest time at which they were named together; with an offset."""
    source: str
    id: str
    verified: bool
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one pair of a link."""

    link: Link
    one: str
    """The key joined to: the strongest good one of the link."""
    other: str
    """The key that was to join."""
    joined: bool
    why: str
    """Empty when joined, else quarantined, cut, limit, strong or unverified (the first that holds)."""
    detail: str = ""
    """The type that would be over its limit; the pair that a cut keeps apart."""


@dataclass(frozen=True, slots=True)
class Graph:
    """People, as clusters of keys."""

    clusters: tuple[tuple[str, ...], ...]
    """Each key in exactly one, strongest first; in the order of their strongest keys."""
    joined_at: dict[str, datetime]
    """Key → when it became one person with the founding (first seen) key of its cluster; for that key, when
    it was first seen."""
    vouched: frozenset[str]
    """Good strong keys that a verified link names."""
    quarantined: frozenset[str]
    """Keys that are nobody's, given or found; each is alone."""
    steps: tuple[Step, ...]
    """In the order in which they were taken."""
    _cluster: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {key: cluster for cluster in self.clusters for key in cluster}
        object.__setattr__(self, "_cluster", index)

    def cluster_of(self, key: str) -> tuple[str, ...]:
        """All keys of the person whom a key names; a key never seen is alone."""
        return self._cluster.get(key, (key,))


def resolve(
    links: Iterable[Link],
    *,
    alone: Mapping[str, datetime] = _NONE,
    cuts: Collection[frozenset[str]] = (),
    quarantined: Collection[str] = (),
    released: Collection[str] = (),
    rules: IdentityRules = DEFAULT,
) -> Graph:
    """Put keys into people; a pure function of the sets given, whatever their order and repetitions.

    Verified links are taken first, then unverified ones, each by time: what a browser says never decides
    what becomes of what a server said. ``alone``: keys seen, with or without links, and when. ``cuts``:
    pairs that are never one person; one between an email and its own hash says nothing. ``quarantined``:
    keys that are nobody's whatever their links; ``released``: keys that are never found to be.
    A key is first seen at the earliest of its links and of ``alone``. An attested key (of no device, and
    named by a verified link) is first seen, and counted for quarantine, by its verified links only: a forged
    event moves no limit and takes no address away. An email and the hash that it implies are one address,
    in one cluster, counted and quarantined together, but for a hash that is given as quarantined without
    its email, and an attested hash whose email nothing verified has ever named.
    """
    taken, given = _distinct(links), frozenset(quarantined)
    verified = frozenset(key for link in taken if link.verified for key in link.keys)
    attested = frozenset(key for key in verified if kind_of(key) not in DEVICE)
    vouched = frozenset(key for key in verified if rules.is_strong(key))
    address = _addresses((*(key for link in taken for key in link.keys), *alone), given, attested)
    named = ((tuple(dict.fromkeys(address[key] for key in link.keys)), link.verified) for link in taken)
    shared = shared_keys(named, attested, rules) - {address.get(key, key) for key in released}
    nobodys = given | {key for key, of in address.items() if of in shared or of in given}
    seen = _first_seen(taken, alone, address, attested)
    clusters = Clusters(seen, vouched, _apart(cuts, address), rules)
    steps = tuple(step for link in taken for step in _steps(link, clusters, address, nobodys, rules))
    return _graph(clusters, address, vouched - nobodys, nobodys, steps)


def explain(step: Step, rules: IdentityRules = DEFAULT) -> str:
    """A step as one sentence for an operator; it holds the identifiers."""
    said = f"event {step.link.id} from {step.link.source}"
    if step.joined:
        return f"{step.other} is the same person as {step.one}: {said} names both."
    match step.why:
        case "quarantined":
            because = "so many people share one of them that it is nobody's"
        case "cut":
            because = f"an operator has cut {step.detail} apart"
        case "limit":
            limit = rules.limits[step.detail]
            span = f" within {limit.within.days} days" if limit.within else ""
            because = f"one person would have more than {limit.most} {step.detail}{span}"
        case "strong":
            because = "both are somebody already, and a device or a hash is too weak to make them one"
        case _:
            because = "nothing verifies it, and one of the two is a person whom a verified event vouches for"
    return f"{step.other} does not join {step.one}, though {said} names both: {because}."


def _distinct(links: Iterable[Link]) -> list[Link]:
    """Each set of keys once as verified and once as unverified, at its earliest, in the order of taking."""
    order = sorted(
        links,
        key=lambda link: (not link.verified, link.time, link.source, link.id, link.keys, str(link.event_id)),
    )
    first: dict[tuple[frozenset[str], bool], Link] = {}
    for link in order:
        first.setdefault((frozenset(link.keys), link.verified), link)
    return list(first.values())


def _addresses(keys: Iterable[str], given: frozenset[str], attested: frozenset[str]) -> dict[str, str]:
    """Key → the key that stands for it: for a hash its email, when that is known, else the key itself."""

    def stands_for(key: str) -> str:
        email = emails.get(key, key)
        alone = (key in given and email not in given) or (key in attested and email not in attested)
        return key if alone else email

    known = dict.fromkeys(keys)
    emails = {hash_of(key): key for key in known if kind_of(key) == "email"}
    return {key: stands_for(key) for key in known}


def _first_seen(
    links: Iterable[Link],
    alone: Mapping[str, datetime],
    address: Mapping[str, str],
    attested: Collection[str],
) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    told = [(key, link.time, link.verified) for link in links for key in link.keys]
    for spelling, time, verified in (*told, *((key, time, False) for key, time in alone.items())):
        key = address[spelling]
        if verified or key not in attested:
            seen[key] = min(time, seen.get(key, time))
    return seen


def _apart(cuts: Iterable[frozenset[str]], address: Mapping[str, str]) -> dict[str, list[str]]:
    apart: dict[str, list[str]] = {}
    for cut in cuts:
        for one, other in permutations(dict.fromkeys(address.get(key, key) for key in cut), 2):
            apart.setdefault(one, []).append(other)
    return apart


def _steps(
    link: Link,
    clusters: Clusters,
    address: Mapping[str, str],
    nobodys: Collection[str],
    rules: IdentityRules,
) -> Iterable[Step]:
    keys = sorted(set(link.keys), key=strongest_first)
    one = next((key for key in keys if key not in nobodys), keys[0])
    for other in keys:
        if other == one:
            continue
        why, detail = "quarantined", ""
        if other not in nobodys:
            weakly = not (rules.is_strong(one) and rules.is_strong(other))
            why, detail = clusters.join(
                address[one], address[other], link.time, weakly=weakly, verified=link.verified
            )
        yield Step(link, one, other, not why, why, detail)


def _graph(
    clusters: Clusters,
    address: Mapping[str, str],
    vouched: frozenset[str],
    nobodys: frozenset[str],
    steps: tuple[Step, ...],
) -> Graph:
    people: dict[str, list[str]] = {}
    for key in sorted(address, key=strongest_first):
        # A quarantined email and its hash are one address, and yet alone like all that are nobody's.
        people.setdefault(key if key in nobodys else clusters.of[address[key]].founder, []).append(key)
    joined = clusters.joined_at()
    return Graph(
        clusters=tuple(tuple(keys) for keys in people.values()),
        joined_at={key: joined[of] for key, of in address.items()},
        vouched=vouched,
        quarantined=nobodys,
        steps=steps,
    )


def shared_keys(
    links: Iterable[tuple[Sequence[str], bool]], attested: Collection[str], rules: IdentityRules
) -> frozenset[str]:
    """The keys that are linked with too many values of one strong type other than their own.

    ``links`` are (keys, verified). An attested key is counted over verified links only: otherwise anybody
    who holds a write key could take a customer's address away by naming it beside a dozen made-up
    user_ids. Every other key (a shared tablet's anonymous_id) is counted over all links. Counting looks
    at links, never at who has become one person, so that no key found changes another's count: one pass
    finds them all.
    """
    beside: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for keys, verified in links:
        strong = [(key, kind_of(key)) for key in keys if rules.is_strong(key)]
        for key in keys:
            if not verified and key in attested:
                continue
            own = kind_of(key)
            for other, kind in strong:
                if kind != own:
                    beside[key, kind].add(other)
    return frozenset(
        key
        for (key, _), others in beside.items()
        if len(others) > rules.shared_by.get(kind_of(key), len(others))
    )
