"""An operator's word on who is who: two identifiers are not one person's, or are after all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles import consent_state
from profiles.changes import encode
from profiles.database import Database
from profiles.identifiers import split_key
from profiles.identity_journal import entry, write
from profiles.person import lock
from profiles.regroup import Cause, Settled, settle

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

# What was sent to the one while the two were taken to be one person, by the instant that they became it.
_SENT = """
SELECT m.message_id FROM message m JOIN identifier i ON i.type || ':' || i.value = ANY($2)
WHERE m.profile_id = ANY($1) AND m.sent_at IS NOT NULL
GROUP BY m.message_id, m.sent_at HAVING m.sent_at >= max(i.linked_at) ORDER BY m.sent_at, m.message_id
"""

_WORDS = """
SELECT channel, topic FROM consent_state WHERE profile_id = ANY($1) AND state = 'withdrawn'
"""

_STAY = """
INSERT INTO consent (profile_id, channel, topic, state, source, verified, voice, time, at)
SELECT w.profile_id, w.channel, w.topic, 'withdrawn', 'unmerge', true, NULL, $2, $2
FROM jsonb_to_recordset($1) AS w(profile_id uuid, channel text, topic text)
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """Two identifiers that are not one person's."""

    cut_id: int
    profiles: tuple[UUID, ...]
    """The people whom the two identifiers belong to by now."""
    sent: tuple[UUID, ...]
    """Messages sent while they were taken to be one."""
    at: datetime


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
        together = sorted({canonical[who] for who in pointers.values()})
        sent = [row["message_id"] for row in await connection.fetch(_SENT, together, [first, second])]
        held = await connection.fetch(_WORDS, together)
        cut_id = await connection.fetchval(_CUT, first, second, actor, reason, at)
        settled = await settle(connection, pointers, canonical, (), Cause(at, actor, reason))
        profiles = tuple(dict.fromkeys(settled.profile_of[key] for key in (first, second)))
        row = entry(
            "cut", at, actor=actor, detail=reason, profile_id=profiles[0], key=first, other_key=second
        )
        await write(connection, [row])
        if len(together) == 1 and len(profiles) > 1:
            await _stay_strict(connection, held, settled, at)
        return Cut(cut_id, profiles, tuple(sent) if len(together) == 1 else (), at)

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
        raise KeyError(f"{', '.join(missing)} is not on file")
    return pointers, await lock(connection, sorted(set(pointers.values())))


async def _stay_strict(connection: Any, held: Sequence[Any], settled: Settled, at: datetime) -> None:
    """What was withdrawn while they were one stays withdrawn for each of them, until they say otherwise."""
    rows = [
        {"profile_id": who, "channel": row["channel"], "topic": row["topic"]}
        for who in sorted(settled.touched)
        for row in held
    ]
    if rows:
        await connection.execute(_STAY, encode(rows), at)
        await consent_state.refresh(connection, sorted(settled.touched), at)
