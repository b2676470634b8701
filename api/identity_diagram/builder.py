"""Choose the content of an identity diagram: strong identifiers first, the rest summed up."""

from collections import Counter
from collections.abc import Iterable
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
"""Most identifiers in a diagram, and most of other profiles among them."""


def build_diagram(view: IdentityView, *, full: bool = False) -> IdentityDiagram:
    """Return the diagram, masked unless ``full``; an email's hash is left out beside the email."""
    keys = [one.key for one in view.identifiers] + [_neighbour_key(one) for one in view.neighbours]
    same = {email_hash_key(key): key for key in keys if key.startswith("email:")}
    held = {one.key: one for one in view.identifiers if one.key not in same}
    neighbours = [
        one for one in view.neighbours if _neighbour_key(one) not in same and _neighbour_key(one) not in held
    ]
    values = display_values([*held, *map(_neighbour_key, neighbours)], full=full)
    calendar = InstantFormatter(
        [one.since for one in held.values()] + [edge.cause.time for edge in view.edges]
    )
    others = _build_other_groups(view, neighbours[:MAX_NEIGHBOUR_NODES], same, values, calendar)
    if hidden := neighbours[MAX_NEIGHBOUR_NODES:]:
        rest = _remainder_node("rest_of_others", Counter(one.type for one in hidden))
        others.append(DiagramGroup("Other people", [rest]))
    room = MAX_NODES - sum(len(group.nodes) for group in others)
    nodes = _build_tree(held, view.edges, same, values, calendar)
    profile = f"profile …{_short_profile_id(view.profile_id)}"
    own = DiagramGroup(f"One person · {profile}", _limit_nodes(nodes, held, room))
    _redirect_refused_links(own.nodes, others)
    first = f"{TYPE_LABELS[nodes[0].kind]} {nodes[0].text}" if nodes else profile
    return IdentityDiagram(f"Who is {first}", _subtitle(held, view), [own, *others])


def _neighbour_key(one: Neighbour) -> str:
    return f"{one.type}:{one.value}"


def _short_profile_id(profile_id: UUID) -> str:
    return profile_id.hex[-8:]


def _subtitle(held: dict[str, HeldIdentifier], view: IdentityView) -> str:
    text = format_count(len(held), "identifier")
    if hidden := len(view.identifiers) - len(held):
        text += f" and {hidden} hash" + ("" if hidden == 1 else "es")
    if held:
        text += f", seen since {format_day(min(one.since for one in held.values()))}"
    if view.merged:
        text += f", {format_count(len(view.merged), 'profile')} merged into it"
    return text


def _build_tree(
    held: dict[str, HeldIdentifier],
    edges: Iterable[IdentityEdge],
    same: dict[str, str],
    values: dict[str, str],
    calendar: InstantFormatter,
) -> list[DiagramNode]:
    """Return a node for every identifier of the profile, each after the node it was linked to."""
    near: dict[str, list[tuple[str, IdentityEdge]]] = {key: [] for key in held}
    for edge in edges:
        one, other = same.get(edge.one, edge.one), same.get(edge.other, edge.other)
        if edge.joined and one != other and one in near and other in near:
            near[one].append((other, edge))
            near[other].append((one, edge))
    nodes: dict[str, DiagramNode] = {}

    def visit(key: str, parent: DiagramNode | None, label: str) -> None:
        identifier = held[key]
        nodes[key] = node = DiagramNode(
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
            if other not in nodes:
                visit(other, node, describe_link(edge.cause, calendar))

    for key in sorted(held, key=lambda key: (strongest_first(key)[0], held[key].since, key)):
        if key not in nodes:
            visit(key, None, f"first seen {calendar.format_minute(held[key].since)}")
    return list(nodes.values())


def _limit_nodes(nodes: list[DiagramNode], held: dict[str, HeldIdentifier], room: int) -> list[DiagramNode]:
    """Return at most ``room`` nodes, each with its parents: strong and old ones first; the rest is one."""
    if len(nodes) <= room:
        return nodes
    parents = {node.key: node.parent_key for node in nodes}
    kept = {nodes[0].key}
    for node in sorted(nodes, key=lambda node: (not node.is_strong, held[node.key].since, node.key)):
        path: list[str] = []
        key: str | None = node.key
        while key is not None and key not in kept:
            path.append(key)
            key = parents[key]
        if len(kept) + len(path) < room:
            kept.update(path)
    rest = _remainder_node("rest", Counter(node.kind for node in nodes if node.key not in kept))
    rest.parent_key, rest.depth = nodes[0].key, 1
    return [*(node for node in nodes if node.key in kept), rest]


def _redirect_refused_links(nodes: list[DiagramNode], others: list[DiagramGroup]) -> None:
    """Redirect refused links of identifiers that have no node to the node of the rest."""
    shown = {node.key for node in nodes}
    for node in (node for group in others for node in group.nodes):
        node.refused_links = [
            each if each.source_key in shown else RefusedLink(nodes[-1].key, each.label)
            for each in node.refused_links
        ]


def _remainder_node(key: str, kinds: Counter[str]) -> DiagramNode:
    listed = sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
    label = ", ".join(format_count(count, TYPE_LABELS.get(kind, kind)) for kind, count in listed)
    return DiagramNode(key, REMAINDER, f"and {kinds.total()} more", is_strong=False, edge_label=label)


def _build_other_groups(
    view: IdentityView,
    neighbours: list[Neighbour],
    same: dict[str, str],
    values: dict[str, str],
    calendar: InstantFormatter,
) -> list[DiagramGroup]:
    """Return a group for each other profile, and one for quarantined identifiers."""
    groups: dict[UUID | None, DiagramGroup] = {}
    nodes: dict[str, DiagramNode] = {}
    for neighbour in neighbours:
        quarantined, key = neighbour.status == "quarantined", _neighbour_key(neighbour)
        title = "Nobody’s"
        if neighbour.profile_id is not None:
            title = f"Another person · profile …{_short_profile_id(neighbour.profile_id)}"
        group = groups.setdefault(neighbour.profile_id, DiagramGroup(title, [], quarantined))
        is_strong = neighbour.type in STRONG_TYPES
        nodes[key] = DiagramNode(
            key, neighbour.type, values[key], is_strong, neighbour.vouched, is_quarantined=quarantined
        )
        group.nodes.append(nodes[key])
    own = {identifier.key for identifier in view.identifiers}
    for edge in view.edges:
        one_end, other = (edge.one, edge.other) if edge.one in own else (edge.other, edge.one)
        one_end, other = same.get(one_end, one_end), same.get(other, other)
        if edge.joined or other not in nodes or one_end not in own:
            continue
        label = describe_refusal(edge, calendar)
        if all(each.source_key != one_end for each in nodes[other].refused_links):
            nodes[other].refused_links.append(RefusedLink(one_end, label))
    return list(groups.values())


def display_values(keys: Iterable[str], *, full: bool = False) -> dict[str, str]:
    """Return key → displayed text. Equal texts of one type are numbered in their order."""
    displayed: dict[str, str] = {}
    counts: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(keys):
        kind, _, value = key.partition(":")
        text = truncate_middle(value) if full else mask_identifier(kind, value)
        counts[kind, text] = count = counts.get((kind, text), 0) + 1
        displayed[key] = text if count == 1 else f"{text} ({count})"
    return displayed
