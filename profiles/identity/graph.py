"""Resolves identifiers into profiles: which keys belong together, since when, and why others do not. Pure."""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    accepts_device: bool = False
    """Whether the shop accepts that this unverified link joins a device to a customer."""


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
    """For limit, the type that would exceed it; for cut, the pair of the cut; for unverified, ``SEVERAL`` if
    pages link the device with several customers; if joined, ``BY_PAGE`` if only a page says so."""


BY_PAGE = "page"

SEVERAL = "several"


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
    linked_by_page: frozenset[str] = frozenset()
    """Devices that belong to their cluster only because the shop accepts what a page says of a device."""
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
    page_devices: Mapping[str, datetime] = _NO_SIGHTINGS,
    rules: IdentityRules = DEFAULT_IDENTITY_RULES,
) -> IdentityGraph:
    """Resolve keys into profiles. A pure function of the given sets, independent of order and repetitions.

    ``sightings``: key → when it was seen, with or without links. ``cuts``: pairs that never belong to one
    profile; a cut between an email and its own hash has no effect. ``quarantined``: keys that are quarantined
    in any case. ``released``: keys that are never found to be shared by too many profiles. ``page_devices``:
    devices that only unverified events have named → when the first of them arrived. Links with
    ``accepts_device`` may join them to a customer, after all other links.

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
    steps, linked_by_page = _accept_devices(
        steps, ordered_links, clusters, address, all_quarantined, page_devices, rules
    )
    graph = _to_graph(clusters, address, vouched - all_quarantined, all_quarantined, steps)
    return replace(graph, linked_by_page=linked_by_page) if linked_by_page else graph


def explain_step(step: ResolutionStep, rules: IdentityRules = DEFAULT_IDENTITY_RULES) -> str:
    """Return a step as one sentence for an operator. The sentence contains the identifiers."""
    event = f"event {step.link.id} from {step.link.source}"
    if step.joined and step.detail == BY_PAGE:
        return (
            f"{step.candidate_key} is a device of {step.target_key}, as {event} says without proof: it tells "
            "carts, views and purchases, and adds no address and no consent."
        )
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
        case _ if step.detail == SEVERAL:
            because = "pages link this device with several customers, and nothing verifies any of it"
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
    page_arrivals: list[int] = field(default_factory=list)
    """When the devices arrived that pages have joined to it, in microseconds, sorted."""


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

    def accept_device(
        self,
        customer: str,
        device: str,
        time: datetime,
        *,
        page_devices: Mapping[str, datetime],
        customers_by_device: Mapping[str, Collection[str]],
    ) -> tuple[str, str]:
        """Join a device to a customer whom a verified event names. Returns the reason of a refusal, as
        ``try_join`` does.

        Nothing but such devices joins, so the customer gets no address by it. The customer's own keys stay as
        they are, and keep the time at which they were joined. ``customers_by_device``: the strong keys with
        which any unverified link names a device.
        """
        this, that = self.cluster_by_key[customer], self.cluster_by_key[device]
        if this is that:
            return "", ""
        if not this.has_vouched_key or any(key not in page_devices for key in that.keys):
            return "unverified", ""
        claimed = {key: None for each in that.keys for key in customers_by_device.get(each, ())}
        if any(self.cluster_by_key[key] is not this for key in claimed):
            return "unverified", SEVERAL
        why, detail = self._refusal_reason(this, that, weakly=False, verified=True)
        if why:
            return why, detail
        # Limited by arrival too: the sender of an event chooses its time.
        arrivals = sorted((page_devices[key] - _EPOCH) // MICROSECOND for key in that.keys)
        limit = self._rules.limits.get("anonymous_id")
        if limit is not None and limit.is_exceeded_by(this.page_arrivals, arrivals):
            return "limit", "anonymous_id"
        known = sorted([*this.page_arrivals, *arrivals])
        self._absorb(this, that, time, founder=this.first_seen_key)
        self.cluster_by_key[customer].page_arrivals = known
        return "", ""

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

    def _absorb(self, one: _Cluster, other: _Cluster, time: datetime, founder: str = "") -> None:
        early, late = sorted(
            (one.first_seen_key, other.first_seen_key),
            key=lambda key: (key != founder, self._first_seen[key], strongest_first(key)),
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


def _accept_devices(
    steps: tuple[ResolutionStep, ...],
    links: Iterable[Link],
    clusters: Clusters,
    representative: Mapping[str, str],
    quarantined: Collection[str],
    page_devices: Mapping[str, datetime],
    rules: IdentityRules,
) -> tuple[tuple[ResolutionStep, ...], frozenset[str]]:
    """Join devices to customers by the links that the shop accepts. Returns (all steps, joined devices)."""
    devices = {key: at for key, at in page_devices.items() if key not in quarantined}
    if not any(step.link.accepts_device and step.candidate_key in devices for step in steps):
        return steps, frozenset()
    customers: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for link in links:
        usable = sorted((key for key in link.keys if key not in quarantined), key=strongest_first)
        if usable and rules.is_strong(usable[0]):
            for key in usable[1:]:
                if key in devices:
                    customers[key][representative[usable[0]]] = None
    result = []
    for step in steps:
        if step.refusal == "unverified" and step.link.accepts_device and step.candidate_key in devices:
            why, detail = clusters.accept_device(
                representative[step.target_key],
                step.candidate_key,
                step.link.time,
                page_devices=devices,
                customers_by_device=customers,
            )
            step = replace(step, joined=not why, refusal=why, detail=detail if why else BY_PAGE)
        result.append(step)
    accepted = [step.target_key for step in result if step.detail == BY_PAGE]
    owners = [clusters.cluster_by_key[representative[key]] for key in accepted]
    joined = {key for owner in owners for key in owner.keys if key in devices}
    return tuple(result), frozenset(joined)


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
