"""Chooses what a picture of an identity shows: strong identifiers first, and the rest summed up."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from api.identity_diagram.model import (
    REMAINDER,
    TYPE_LABELS,
    DiagramGroup,
    DiagramNode,
    IdentityDiagram,
    InstantFormatter,
    RefusedLink,
    describe_link,
    describe_refusal,
    format_count,
    format_day,
)
from profiles.identity.identifiers import (
    STRONG_TYPES,
    email_hash_key,
    mask_identifier,
    strongest_first,
    truncate_middle,
)
from profiles.identity.views import HeldIdentifier, IdentityEdge, IdentityView, Neighbour

MAX_NODES, MAX_NEIGHBOUR_NODES = 25, 8
"""Identifiers in a picture, and those of other people among them."""


def build_diagram(view: IdentityView, *, full: bool = False) -> IdentityDiagram:
    """What to draw of a person. Values are shortened unless ``full``.

    An email's hash is not drawn beside its email, which implies it.
    """
    same = _email_by_hash(_all_keys(view))
    held = {one.key: one for one in view.identifiers if one.key not in same}
    neighbours = [
        one for one in view.neighbours if _neighbour_key(one) not in same and _neighbour_key(one) not in held
    ]
    values = display_values([*held, *map(_neighbour_key, neighbours)], full=full)
    calendar = InstantFormatter(
        [one.since for one in held.values()] + [edge.cause.time for edge in view.edges]
    )
    others = _build_other_groups(view, neighbours[:MAX_NEIGHBOUR_NODES], same, values, calendar)
    if more := neighbours[MAX_NEIGHBOUR_NODES:]:
        others.append(
            DiagramGroup(
                "Other people", [_remainder_node("rest_of_others", Counter(one.type for one in more))]
            )
        )
    room = MAX_NODES - sum(len(fence.nodes) for fence in others)
    spots = _build_tree(held, view.edges, same, values, calendar)
    own = DiagramGroup(
        f"One person · profile …{_short_profile_id(view.profile_id)}", _limit_nodes(spots, held, room)
    )
    _redirect_refused_links(own.nodes, others)
    first = (
        f"{TYPE_LABELS[spots[0].kind]} {spots[0].text}"
        if spots
        else f"profile …{_short_profile_id(view.profile_id)}"
    )
    return IdentityDiagram(f"Who is {first}", _subtitle(held, view), [own, *others])


def _all_keys(view: IdentityView) -> list[str]:
    return [one.key for one in view.identifiers] + [_neighbour_key(one) for one in view.neighbours]


def _neighbour_key(one: Neighbour) -> str:
    return f"{one.type}:{one.value}"


def _email_by_hash(keys: Iterable[str]) -> dict[str, str]:
    """Key of an email's hash → key of that email."""
    return {email_hash_key(key): key for key in keys if key.startswith("email:")}


def _short_profile_id(profile_id: UUID) -> str:
    return profile_id.hex[-8:]


def _subtitle(held: dict[str, HeldIdentifier], view: IdentityView) -> str:
    said = format_count(len(held), "identifier")
    if held:
        said += f", seen since {format_day(min(one.since for one in held.values()))}"
    if view.merged:
        said += f", {format_count(len(view.merged), 'profile')} merged into it"
    return said


def _build_tree(
    held: dict[str, HeldIdentifier],
    edges: Iterable[IdentityEdge],
    same: dict[str, str],
    values: dict[str, str],
    calendar: InstantFormatter,
) -> list[DiagramNode]:
    """Every identifier of the person, each after the one it was joined to."""
    near: dict[str, list[tuple[str, IdentityEdge]]] = {key: [] for key in held}
    for edge in edges:
        one, other = same.get(edge.one, edge.one), same.get(edge.other, edge.other)
        if edge.joined and one != other and one in near and other in near:
            near[one].append((other, edge))
            near[other].append((one, edge))
    found: dict[str, DiagramNode] = {}

    def visit(key: str, parent: DiagramNode | None, label: str) -> None:
        identifier = held[key]
        found[key] = spot = DiagramNode(
            key,
            identifier.type,
            values[key],
            identifier.type in STRONG_TYPES,
            identifier.vouched,
            identifier.status == "quarantined",
            parent.key if parent else None,
            label,
            parent.depth + 1 if parent else 0,
        )
        for other, edge in near[key]:
            if other not in found:
                visit(other, spot, describe_link(edge.cause, calendar))

    for key in sorted(held, key=lambda key: _node_sort_key(held[key])):
        if key not in found:
            visit(key, None, f"first seen {calendar.format_minute(held[key].since)}")
    return list(found.values())


def _node_sort_key(identifier: HeldIdentifier) -> tuple[int, datetime, str]:
    strength, key = strongest_first(identifier.key)
    return strength, identifier.since, key


def _limit_nodes(spots: list[DiagramNode], held: dict[str, HeldIdentifier], room: int) -> list[DiagramNode]:
    """As many as there is room for: whoever the picture is named after, then the strong and the old.

    Each comes with all that it hangs on.
    """
    if len(spots) <= room:
        return spots
    parents = {spot.key: spot.parent_key for spot in spots}
    kept = {spots[0].key}
    for spot in sorted(spots, key=lambda spot: (not spot.is_strong, held[spot.key].since, spot.key)):
        line: list[str] = []
        key: str | None = spot.key
        while key is not None and key not in kept:
            line.append(key)
            key = parents[key]
        if len(kept) + len(line) < room:
            kept.update(line)
    rest = _remainder_node("rest", Counter(spot.kind for spot in spots if spot.key not in kept))
    rest.parent_key, rest.depth = spots[0].key, 1
    return [*(spot for spot in spots if spot.key in kept), rest]


def _redirect_refused_links(spots: list[DiagramNode], others: list[DiagramGroup]) -> None:
    """What was refused to an identifier that had no room was refused to the rest."""
    there = {spot.key for spot in spots}
    for spot in (spot for fence in others for spot in fence.nodes):
        spot.refused_links = [
            each if each.source_key in there else RefusedLink(spots[-1].key, each.label)
            for each in spot.refused_links
        ]


def _remainder_node(key: str, kinds: Counter[str]) -> DiagramNode:
    listed = sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
    said = ", ".join(format_count(count, TYPE_LABELS.get(kind, kind)) for kind, count in listed)
    return DiagramNode(key, REMAINDER, f"and {kinds.total()} more", is_strong=False, edge_label=said)


def _build_other_groups(
    view: IdentityView,
    neighbours: list[Neighbour],
    same: dict[str, str],
    values: dict[str, str],
    calendar: InstantFormatter,
) -> list[DiagramGroup]:
    """A fence for each of the other people, and one for what is nobody's."""
    fences: dict[UUID | None, DiagramGroup] = {}
    spots: dict[str, DiagramNode] = {}
    for one in neighbours:
        nobodys = one.status == "quarantined"
        title = (
            "Nobody’s"
            if one.profile_id is None
            else f"Another person · profile …{_short_profile_id(one.profile_id)}"
        )
        fence = fences.setdefault(one.profile_id, DiagramGroup(title, [], nobodys))
        spots[_neighbour_key(one)] = spot = DiagramNode(
            _neighbour_key(one),
            one.type,
            values[_neighbour_key(one)],
            one.type in STRONG_TYPES,
            is_quarantined=nobodys,
        )
        fence.nodes.append(spot)
    own = {identifier.key for identifier in view.identifiers}
    for edge in view.edges:
        one_end, other = (edge.one, edge.other) if edge.one in own else (edge.other, edge.one)
        one_end, other = same.get(one_end, one_end), same.get(other, other)
        if edge.joined or other not in spots or one_end not in own:
            continue
        label = describe_refusal(edge, calendar)
        if all(each.source_key != one_end for each in spots[other].refused_links):
            spots[other].refused_links.append(RefusedLink(one_end, label))
    return list(fences.values())


def display_values(keys: Iterable[str], *, full: bool = False) -> dict[str, str]:
    """Key → what stands for it; two that would look the same are numbered in their order."""
    said: dict[str, str] = {}
    times: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(keys):
        kind, _, value = key.partition(":")
        text = truncate_middle(value) if full else mask_identifier(kind, value)
        times[kind, text] = count = times.get((kind, text), 0) + 1
        said[key] = text if count == 1 else f"{text} ({count})"
    return said
