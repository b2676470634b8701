"""An operator's word on who is who: two identifiers are not one person's, or are after all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from profiles.consent import effective
from profiles.db.database import Database
from profiles.db.locks import lock
from profiles.db.sql import encode
from profiles.errors import Needless, Senseless, Unknown
from profiles.identity.component import evidence, find
from profiles.identity.identifiers import hash_of, split_key
from profiles.merging.audit_log import Cause, entry, write
from profiles.merging.cut_preview import messages_since, one_since
from profiles.merging.merge import Settled, settle

_POINTERS = """
SELECT i.type || ':' || i.value AS key, i.profile_id FROM identifier i
JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
ORDER BY i.type, i.value FOR NO KEY UPDATE OF i
"""

_KNOWN_CUT = """
SELECT cut_id FROM identity_cut WHERE lifted_at IS NULL AND one = $1 AND other = $2
"""

_CUT = """
INSERT INTO identity_cut (one, other, actor, reason, at) VALUES ($1, $2, $3, $4, $5) RETURNING cut_id
"""

_MEND = """
UPDATE identity_cut SET lifted_at = $2 WHERE cut_id = $1 AND lifted_at IS NULL RETURNING one, other
"""

_RELEASE = """
UPDATE identifier SET status = 'released' WHERE type = $1 AND value = $2 AND status = 'quarantined'
RETURNING profile_id
"""

_WORDS = """
SELECT channel, topic FROM consent_state WHERE profile_id = $1 AND state = 'withdrawn'
"""

# Said of every identifier there was, so that the word stays with each of them, wherever it belongs by then.
# Never before what they have said: on a local stack a person's words may lie ahead of the clock.
_STAY = """
INSERT INTO consent (profile_id, channel, topic, state, source, method, verified, voice, named, time, at)
SELECT $1, w.channel, w.topic, 'withdrawn', 'unmerge', 'unmerge', true, NULL, $2, l.last, l.last
FROM jsonb_to_recordset($3) AS w(channel text, topic text),
  (SELECT GREATEST($4, max(time)) AS last FROM consent WHERE profile_id = ANY($5)) l
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """Two identifiers that are not one person's."""

    cut_id: int
    profiles: tuple[UUID, ...]
    """The people whom the two identifiers belong to by now."""
    sent: tuple[UUID, ...]
    """Messages sent, or under way, while they were taken to be one; the oldest first."""
    at: datetime


@dataclass(frozen=True, slots=True)
class _AsOne:
    """A person who is about to come apart."""

    profile_id: UUID
    keys: tuple[str, ...]
    sent: tuple[UUID, ...]
    """Messages since the two identifiers were taken to be one person's."""
    withdrawn: tuple[tuple[str, str], ...]
    """(channel, topic)."""


async def cut(database: Database, one: str, other: str, *, actor: str, reason: str) -> Cut:
    """Part two identifiers (type:value) for good, whatever events say; all in one transaction.

    People, carts, purchases, runs and messages are then what they would be, had nobody ever taken the two to
    be one; consents stay at the stricter of the two until there is fresh evidence. Idempotent on the pair.
    Raises KeyError, naming it, for an identifier that is not on file, and ValueError for one and the same.
    """
    if one == other:
        raise ValueError(f"{one} cannot be cut from itself: name two identifiers")
    first, second = sorted((one, other))

    async def work(connection: Any) -> Cut:
        pointers, canonical = await _locked(connection, (first, second))
        at = await connection.fetchval("SELECT now()")
        cut_id = await connection.fetchval(_KNOWN_CUT, first, second)
        if cut_id is not None:
            return Cut(cut_id, tuple(dict.fromkeys(canonical[who] for who in pointers.values())), (), at)
        people = {canonical[who] for who in pointers.values()}
        whole = await _as_one(connection, people.pop(), first, second) if len(people) == 1 else None
        cut_id = await connection.fetchval(_CUT, first, second, actor, reason, at)
        settled = await settle(connection, pointers, canonical, (), Cause(at, actor, reason))
        profiles = tuple(dict.fromkeys(settled.profile_of[key] for key in (first, second)))
        row = entry(
            "cut", at, actor=actor, detail=reason, profile_id=profiles[0], key=first, other_key=second
        )
        await write(connection, [row | {"other_profile_id": profiles[-1]}])
        if whole is None:
            return Cut(cut_id, profiles, (), at)
        await _stay_strict(connection, whole, settled, at)
        return Cut(cut_id, profiles, whole.sent, at)

    return await database.run(work)


async def mend(database: Database, cut_id: int, *, actor: str, reason: str) -> tuple[UUID, ...]:
    """Lift a cut: the two identifiers are again whosever the events say. Returns the people they belong to.

    Raises KeyError where there is no such cut, or it was lifted before.
    """

    async def work(connection: Any) -> tuple[UUID, ...]:
        at = await connection.fetchval("SELECT now()")
        row = await connection.fetchrow(_MEND, cut_id, at)
        if row is None:
            raise KeyError(f"no cut {cut_id} is in force")
        pair = (row["one"], row["other"])
        pointers, canonical = await _locked(connection, pair)
        settled = await settle(connection, pointers, canonical, (), Cause(at, actor, reason))
        profiles = tuple(dict.fromkeys(settled.profile_of[key] for key in pair))
        keys = {"key": pair[0], "other_key": pair[1]}
        row = entry("mended", at, actor=actor, detail=reason, profile_id=profiles[0], **keys)
        await write(connection, [row])
        return profiles

    return await database.run(work)


async def release(database: Database, key: str, *, actor: str, reason: str) -> tuple[UUID, ...]:
    """Take an identifier out of quarantine for good: it is somebody's after all, whoever shares it.

    Returns the person it belongs to by now. Raises KeyError where it is not quarantined.
    """

    async def work(connection: Any) -> tuple[UUID, ...]:
        at = await connection.fetchval("SELECT now()")
        if await connection.fetchval(_RELEASE, *split_key(key)) is None:
            raise KeyError(f"{key} is not quarantined")
        pointers, canonical = await _locked(connection, (key,))
        settled = await settle(connection, pointers, canonical, (), Cause(at, actor, reason))
        who = settled.profile_of[key]
        await write(connection, [entry("released", at, actor=actor, detail=reason, profile_id=who, key=key)])
        return (who,)

    return await database.run(work)


async def _locked(connection: Any, keys: Sequence[str]) -> tuple[dict[str, UUID], dict[UUID, UUID]]:
    """Where identifiers point, and which profile that is by now; all locked."""
    kinds, values = zip(*(split_key(key) for key in keys), strict=True)
    rows = await connection.fetch(_POINTERS, list(kinds), list(values))
    pointers = {row["key"]: row["profile_id"] for row in rows}
    if missing := [key for key in keys if key not in pointers]:
        raise KeyError(f"not on file: {', '.join(missing)}; name identifiers that events have named")
    return pointers, await lock(connection, sorted(set(pointers.values())))


async def _as_one(connection: Any, profile_id: UUID, one: str, other: str) -> _AsOne:
    """What is lost to sight once two identifiers are apart. The caller holds the profile's lock."""
    found = await evidence(connection, (one, other))
    graph = found.resolved()
    since = await one_since(connection, found, graph, one, other)
    return _AsOne(
        profile_id,
        (*graph.cluster_of(one), other),
        tuple(message.message_id for message in await messages_since(connection, profile_id, since)),
        tuple((row["channel"], row["topic"]) for row in await connection.fetch(_WORDS, profile_id)),
    )


async def _stay_strict(connection: Any, whole: _AsOne, settled: Settled, at: datetime) -> None:
    """What was withdrawn while they were one stays withdrawn for each of them, until they say otherwise."""
    parts = sorted({settled.profile_of[key] for key in whole.keys})
    if whole.withdrawn and len(parts) > 1:
        words = encode([{"channel": channel, "topic": topic} for channel, topic in whole.withdrawn])
        who = settled.profile_of[whole.keys[0]]
        await connection.execute(_STAY, who, list(whole.keys), words, at, parts)
        await effective.refresh(connection, parts, at)


async def may_cut(connection: Any, one: str, other: str) -> UUID:
    """The canonical profile whom both identifiers (type:value) name.

    Raises ``Senseless`` for one and the same, ``Unknown`` where nobody has one, ``Needless`` for two people.
    """
    if one == other:
        raise Senseless(f"{one} is named twice; name two identifiers, of different people")
    if hash_of(one) == other or hash_of(other) == one:
        raise Senseless(f"{one} and {other} are an address and its own hash; name somebody else's identifier")
    whose = []
    for key in (one, other):
        found = await find(connection, *split_key(key))
        if found is None:
            raise Unknown(f"nobody has {key}; check its spelling against the person's identity")
        whose.append(found)
    if whose[0] != whose[1]:
        raise Needless(f"{one} and {other} are two people already: profiles {whose[0]} and {whose[1]}")
    return whose[0]


async def may_mend(connection: Any, cut_id: int) -> None:
    """Raises ``Unknown`` where there is no such cut, ``Needless`` for one that is lifted already."""
    row = await connection.fetchrow("SELECT lifted_at FROM identity_cut WHERE cut_id = $1", cut_id)
    if row is None:
        raise Unknown(f"there is no cut {cut_id}; a person's identity lists theirs")
    if row["lifted_at"] is not None:
        raise Needless(f"cut {cut_id} was mended on {row['lifted_at'].astimezone(UTC):%Y-%m-%d} already")


async def may_release(connection: Any, key: str) -> None:
    """Raises ``Unknown`` for an identifier never seen, ``Needless`` for one that is not quarantined."""
    status = await connection.fetchval(
        "SELECT status FROM identifier WHERE type = $1 AND value = $2", *split_key(key)
    )
    if status is None:
        raise Unknown(f"{key} has never been seen; check its spelling against the list of quarantined ones")
    if status != "quarantined":
        raise Needless(f"{key} is not quarantined; the list of quarantined ones names those that are")
