"""Chooses what a picture of an identity shows: strong identifiers first, and the rest summed up."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from api.identity_diagram.model import (
    REST,
    TYPES,
    Calendar,
    Fence,
    Refusal,
    Sheet,
    Spot,
    count_in_words,
    day,
    joined_in_words,
    refused_in_words,
)
from profiles.identity.identifiers import STRONG, fitting, hash_of, shortened, strongest_first
from profiles.identity.views import HeldIdentifier, IdentityEdge, IdentityView, Neighbour

MOST, MOST_NEIGHBOURS = 25, 8
"""Identifiers in a picture, and those of other people among them."""


def sheet_of(view: IdentityView, *, full: bool = False) -> Sheet:
    """What to draw of a person. Values are shortened unless ``full``.

    An email's hash is not drawn beside its email, which implies it.
    """
    same = _hashes(_keys(view))
    held = {one.key: one for one in view.identifiers if one.key not in same}
    neighbours = [one for one in view.neighbours if _key(one) not in same and _key(one) not in held]
    values = shown([*held, *map(_key, neighbours)], full=full)
    calendar = Calendar([one.since for one in held.values()] + [edge.cause.time for edge in view.edges])
    others = _others(view, neighbours[:MOST_NEIGHBOURS], same, values, calendar)
    if more := neighbours[MOST_NEIGHBOURS:]:
        others.append(Fence("Other people", [_rest("rest_of_others", Counter(one.type for one in more))]))
    room = MOST - sum(len(fence.spots) for fence in others)
    spots = _tree(held, view.edges, same, values, calendar)
    own = Fence(f"One person · profile …{_tail(view.profile_id)}", _fitting(spots, held, room))
    _take_over(own.spots, others)
    first = f"{TYPES[spots[0].kind]} {spots[0].text}" if spots else f"profile …{_tail(view.profile_id)}"
    return Sheet(f"Who is {first}", _subtitle(held, view), [own, *others])


def _keys(view: IdentityView) -> list[str]:
    return [one.key for one in view.identifiers] + [_key(one) for one in view.neighbours]


def _key(one: Neighbour) -> str:
    return f"{one.type}:{one.value}"


def _hashes(keys: Iterable[str]) -> dict[str, str]:
    """Key of an email's hash → key of that email."""
    return {hash_of(key): key for key in keys if key.startswith("email:")}


def _tail(profile_id: UUID) -> str:
    return profile_id.hex[-8:]


def _subtitle(held: dict[str, HeldIdentifier], view: IdentityView) -> str:
    said = count_in_words(len(held), "identifier")
    if held:
        said += f", seen since {day(min(one.since for one in held.values()))}"
    if view.merged:
        said += f", {count_in_words(len(view.merged), 'profile')} merged into it"
    return said


def _tree(
    held: dict[str, HeldIdentifier],
    edges: Iterable[IdentityEdge],
    same: dict[str, str],
    values: dict[str, str],
    calendar: Calendar,
) -> list[Spot]:
    """Every identifier of the person, each after the one it was joined to."""
    near: dict[str, list[tuple[str, IdentityEdge]]] = {key: [] for key in held}
    for edge in edges:
        one, other = same.get(edge.one, edge.one), same.get(edge.other, edge.other)
        if edge.joined and one != other and one in near and other in near:
            near[one].append((other, edge))
            near[other].append((one, edge))
    found: dict[str, Spot] = {}

    def visit(key: str, parent: Spot | None, label: str) -> None:
        identifier = held[key]
        found[key] = spot = Spot(
            key,
            identifier.type,
            values[key],
            identifier.type in STRONG,
            identifier.vouched,
            identifier.status == "quarantined",
            parent.key if parent else None,
            label,
            parent.depth + 1 if parent else 0,
        )
        for other, edge in near[key]:
            if other not in found:
                visit(other, spot, joined_in_words(edge.cause, calendar))

    for key in sorted(held, key=lambda key: _rank(held[key])):
        if key not in found:
            visit(key, None, f"first seen {calendar.minute(held[key].since)}")
    return list(found.values())


def _rank(identifier: HeldIdentifier) -> tuple[int, datetime, str]:
    strength, key = strongest_first(identifier.key)
    return strength, identifier.since, key


def _fitting(spots: list[Spot], held: dict[str, HeldIdentifier], room: int) -> list[Spot]:
    """As many as there is room for: whoever the picture is named after, then the strong and the old.

    Each comes with all that it hangs on.
    """
    if len(spots) <= room:
        return spots
    parents = {spot.key: spot.parent for spot in spots}
    kept = {spots[0].key}
    for spot in sorted(spots, key=lambda spot: (not spot.strong, held[spot.key].since, spot.key)):
        line: list[str] = []
        key: str | None = spot.key
        while key is not None and key not in kept:
            line.append(key)
            key = parents[key]
        if len(kept) + len(line) < room:
            kept.update(line)
    rest = _rest("rest", Counter(spot.kind for spot in spots if spot.key not in kept))
    rest.parent, rest.depth = spots[0].key, 1
    return [*(spot for spot in spots if spot.key in kept), rest]


def _take_over(spots: list[Spot], others: list[Fence]) -> None:
    """What was refused to an identifier that had no room was refused to the rest."""
    there = {spot.key for spot in spots}
    for spot in (spot for fence in others for spot in fence.spots):
        spot.refusals = [
            each if each.source in there else Refusal(spots[-1].key, each.label) for each in spot.refusals
        ]


def _rest(key: str, kinds: Counter[str]) -> Spot:
    listed = sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
    said = ", ".join(count_in_words(count, TYPES.get(kind, kind)) for kind, count in listed)
    return Spot(key, REST, f"and {kinds.total()} more", strong=False, label=said)


def _others(
    view: IdentityView,
    neighbours: list[Neighbour],
    same: dict[str, str],
    values: dict[str, str],
    calendar: Calendar,
) -> list[Fence]:
    """A fence for each of the other people, and one for what is nobody's."""
    fences: dict[UUID | None, Fence] = {}
    spots: dict[str, Spot] = {}
    for one in neighbours:
        nobodys = one.status == "quarantined"
        title = "Nobody’s" if one.profile_id is None else f"Another person · profile …{_tail(one.profile_id)}"
        fence = fences.setdefault(one.profile_id, Fence(title, [], nobodys))
        spots[_key(one)] = spot = Spot(
            _key(one), one.type, values[_key(one)], one.type in STRONG, nobodys=nobodys
        )
        fence.spots.append(spot)
    own = {identifier.key for identifier in view.identifiers}
    for edge in view.edges:
        one_end, other = (edge.one, edge.other) if edge.one in own else (edge.other, edge.one)
        one_end, other = same.get(one_end, one_end), same.get(other, other)
        if edge.joined or other not in spots or one_end not in own:
            continue
        label = refused_in_words(edge, calendar)
        if all(each.source != one_end for each in spots[other].refusals):
            spots[other].refusals.append(Refusal(one_end, label))
    return list(fences.values())


def shown(keys: Iterable[str], *, full: bool = False) -> dict[str, str]:
    """Key → what stands for it; two that would look the same are numbered in their order."""
    said: dict[str, str] = {}
    times: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(keys):
        kind, _, value = key.partition(":")
        text = fitting(value) if full else shortened(kind, value)
        times[kind, text] = count = times.get((kind, text), 0) + 1
        said[key] = text if count == 1 else f"{text} ({count})"
    return said
