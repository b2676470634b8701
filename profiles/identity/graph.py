"""Resolves identifiers into profiles: which keys belong together, since when, and why others do not. Pure."""

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

_NO_SIGHTINGS: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Link:
    """Identifiers that one event named together."""

    keys: tuple[str, ...]
    """Each "type:value", strongest first. A single key joins nothing, but a verified link vouches for it."""
    time: datetime
    """The earliest time at which they were named together; timezone-aware."""
    source: str
    id: str
    verified: bool
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ResolutionStep:
    """The result for one pair of keys of a link."""

    link: Link
    target_key: str
    """The strongest key of the link that is not quarantined."""
    candidate_key: str
    """The key that joins ``one``, or is refused."""
    joined: bool
    refusal: str
    """Empty if joined, else the first reason that applies: quarantined, cut, limit, strong or unverified."""
    detail: str = ""
    """For limit, the type that would exceed it; for cut, the pair of the cut."""


@dataclass(frozen=True, slots=True)
class IdentityGraph:
    """The resolved profiles, as clusters of keys."""

    clusters: tuple[tuple[str, ...], ...]
    """Each key is in exactly one. Keys strongest first; clusters in the order of their strongest keys."""
    joined_at: dict[str, datetime]
    """Key → when it joined the founder (first seen key) of its cluster; for the founder, when it was first
    seen."""
    vouched: frozenset[str]
    """Strong keys that a verified link names and that are not quarantined."""
    quarantined: frozenset[str]
    """Quarantined keys, given or found. Each is alone in its cluster."""
    steps: tuple[ResolutionStep, ...]
    """In the order in which they were applied."""
    _cluster: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {key: cluster for cluster in self.clusters for key in cluster}
        object.__setattr__(self, "_cluster", index)

    def cluster_of(self, key: str) -> tuple[str, ...]:
        """Return all keys of the profile that a key names. An unknown key is alone."""
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
    """Resolve keys into profiles. A pure function of the given sets, independent of order and repetitions.

    ``sightings``: key → when it was seen, with or without links. ``cuts``: pairs that never belong to one
    profile; a cut between an email and its own hash has no effect. ``quarantined``: keys that are quarantined
    in any case. ``released``: keys that are never found to be shared by too many profiles.

    Verified links are applied first, then unverified ones, each by time, so that an event of a browser never
    changes the effect of an event of a server. A key is first seen at the earliest of its links and its
    sighting. An attested key (not of a device, and named by a verified link) is first seen, and counted for
    quarantine, by its verified links only, so that a forged event changes no limit and quarantines no
    address. An email and its hash are one address: in one cluster, counted and quarantined together. There
    are two exceptions: a hash that is given as quarantined without its email, and an attested hash with an
    email that no verified link names.
    """
    ordered_links, given = _deduplicate_links(links), frozenset(quarantined)
    verified = frozenset(key for link in ordered_links if link.verified for key in link.keys)
    attested = frozenset(key for key in verified if type_of_key(key) not in DEVICE_TYPES)
    vouched = frozenset(key for key in verified if rules.is_strong(key))
    keys = (*(key for link in ordered_links for key in link.keys), *sightings)
    address = _representatives(keys, given, attested)
    named = [(tuple({address[key]: None for key in link.keys}), link.verified) for link in ordered_links]
    shared = find_shared_keys(named, attested, rules) - {address.get(key, key) for key in released}
    all_quarantined = given | {key for key, of in address.items() if of in shared or of in given}
    seen = _first_seen(ordered_links, sightings, address, attested)
    clusters = Clusters(seen, vouched, _cut_partners(cuts, address), rules)
    steps = tuple(
        step
        for link in ordered_links
        for step in _apply_link(link, clusters, address, all_quarantined, rules)
    )
    return _to_graph(clusters, address, vouched - all_quarantined, all_quarantined, steps)


def explain_step(step: ResolutionStep, rules: IdentityRules = DEFAULT_IDENTITY_RULES) -> str:
    """Return a step as one sentence for an operator. The sentence contains the identifiers."""
    event = f"event {step.link.id} from {step.link.source}"
    if step.joined:
        return f"{step.candidate_key} is the same person as {step.target_key}: {event} names both."
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
    return f"{step.candidate_key} does not join {step.target_key}, though {event} names both: {because}."


def find_shared_keys(
    links: Iterable[tuple[Sequence[str], bool]], attested: Collection[str], rules: IdentityRules
) -> frozenset[str]:
    """Return the keys that are linked with too many values of one strong type other than their own.

    ``links`` are (keys, verified). An attested key is counted over verified links only. Otherwise a public
    write key could quarantine a customer's address by naming it with a dozen made-up user_ids. Every other
    key (a shared tablet's anonymous_id) is counted over all links. The count depends on links only, not on
    the resolved profiles, so one key's quarantine does not change another's count and one pass is enough.
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


@dataclass(slots=True, eq=False)
class _Cluster:
    """Keys of one profile, with the values that the rules need, so that no check reads all keys."""

    first_seen_key: str
    """The founder of the cluster."""
    keys: list[str]
    first_seen_by_type: dict[str, list[int]]
    """Type → when its values were first seen, in microseconds, sorted."""
    has_strong_key: bool
    has_vouched_key: bool
    cut_keys: list[str]
    """The keys that are in a cut."""
    last_linked_at: datetime
    """Time of the latest link that joined keys of it."""


def _is_other_spelling(key: str, known: Collection[str]) -> bool:
    """Return whether a user id is an address that is known in small letters too.

    Older versions kept its capitals. Such a pair counts as one user id in the limits.
    """
    return "@" in key and key.startswith("user_id:") and (small := key.lower()) != key and small in known


class Clusters:
    """Disjoint clusters of keys, which only grow. ``of``: key → its cluster."""

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
                first_seen_by_type={}
                if _is_other_spelling(key, first_seen)
                else {type_of_key(key): [(time - _EPOCH) // MICROSECOND]},
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
        """Join the clusters of two keys, unless a rule forbids it. Returns the reason and its detail.

        Returns ``("", "")`` if the keys are in one cluster afterwards. A refusal stays valid when clusters
        grow, so no pair needs a second attempt.
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
        """Return the first rule that forbids the join, with its detail; ``("", "")`` if none does."""
        cut = self._separating_cut(one, other)
        if cut:
            return "cut", cut
        for kind, limit in self._rules.limits.items():
            one_seen, other_seen = (each.first_seen_by_type.get(kind, ()) for each in (one, other))
            if limit.is_exceeded_by(one_seen, other_seen):
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
        pairs = [
            sorted((key, apart), key=strongest_first)
            for key in few.cut_keys
            for apart in self._cuts[key]
            if self.cluster_by_key.get(apart) is many
        ]
        return " and ".join(min(pairs, key=lambda pair: [*map(strongest_first, pair)], default=[]))

    def _absorb(self, one: _Cluster, other: _Cluster, time: datetime) -> None:
        early, late = sorted(
            (one.first_seen_key, other.first_seen_key),
            key=lambda key: (self._first_seen[key], strongest_first(key)),
        )
        settled = max(time, one.last_linked_at, other.last_linked_at)
        self._absorbed[early].append((late, settled))
        # The smaller cluster moves into the larger one, so that a key moves at most log2(keys) times.
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
        """Return when each key joined the founder of its cluster; for the founder, when it was first seen."""
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


def _deduplicate_links(links: Iterable[Link]) -> list[Link]:
    """Return each set of keys once as verified and once as unverified, with its earliest link, in order."""
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
    """Return key → the key that represents it: for a hash its email, if known, else the key itself."""

    def representative_of(key: str) -> str:
        email = emails.get(key, key)
        alone = any(key in keys and email not in keys for keys in (quarantined, attested))
        return key if alone else email

    known = dict.fromkeys(keys)
    emails = {email_hash_key(key): key for key in known if type_of_key(key) == "email"}
    return {key: representative_of(key) for key in known}


def _first_seen(
    links: Iterable[Link],
    sightings: Mapping[str, datetime],
    representative: Mapping[str, str],
    attested: Collection[str],
) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    linked = [(key, link.time, link.verified) for link in links for key in link.keys]
    for named_key, time, verified in (*linked, *((key, time, False) for key, time in sightings.items())):
        key = representative[named_key]
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
    profiles: dict[str, list[str]] = {}
    for key in sorted(representative, key=strongest_first):
        # A quarantined email and its hash are one address, and still each is alone, as every quarantined key.
        own = clusters.cluster_by_key[representative[key]]
        founder = key if key in quarantined else own.first_seen_key
        profiles.setdefault(founder, []).append(key)
    joined = clusters.joined_at()
    return IdentityGraph(
        clusters=tuple(tuple(keys) for keys in profiles.values()),
        joined_at={key: joined[of] for key, of in representative.items()},
        vouched=vouched,
        quarantined=quarantined,
        steps=steps,
    )
