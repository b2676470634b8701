"""Which profile each person of an identity graph is. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from profiles.identity.component import IdentifierRow
from profiles.identity.graph import IdentityGraph
from profiles.identity.identifiers import strongest_first


@dataclass(slots=True)
class ProfileAssignment:
    """Where every key belongs by now, against where it was."""

    profile_by_key: dict[str, UUID] = field(default_factory=dict)
    new_profiles_by_old: dict[UUID, dict[UUID, None]] = field(default_factory=dict)
    """A profile that existed → the profiles its keys belong to now."""
    verification_changed: bool = False
    """Somebody is vouched for who was not, or no more: whose the unverified events are is asked anew."""

    def merged(self) -> dict[UUID, UUID]:
        """Profiles that are no more, since all of their keys went to one other."""
        used = set(self.profile_by_key.values())
        return {
            was: next(iter(now))
            for was, now in self.new_profiles_by_old.items()
            if len(now) == 1 and was not in used
        }

    def dissolved(self) -> dict[UUID, UUID]:
        """Profiles that are no more, since their keys went to several others."""
        used = set(self.profile_by_key.values())
        return {
            was: next(iter(now))
            for was, now in self.new_profiles_by_old.items()
            if len(now) > 1 and was not in used
        }

    def split(self) -> list[UUID]:
        """Profiles that lost keys to others: some, or all while it lives on."""
        whole = self.merged()
        return [
            was for was, now in self.new_profiles_by_old.items() if list(now) != [was] and was not in whole
        ]

    def profiles_to_reassign(self) -> list[UUID]:
        """Profiles of which each event has to be asked whose it is."""
        return list(self.new_profiles_by_old) if self.verification_changed else self.split()


def assign_profiles(
    graph: IdentityGraph,
    identifiers: Mapping[str, IdentifierRow],
    proposed_ids: Iterable[UUID],
    new_id: Callable[[], UUID],
    occupied_ids: Collection[UUID] = (),
) -> ProfileAssignment:
    """Give each person the oldest profile that their keys were first seen under.

    So that two who are joined are the older one, and two who are parted again are who they were. Where
    several people have keys that were first seen under one profile, it is whose the strongest of them is.
    A key that is nobody's gets a profile of its own, which holds nothing else. ``fresh``: profiles proposed
    in this transaction, which do not exist yet; ``elsewhere``: those that are somebody else's by now.
    """
    taken: dict[UUID, None] = dict.fromkeys(occupied_ids)
    placement = ProfileAssignment()
    proposed = set(proposed_ids)
    heads: dict[UUID, str] = {}
    for key in sorted((key for key in identifiers if key not in graph.quarantined), key=strongest_first):
        heads.setdefault(identifiers[key].origin, key)

    def claims_of(cluster: tuple[str, ...]) -> list[tuple[bool, bool, UUID]]:
        # Whom others know already comes before whom nobody has heard of yet.
        origins = {identifiers[key].origin for key in cluster}
        return sorted((heads.get(who) not in cluster, who in proposed, who) for who in origins)

    def turn(cluster: tuple[str, ...]) -> tuple[Any, ...]:
        return cluster[0] in graph.quarantined, claims_of(cluster)[0], strongest_first(cluster[0])

    for cluster in sorted(graph.clusters, key=turn):
        shunned = cluster[0] in graph.quarantined
        own = (
            identifiers[cluster[0]].profile_id if shunned and _is_isolated(cluster[0], identifiers) else None
        )
        claims = [own] if own else [] if shunned else [origin for *_, origin in claims_of(cluster)]
        mine = next((who for who in claims if who not in taken), None) or new_id()
        taken[mine] = None
        for key in cluster:
            placement.profile_by_key[key] = mine
            was = identifiers[key].profile_id
            if was not in proposed:
                placement.new_profiles_by_old.setdefault(was, {})[mine] = None
    placement.verification_changed = len(graph.clusters) > 1 and _has_verification_changed(
        graph, identifiers, placement, proposed
    )
    return placement


def changed_parts(
    assignment: ProfileAssignment,
    graph: IdentityGraph,
    identifiers: Mapping[str, IdentifierRow],
    links: Iterable[Sequence[str]],
    proposed_ids: Iterable[UUID],
) -> list[ProfileAssignment]:
    """The parts of a placement in which somebody moves; a part: people whom evidence brings together.

    Those who only happen to be in one request are left alone, as they would be in requests of their own.
    ``links``: the keys of each.
    """
    proposed = set(proposed_ids)
    found = []
    for keys in _connected_parts(assignment, identifiers, links):
        part = ProfileAssignment({key: assignment.profile_by_key[key] for key in keys})
        for key in keys:
            if (was := identifiers[key].profile_id) in assignment.new_profiles_by_old:
                part.new_profiles_by_old[was] = assignment.new_profiles_by_old[was]
        several = len(set(part.profile_by_key.values())) > 1
        part.verification_changed = several and _has_verification_changed(graph, identifiers, part, proposed)
        if part.profiles_to_reassign() or part.merged():
            found.append(part)
    return found


def _connected_parts(
    placement: ProfileAssignment, known: Mapping[str, IdentifierRow], links: Iterable[Sequence[str]]
) -> list[list[str]]:
    parent: dict[Any, Any] = {}

    def root(one: Any) -> Any:
        while (above := parent.setdefault(one, one)) != one:
            parent[one] = one = parent.setdefault(above, above)
        return one

    for key, mine in placement.profile_by_key.items():
        for profile in (known[key].profile_id, mine):
            parent[root(key)] = root(profile)
    for keys in links:
        there = [key for key in keys if key in known]
        for key in there[1:]:
            parent[root(key)] = root(there[0])
    parts: dict[Any, list[str]] = {}
    for key in placement.profile_by_key:
        parts.setdefault(root(key), []).append(key)
    return list(parts.values())


def _has_verification_changed(
    graph: IdentityGraph,
    known: Mapping[str, IdentifierRow],
    placement: ProfileAssignment,
    proposed: Collection[UUID],
) -> bool:
    mine = [(known[key], who, key in graph.vouched) for key, who in placement.profile_by_key.items()]
    before = {row.profile_id for row, _, _ in mine if row.vouched and row.profile_id not in proposed}
    now = {who for _, who, vouched in mine if vouched}
    return any(
        (row.profile_id in before) != (who in now) for row, who, _ in mine if row.profile_id not in proposed
    )


def _is_isolated(key: str, known: Mapping[str, IdentifierRow]) -> bool:
    mine = known[key].profile_id
    return known[key].status == "quarantined" and not any(
        row.profile_id == mine for other, row in known.items() if other != key
    )


def event_owner(
    keys: Sequence[str], profile_by_key: Mapping[str, UUID], vouched: frozenset[UUID], *, verified: bool
) -> UUID:
    """Whose an event is that names these keys, the strongest first.

    The strongest key's; but an unverified event that names several people is the strongest's whom nobody
    vouches for: a browser may say whose mail address it has seen, and what it does stays its own until
    somebody who knows says that the two are one.
    """
    strongest = profile_by_key[keys[0]]
    if verified or all(profile_by_key[one] == strongest for one in keys):
        return strongest
    return next((profile_by_key[one] for one in keys if profile_by_key[one] not in vouched), strongest)
