"""Who is who, worked out again from the words of the design: plain sets, and every rule by counting."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from profiles.identity.graph import Link
from profiles.identity.identifiers import (
    DEVICE_TYPES,
    IdentityRules,
    ValueLimit,
    email_hash_key,
    strongest_first,
)


@dataclass
class ModelResolution:
    """What a resolution must agree with."""

    clusters: set[frozenset[str]]
    joined_at: dict[str, datetime]
    quarantined: set[str]


def kind(key: str) -> str:
    return key.split(":")[0]


def too_many(times: list[datetime], limit: ValueLimit) -> bool:
    """Whether some window that begins at one of them holds more than the most."""
    return any(
        sum(start <= time and (limit.period is None or time - start < limit.period) for time in times)
        > limit.max_values
        for start in times
    )


def model(
    links: Iterable[Link],
    alone: Mapping[str, datetime],
    cuts: Collection[frozenset[str]],
    given: Collection[str],
    rules: IdentityRules,
) -> ModelResolution:
    """What ``profiles.identity.graph.resolve_graph`` must find."""
    links = sorted(links, key=lambda link: (not link.verified, link.time, link.source, link.id, link.keys))
    sworn = {key for link in links if link.verified for key in link.keys if kind(key) not in DEVICE_TYPES}
    known = {*alone, *(key for link in links for key in link.keys)}
    email = {email_hash_key(key): key for key in known if kind(key) == "email"}
    known_as = {
        key: key if key in given or (key in sworn and email.get(key) not in sworn) else email.get(key, key)
        for key in known
    }
    spellings = {as_: {key for key in known if known_as[key] == as_} for as_ in known_as.values()}

    def strong(keys: Iterable[str]) -> bool:
        return any(kind(key) in rules.strong for key in keys)

    def counted(key: str) -> list[set[str]]:
        """The keys of each link that says something of a key."""
        told = [({known_as[other] for other in link.keys}, link.verified) for link in links]
        return [keys for keys, verified in told if key in keys and (verified or key not in sworn)]

    def shared(key: str) -> bool:
        beside = set().union(*counted(key))
        return any(
            len([other for other in beside if kind(other) == type_]) > rules.shared_by[kind(key)]
            for type_ in rules.strong - {kind(key)}
        )

    nobodys = {spelled for key in spellings if key in given or shared(key) for spelled in spellings[key]}
    seen = {
        as_: min(
            [link.time for link in links if keys & {*link.keys} and (link.verified or as_ not in sworn)]
            + [alone[key] for key in keys if key in alone and as_ not in sworn]
        )
        for as_, keys in spellings.items()
    }
    clusters = {as_: frozenset([as_]) for as_ in spellings}
    history: list[tuple[frozenset[str], datetime]] = []

    def refused(link: Link, one: str, other: str) -> bool:
        left, right = clusters[known_as[one]], clusters[known_as[other]]
        both = left | right
        return (
            any(len({known_as.get(key, key) for key in cut} & both) == 2 for cut in cuts)
            or any(
                too_many([seen[key] for key in both if kind(key) == type_], limit)
                for type_, limit in rules.limits.items()
            )
            or (not (strong([one]) and strong([other])) and strong(left) and strong(right))
            or (not link.verified and any(key in sworn and strong([key]) for key in both))
        )

    for link in links:
        good = sorted({*link.keys} - nobodys, key=strongest_first)
        for other in good[1:]:
            left, right = clusters[known_as[good[0]]], clusters[known_as[other]]
            if left != right and not refused(link, good[0], other):
                both = left | right
                earlier = [time for keys, time in history if keys < both]
                history.append((both, max([link.time, *earlier, *(seen[key] for key in both)])))
                clusters |= dict.fromkeys(both, both)

    def joined(key: str) -> datetime:
        founder = min(clusters[key], key=lambda other: (seen[other], strongest_first(other)))
        return next((time for keys, time in history if {key, founder} <= keys and key != founder), seen[key])

    whole = {frozenset().union(*(spellings[key] for key in keys)) for keys in clusters.values()}
    return ModelResolution(
        {keys for keys in whole if not keys & nobodys} | {frozenset([key]) for key in nobodys},
        {key: joined(known_as[key]) for key in known},
        nobodys | {*given},
    )
