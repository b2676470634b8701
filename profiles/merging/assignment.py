"""Assigns a profile id to each cluster of an identity graph, and an owner to each event. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from profiles.identity.component import IdentifierRow
from profiles.identity.graph import IdentityGraph
from profiles.identity.identifiers import strongest_first


@dataclass(slots=True)
class ProfileAssignment:
    """The profile of every key, and where the keys of existing profiles moved."""

    profile_by_key: dict[str, UUID] = field(default_factory=dict)
    """Key → its profile now."""
    new_profiles_by_old: dict[UUID, dict[UUID, None]] = field(default_factory=dict)
    """An existing profile → the profiles of its keys now."""
    verification_changed: bool = False
    """Whether a profile gained or lost its verified identifier; its unverified events are then reassigned."""

    def merged(self) -> dict[UUID, UUID]:
        """Return profiles that end because all of their keys moved to one other profile → that profile."""
        return {old: new[0] for old, new in self._ended().items() if len(new) == 1}

    def dissolved(self) -> dict[UUID, UUID]:
        """Return profiles that end because their keys moved to several others → the first of these."""
        return {old: new[0] for old, new in self._ended().items() if len(new) > 1}

    def _ended(self) -> dict[UUID, list[UUID]]:
        used = set(self.profile_by_key.values())
        return {old: list(new) for old, new in self.new_profiles_by_old.items() if old not in used}

    def split(self) -> list[UUID]:
        """Return profiles of which keys moved to others, without those that end in one other profile."""
        whole = self.merged()
        moved = [old for old, new in self.new_profiles_by_old.items() if list(new) != [old]]
        return [old for old in moved if old not in whole]

    def profiles_to_reassign(self) -> list[UUID]:
        """Return the profiles of which every event needs a new decision on its owner."""
        return list(self.new_profiles_by_old) if self.verification_changed else self.split()


def assign_profiles(
    graph: IdentityGraph,
    identifiers: Mapping[str, IdentifierRow],
    proposed_ids: Iterable[UUID],
    new_id: Callable[[], UUID],
    occupied_ids: Collection[UUID] = (),
) -> ProfileAssignment:
    """Give each cluster the oldest profile among the origins of its keys.

    So a merge results in the older profile, and a later split restores both. If keys of several clusters have
    one origin, the cluster with the strongest of these keys gets it. A quarantined key gets a profile of its
    own, which holds nothing else. ``proposed_ids``: profiles that this transaction proposes and that do not
    exist yet. ``occupied_ids``: origins that other keys occupy.
    """
    taken: dict[UUID, None] = dict.fromkeys(occupied_ids)
    assignment = ProfileAssignment()
    proposed = set(proposed_ids)
    strongest_key: dict[UUID, str] = {}
    for key in sorted((key for key in identifiers if key not in graph.quarantined), key=strongest_first):
        strongest_key.setdefault(identifiers[key].origin, key)

    def claims_of(cluster: tuple[str, ...]) -> list[tuple[bool, bool, UUID]]:
        # Existing profiles before proposed ones. A device that a page has joined claims none for a customer.
        own = [key for key in cluster if key not in graph.linked_by_page]
        origins = {identifiers[key].origin for key in own or cluster}
        return sorted((strongest_key.get(each) not in cluster, each in proposed, each) for each in origins)

    def order(cluster: tuple[str, ...]) -> tuple[Any, ...]:
        return cluster[0] in graph.quarantined, claims_of(cluster)[0], strongest_first(cluster[0])

    for cluster in sorted(graph.clusters, key=order):
        if cluster[0] not in graph.quarantined:
            claims = [origin for *_, origin in claims_of(cluster)]
        elif _is_isolated(cluster[0], identifiers):
            claims = [identifiers[cluster[0]].profile_id]
        else:
            claims = []
        profile_id = next((each for each in claims if each not in taken), None) or new_id()
        taken[profile_id] = None
        for key in cluster:
            assignment.profile_by_key[key] = profile_id
            old_id = identifiers[key].profile_id
            if old_id not in proposed:
                assignment.new_profiles_by_old.setdefault(old_id, {})[profile_id] = None
    assignment.verification_changed = len(graph.clusters) > 1 and _has_verification_changed(
        graph, identifiers, assignment, proposed
    )
    return assignment


def changed_parts(
    assignment: ProfileAssignment,
    graph: IdentityGraph,
    identifiers: Mapping[str, IdentifierRow],
    links: Iterable[Sequence[str]],
    proposed_ids: Iterable[UUID],
) -> list[ProfileAssignment]:
    """Return the connected parts of an assignment in which a profile changes.

    Keys are connected by links, or by a common profile. Profiles that are only in the same request stay
    unchanged, as in separate requests. ``links``: the keys of each link.
    """
    proposed = set(proposed_ids)
    changed = []
    for keys in _connected_parts(assignment, identifiers, links):
        part = ProfileAssignment({key: assignment.profile_by_key[key] for key in keys})
        for key in keys:
            if (old_id := identifiers[key].profile_id) in assignment.new_profiles_by_old:
                part.new_profiles_by_old[old_id] = assignment.new_profiles_by_old[old_id]
        several = len(set(part.profile_by_key.values())) > 1
        part.verification_changed = several and _has_verification_changed(graph, identifiers, part, proposed)
        if part.profiles_to_reassign() or part.merged():
            changed.append(part)
    return changed


def _connected_parts(
    assignment: ProfileAssignment, identifiers: Mapping[str, IdentifierRow], links: Iterable[Sequence[str]]
) -> list[list[str]]:
    # A union-find forest of keys and profile ids.
    parent: dict[Any, Any] = {}

    def root(node: Any) -> Any:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = node = parent.setdefault(above, above)
        return node

    for key, profile_id in assignment.profile_by_key.items():
        for profile in (identifiers[key].profile_id, profile_id):
            parent[root(key)] = root(profile)
    for keys in links:
        stored = [key for key in keys if key in identifiers]
        for key in stored[1:]:
            parent[root(key)] = root(stored[0])
    parts: dict[Any, list[str]] = {}
    for key in assignment.profile_by_key:
        parts.setdefault(root(key), []).append(key)
    return list(parts.values())


def _has_verification_changed(
    graph: IdentityGraph,
    identifiers: Mapping[str, IdentifierRow],
    assignment: ProfileAssignment,
    proposed: Collection[UUID],
) -> bool:
    rows = [
        (identifiers[key], new_id, key in graph.vouched) for key, new_id in assignment.profile_by_key.items()
    ]
    verified_before = {row.profile_id for row, _, _ in rows if row.vouched and row.profile_id not in proposed}
    verified_now = {new_id for _, new_id, vouched in rows if vouched}
    return any(
        (row.profile_id in verified_before) != (new_id in verified_now)
        for row, new_id, _ in rows
        if row.profile_id not in proposed
    )


def _is_isolated(key: str, identifiers: Mapping[str, IdentifierRow]) -> bool:
    profile_id = identifiers[key].profile_id
    return identifiers[key].status == "quarantined" and not any(
        row.profile_id == profile_id for other_key, row in identifiers.items() if other_key != key
    )


def event_owner(
    keys: Sequence[str],
    profile_by_key: Mapping[str, UUID],
    vouched: frozenset[UUID],
    *,
    verified: bool,
    linked_by_page: Collection[str] = (),
) -> UUID:
    """Return the profile of an event that names these keys, strongest first.

    It is the profile of the strongest key. An unverified event that names several profiles goes to the
    strongest key of which the profile is not ``vouched``, if there is one: a browser may name an address that
    it has seen, and its events stay apart until a verified event joins the two. ``linked_by_page``: devices
    of which the shop accepts what a page says. Their events go to the customer whom they name.
    """
    strongest = profile_by_key[keys[0]]
    if any(key in linked_by_page and profile_by_key[key] == strongest for key in keys):
        return strongest
    if verified or all(profile_by_key[key] == strongest for key in keys):
        return strongest
    return next((profile_by_key[key] for key in keys if profile_by_key[key] not in vouched), strongest)
