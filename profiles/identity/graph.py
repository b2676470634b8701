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
    DEFAULT_IDENTITY_RULES,
    DEVICE_TYPES,
    MICROSECOND,
    IdentityRules,
    email_hash_key,
    strongest_first,
    type_of_key,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class _Cluster:
    """Some keys, with what the rules ask of them, so that no question walks them all."""

    first_seen_key: str
    """The key that was seen first."""
    keys: list[str]
    first_seen_by_type: dict[str, list[int]]
    """Type → when its values were first seen, in microseconds, sorted."""
    has_strong_key: bool
    has_vouched_key: bool
    cut_keys: list[str]
    """The keys that are in a cut."""
    last_linked_at: datetime
    """The time of the latest link that it is made of."""


class Clusters:
    """Disjoint clusters of keys that only grow. ``of`` is the cluster of each key."""

    def __init__(
        self,
        first_seen: Mapping[str, datetime],
        vouched: Collection[str],
        cuts: Mapping[str, Sequence[str]],
        rules: IdentityRules,
    ) -> None:
        self._rules = rules
        self._cuts = cuts
        self._first_seen = first_seen
        self._absorbed: dict[str, list[tuple[str, datetime]]] = {key: [] for key in first_seen}
        self.cluster_by_key = {
            key: _Cluster(
                first_seen_key=key,
                keys=[key],
                first_seen_by_type={type_of_key(key): [(time - _EPOCH) // MICROSECOND]},
                has_strong_key=rules.is_strong(key),
                has_vouched_key=key in vouched,
                cut_keys=[key] if key in cuts else [],
                last_linked_at=time,
            )
            for key, time in first_seen.items()
        }

    def try_join(
        self, key_a: str, key_b: str, time: datetime, *, is_weak: bool, verified: bool
    ) -> tuple[str, str]:
        """Make the clusters of two keys one, unless a rule forbids it: then the reason and its detail.

        ``("", "")`` when they are one now. A refusal never lapses by a cluster's growing, so that no pair
        needs to be tried twice.
        """
        this, that = self.cluster_by_key[key_a], self.cluster_by_key[key_b]
        if this is that:
            return "", ""
        why, detail = self._refusal_reason(this, that, weakly=is_weak, verified=verified)
        if not why:
            self._absorb(this, that, time)
        return why, detail

    def _refusal_reason(
        self, one: _Cluster, other: _Cluster, *, weakly: bool, verified: bool
    ) -> tuple[str, str]:
        cut = self._separating_cut(one, other)
        if cut:
            return "cut", cut
        for kind, limit in self._rules.limits.items():
            if limit.is_exceeded_by(
                one.first_seen_by_type.get(kind, ()), other.first_seen_by_type.get(kind, ())
            ):
                return "limit", kind
        if weakly and one.has_strong_key and other.has_strong_key:
            return "strong", ""
        if not verified and (one.has_vouched_key or other.has_vouched_key):
            return "unverified", ""
        return "", ""

    def _separating_cut(self, one: _Cluster, other: _Cluster) -> str:
        if not one.cut_keys or not other.cut_keys:
            return ""
        few, many = sorted((one, other), key=lambda cluster: len(cluster.cut_keys))
        found = [
            sorted((key, apart), key=strongest_first)
            for key in few.cut_keys
            for apart in self._cuts[key]
            if self.cluster_by_key.get(apart) is many
        ]
        return " and ".join(min(found, key=lambda pair: [*map(strongest_first, pair)], default=[]))

    def _absorb(self, one: _Cluster, other: _Cluster, time: datetime) -> None:
        early, late = sorted(
            (one.first_seen_key, other.first_seen_key),
            key=lambda key: (self._first_seen[key], strongest_first(key)),
        )
        settled = max(time, one.last_linked_at, other.last_linked_at)
        self._absorbed[early].append((late, settled))
        # The smaller moves into the larger: a key moves at most log2(keys) times.
        few, many = sorted((one, other), key=lambda cluster: len(cluster.keys))
        for key in few.keys:
            self.cluster_by_key[key] = many
        for kind, times in few.first_seen_by_type.items():
            known = many.first_seen_by_type.setdefault(kind, [])
            for seen in times:
                insort(known, seen)
        many.first_seen_key, many.last_linked_at = early, settled
        many.keys += few.keys
        many.cut_keys += few.cut_keys
        many.has_strong_key |= few.has_strong_key
        many.has_vouched_key |= few.has_vouched_key

    def joined_at(self) -> dict[str, datetime]:
        """When each key became one with the founder of its cluster; the founder: when it was first seen."""
        joined = {}
        for founder in dict.fromkeys(cluster.first_seen_key for cluster in self.cluster_by_key.values()):
            joined[founder] = self._first_seen[founder]
            for part, time in self._absorbed[founder]:
                rest = [part]
                while rest:
                    key = rest.pop()
                    joined[key] = time
                    rest.extend(later for later, _ in self._absorbed[key])
        return joined


_NO_SIGHTINGS: Mapping[str, datetime] = MappingProxyType({})


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
class ResolutionStep:
    """What became of one pair of a link."""

    link: Link
    target_key: str
    """The key joined to: the strongest good one of the link."""
    candidate_key: str
    """The key that was to join."""
    joined: bool
    refusal: str
    """Empty when joined, else quarantined, cut, limit, strong or unverified (the first that holds)."""
    detail: str = ""
    """The type that would be over its limit; the pair that a cut keeps apart."""


@dataclass(frozen=True, slots=True)
class IdentityGraph:
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
    steps: tuple[ResolutionStep, ...]
    """In the order in which they were taken."""
    _cluster: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {key: cluster for cluster in self.clusters for key in cluster}
        object.__setattr__(self, "_cluster", index)

    def cluster_of(self, key: str) -> tuple[str, ...]:
        """All keys of the person whom a key names; a key never seen is alone."""
        return self._cluster.get(key, (key,))


def resolve_graph(
    links: Iterable[Link],
    *,
    sightings: Mapping[str, datetime] = _NO_SIGHTINGS,
    cuts: Collection[frozenset[str]] = (),
    quarantined: Collection[str] = (),
    released: Collection[str] = (),
    rules: IdentityRules = DEFAULT_IDENTITY_RULES,
) -> IdentityGraph:
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
    taken, given = _deduplicate_links(links), frozenset(quarantined)
    verified = frozenset(key for link in taken if link.verified for key in link.keys)
    attested = frozenset(key for key in verified if type_of_key(key) not in DEVICE_TYPES)
    vouched = frozenset(key for key in verified if rules.is_strong(key))
    address = _representatives((*(key for link in taken for key in link.keys), *sightings), given, attested)
    named = ((tuple(dict.fromkeys(address[key] for key in link.keys)), link.verified) for link in taken)
    shared = find_shared_keys(named, attested, rules) - {address.get(key, key) for key in released}
    nobodys = given | {key for key, of in address.items() if of in shared or of in given}
    seen = _first_seen(taken, sightings, address, attested)
    clusters = Clusters(seen, vouched, _cut_partners(cuts, address), rules)
    steps = tuple(step for link in taken for step in _apply_link(link, clusters, address, nobodys, rules))
    return _to_graph(clusters, address, vouched - nobodys, nobodys, steps)


def explain_step(step: ResolutionStep, rules: IdentityRules = DEFAULT_IDENTITY_RULES) -> str:
    """A step as one sentence for an operator; it holds the identifiers."""
    said = f"event {step.link.id} from {step.link.source}"
    if step.joined:
        return f"{step.candidate_key} is the same person as {step.target_key}: {said} names both."
    match step.refusal:
        case "quarantined":
            because = "so many people share one of them that it is nobody's"
        case "cut":
            because = f"an operator has cut {step.detail} apart"
        case "limit":
            limit = rules.limits[step.detail]
            span = f" within {limit.period.days} days" if limit.period else ""
            because = f"one person would have more than {limit.max_values} {step.detail}{span}"
        case "strong":
            because = "both are somebody already, and a device or a hash is too weak to make them one"
        case _:
            because = "nothing verifies it, and one of the two is a person whom a verified event vouches for"
    return f"{step.candidate_key} does not join {step.target_key}, though {said} names both: {because}."


def _deduplicate_links(links: Iterable[Link]) -> list[Link]:
    """Each set of keys once as verified and once as unverified, at its earliest, in the order of taking."""
    order = sorted(
        links,
        key=lambda link: (not link.verified, link.time, link.source, link.id, link.keys, str(link.event_id)),
    )
    first: dict[tuple[frozenset[str], bool], Link] = {}
    for link in order:
        first.setdefault((frozenset(link.keys), link.verified), link)
    return list(first.values())


def _representatives(
    keys: Iterable[str], quarantined: frozenset[str], attested: frozenset[str]
) -> dict[str, str]:
    """Key → the key that stands for it: for a hash its email, when that is known, else the key itself."""

    def stands_for(key: str) -> str:
        email = emails.get(key, key)
        alone = (key in quarantined and email not in quarantined) or (
            key in attested and email not in attested
        )
        return key if alone else email

    known = dict.fromkeys(keys)
    emails = {email_hash_key(key): key for key in known if type_of_key(key) == "email"}
    return {key: stands_for(key) for key in known}


def _first_seen(
    links: Iterable[Link],
    sightings: Mapping[str, datetime],
    representative: Mapping[str, str],
    attested: Collection[str],
) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    told = [(key, link.time, link.verified) for link in links for key in link.keys]
    for spelling, time, verified in (*told, *((key, time, False) for key, time in sightings.items())):
        key = representative[spelling]
        if verified or key not in attested:
            seen[key] = min(time, seen.get(key, time))
    return seen


def _cut_partners(cuts: Iterable[frozenset[str]], representative: Mapping[str, str]) -> dict[str, list[str]]:
    apart: dict[str, list[str]] = {}
    for cut in cuts:
        for one, other in permutations(dict.fromkeys(representative.get(key, key) for key in cut), 2):
            apart.setdefault(one, []).append(other)
    return apart


def _apply_link(
    link: Link,
    clusters: Clusters,
    representative: Mapping[str, str],
    quarantined: Collection[str],
    rules: IdentityRules,
) -> Iterable[ResolutionStep]:
    keys = sorted(set(link.keys), key=strongest_first)
    one = next((key for key in keys if key not in quarantined), keys[0])
    for other in keys:
        if other == one:
            continue
        why, detail = "quarantined", ""
        if other not in quarantined:
            weakly = not (rules.is_strong(one) and rules.is_strong(other))
            why, detail = clusters.try_join(
                representative[one], representative[other], link.time, is_weak=weakly, verified=link.verified
            )
        yield ResolutionStep(link, one, other, not why, why, detail)


def _to_graph(
    clusters: Clusters,
    representative: Mapping[str, str],
    vouched: frozenset[str],
    quarantined: frozenset[str],
    steps: tuple[ResolutionStep, ...],
) -> IdentityGraph:
    people: dict[str, list[str]] = {}
    for key in sorted(representative, key=strongest_first):
        # A quarantined email and its hash are one address, and yet alone like all that are nobody's.
        people.setdefault(
            key if key in quarantined else clusters.cluster_by_key[representative[key]].first_seen_key, []
        ).append(key)
    joined = clusters.joined_at()
    return IdentityGraph(
        clusters=tuple(tuple(keys) for keys in people.values()),
        joined_at={key: joined[of] for key, of in representative.items()},
        vouched=vouched,
        quarantined=quarantined,
        steps=steps,
    )


def find_shared_keys(
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
        strong = [(key, type_of_key(key)) for key in keys if rules.is_strong(key)]
        for key in keys:
            if not verified and key in attested:
                continue
            own = type_of_key(key)
            for other, kind in strong:
                if kind != own:
                    beside[key, kind].add(other)
    return frozenset(
        key
        for (key, _), others in beside.items()
        if len(others) > rules.shared_by.get(type_of_key(key), len(others))
    )
