"""Who an event is about: identifiers to profiles, under locks, in one round trip where nothing is new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from profiles.changes import encode
from profiles.identifiers import split_key
from profiles.identity_rules import DEVICE
from profiles.moves import owner
from profiles.naming import Group, Named, Pointers, grouped, name
from profiles.person import lock
from profiles.regroup import Cause, Settled, settle

_NEW = """
INSERT INTO profile (profile_id, created_at)
SELECT profile_id, created_at FROM jsonb_populate_recordset(NULL::profile, $1)
"""

_REPOINT = """
UPDATE identifier i SET profile_id = c.profile_id FROM jsonb_populate_recordset(NULL::identifier, $1) c
WHERE i.type = c.type AND i.value = c.value
"""

# Once something verified is known, what is verified has been counted, and nothing else counts.
_ATTESTED = """
SELECT asked.key FROM unnest($1::text[]) AS asked(key) WHERE EXISTS (SELECT 1 FROM identity_link
  WHERE verified AND keys @> ARRAY[asked.key] AND digest <> ALL($2::bytea[]))
"""

_ATTEST = "UPDATE identifier SET status = 'good' WHERE type = $1 AND value = $2 AND status = 'quarantined'"

_WHOSE = "SELECT message_id, profile_id FROM message WHERE message_id = ANY($1)"

_VOUCHED = "SELECT DISTINCT profile_id FROM identifier WHERE profile_id = ANY($1) AND vouched"


@dataclass(slots=True)
class Resolved:
    """Whose each event is."""

    owners: dict[int, UUID] = field(default_factory=dict)
    """Position → canonical profile, locked; events that name nobody are left out."""
    others: dict[int, tuple[UUID, ...]] = field(default_factory=dict)
    """Position → the other people it names, whom it could not be joined with; locked as well."""
    profile_of: dict[str, UUID] = field(default_factory=dict)
    """Key → the profile it belongs to."""
    settled: Settled = field(default_factory=Settled)
    shunned: dict[str, None] = field(default_factory=dict)
    """Keys found to be nobody's."""
    attested: frozenset[str] = frozenset()
    """Those of them that verified events took away: only an operator gives them back."""
    grown: set[UUID] = field(default_factory=set)
    """People with an identifier that is new to them."""
    overtaken: int = 0
    """Messages that a purchase overtook which was heard of late."""


async def resolve(connection: Any, events: Sequence[Named]) -> Resolved:
    """Whose each event is, with the profiles locked. Makes profiles, and joins or parts people, as needed."""
    groups = grouped(events)
    pointers = await name(connection, events, groups)
    proposed = {group.own for group in groups}
    spoken = {named.profile_id for named in events if named.profile_id is not None}
    known = sorted({*pointers.profile.values(), *spoken} - proposed)
    canonical = await lock(connection, known) if known else {}
    found = Resolved(shunned=pointers.shunned)
    at = {one: canonical.get(where, where) for one, where in pointers.profile.items()}
    fresh, unsettled = [], []
    for group in groups:
        if _is_one_new_person(group, pointers):
            fresh.append({"profile_id": group.own, "created_at": min(events[m].at for m in group.members)})
        elif _is_news(group, pointers, at):
            unsettled.append(group)
    if unsettled:
        await _attest(connection, events, unsettled, pointers)
        seeds = [one for group in unsettled for one in group.keys]
        when = min(events[m].at for group in unsettled for m in group.members)
        where = {one: pointers.profile[one] for one in seeds}
        # What is only proposed needs no lock: nobody else knows of it.
        locked = canonical | {own: own for own in proposed}
        found.settled = await settle(connection, where, locked, proposed, Cause(when), news=pointers.news)
        at |= found.settled.profile_of
        found.shunned.update(dict.fromkeys(found.settled.quarantined))
        canonical = {one: found.settled.now_of.get(who, who) for one, who in canonical.items()}
    if fresh:
        await connection.execute(_NEW, encode(fresh))
    if astray := _astray(pointers, at, found.settled):
        await connection.execute(_REPOINT, encode(astray))
    found.grown = {at[one] for one, where in pointers.profile.items() if where in proposed}
    # Nobody has ever spoken of whom nobody has ever named.
    found.grown -= {row["profile_id"] for row in fresh}
    found.profile_of = at
    found.attested = await _attested(connection, found.shunned)
    await _own(connection, events, at, await _spoken(connection, events, canonical, found), found)
    return found


async def _spoken(
    connection: Any, events: Sequence[Named], canonical: dict[UUID, UUID], found: Resolved
) -> dict[UUID, UUID]:
    """Message that an event names → whose it is by now, who is locked as well.

    While we waited for the locks, people may have been parted, and a message gone with somebody else.
    """
    asked = [named.message_id for named in events if named.message_id is not None]
    if not asked:
        return {}
    whose = {row["message_id"]: row["profile_id"] for row in await connection.fetch(_WHOSE, asked)}
    locked = {*canonical.values(), *found.profile_of.values()}
    if unlocked := sorted(set(whose.values()) - locked):
        now = await lock(connection, unlocked)
        whose = {message: now.get(who, who) for message, who in whose.items()}
    return whose


async def _attested(connection: Any, keys: Iterable[str], but: Sequence[bytes] = ()) -> frozenset[str]:
    """Those keys that verified links name, other than the links ``but``."""
    asked = list(dict.fromkeys(keys))
    rows = await connection.fetch(_ATTESTED, asked, list(but)) if asked else ()
    return frozenset(row["key"] for row in rows)


async def _attest(
    connection: Any, events: Sequence[Named], groups: Sequence[Group], pointers: Pointers
) -> None:
    """An address that only made-up events took away is weighed anew once a verified one names it."""
    named = [
        one
        for group in groups
        for (told, verified), position in group.links.items()
        if verified and (told, verified) in pointers.news
        for one in events[position].keys
        if one in pointers.shunned and split_key(one)[0] not in DEVICE
    ]
    told = [bytes.fromhex(digest) for digest, verified in pointers.news if verified]
    if set(named) <= await _attested(connection, named, told):
        return
    for one in dict.fromkeys(named):
        await connection.execute(_ATTEST, *split_key(one))
        del pointers.shunned[one]


def _is_one_new_person(group: Group, pointers: Pointers) -> bool:
    """Whether all of a group is new and said in one breath, so that there is nothing to weigh."""
    if len(group.links) > 1 or any(pointers.profile[one] != group.own for one in group.keys):
        return False
    kinds = [split_key(one)[0] for one in group.keys]
    return len(set(kinds)) == len(kinds) and (bool(group.links) or len(kinds) == 1)


def _is_news(group: Group, pointers: Pointers, at: dict[str, UUID]) -> bool:
    """Whether a group says something about who is who that is not known yet."""
    if pointers.news.intersection(group.links):
        return True
    good = [one for one in group.keys if one not in pointers.shunned]
    # Proposed for a key that stands alone but for the shunned ones beside it.
    return any(at[one] == group.own for one in good)


def _astray(pointers: Pointers, at: dict[str, UUID], settled: Settled) -> list[dict[str, Any]]:
    """Identifiers that a merge had to leave behind, because this transaction held them."""
    return [
        {**dict(zip(("type", "value"), split_key(one), strict=True)), "profile_id": at[one]}
        for one, where in pointers.profile.items()
        if at[one] != where and one not in settled.profile_of
    ]


async def _own(
    connection: Any,
    events: Sequence[Named],
    at: dict[str, UUID],
    spoken: dict[UUID, UUID],
    found: Resolved,
) -> None:
    """Give each event to one person, and name the others that it speaks of."""
    apart: dict[int, list[str]] = {}
    for position, named in enumerate(events):
        good = [one for one in named.keys if one not in found.shunned]
        people = dict.fromkeys(at[one] for one in good)
        if named.message_id is not None:
            found.owners[position] = spoken[named.message_id]
        elif len(people) == 1:
            found.owners[position] = at[good[0]]
        elif people:
            apart[position] = good
            found.owners[position] = at[good[0]]
        found.others[position] = tuple(people)
    unsure = {at[one] for position, good in apart.items() if not events[position].verified for one in good}
    if unsure:
        rows = await connection.fetch(_VOUCHED, sorted(unsure))
        vouched = frozenset(row["profile_id"] for row in rows)
        for position, good in apart.items():
            found.owners[position] = owner(good, at, vouched, verified=events[position].verified)
    for position, people_named in found.others.items():
        mine = found.owners.get(position)
        found.others[position] = tuple(who for who in people_named if who != mine)
