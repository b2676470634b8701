"""An operator's word on who is who: two identifiers are not one person's, or are after all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from profiles.consent import effective
from profiles.db.database import Database
from profiles.db.locks import lock_profiles
from profiles.db.sql import encode_jsonb
from profiles.errors import InvalidRequest, NoChange, NotFound
from profiles.identity.component import find_profile_id, read_component
from profiles.identity.identifiers import email_hash_key, split_key
from profiles.merging.audit_log import AuditContext, insert_log_rows, operator_entry
from profiles.merging.cut_preview import load_messages_since, merged_since
from profiles.merging.merge import MergeResult, merge_and_split

_LOCK_IDENTIFIERS = """
SELECT i.type || ':' || i.value AS key, i.profile_id FROM identifier i
JOIN unnest($1::text[], $2::text[]) AS asked(type, value) USING (type, value)
ORDER BY i.type, i.value FOR NO KEY UPDATE OF i
"""

_SELECT_ACTIVE_CUT = """
SELECT cut_id FROM identity_cut WHERE lifted_at IS NULL AND one = $1 AND other = $2
"""

_INSERT_CUT = """
INSERT INTO identity_cut (one, other, actor, reason, at) VALUES ($1, $2, $3, $4, $5) RETURNING cut_id
"""

_LIFT_CUT = """
UPDATE identity_cut SET lifted_at = $2 WHERE cut_id = $1 AND lifted_at IS NULL RETURNING one, other
"""

_RELEASE_IDENTIFIER = """
UPDATE identifier SET status = 'released' WHERE type = $1 AND value = $2 AND status = 'quarantined'
RETURNING profile_id
"""

_SELECT_WITHDRAWN_CONSENTS = """
SELECT channel, topic FROM consent_state WHERE profile_id = $1 AND state = 'withdrawn'
"""

# Said of every identifier there was, so that the word stays with each of them, wherever it belongs by then.
# Never before what they have said: on a local stack a person's words may lie ahead of the clock.
_INSERT_WITHDRAWALS = """
INSERT INTO consent (profile_id, channel, topic, state, source, method, verified, voice, named, time, at)
SELECT $1, w.channel, w.topic, 'withdrawn', 'unmerge', 'unmerge', true, NULL, $2, l.last, l.last
FROM jsonb_to_recordset($3) AS w(channel text, topic text),
  (SELECT GREATEST($4, max(time)) AS last FROM consent WHERE profile_id = ANY($5)) l
"""


@dataclass(frozen=True, slots=True)
class IdentityCut:
    """Two identifiers that are not one person's."""

    cut_id: int
    profile_ids: tuple[UUID, ...]
    """The people whom the two identifiers belong to by now."""
    sent_message_ids: tuple[UUID, ...]
    """Messages sent, or under way, while they were taken to be one; the oldest first."""
    at: datetime


@dataclass(frozen=True, slots=True)
class _ProfileBeforeCut:
    """A person who is about to come apart."""

    profile_id: UUID
    keys: tuple[str, ...]
    sent_message_ids: tuple[UUID, ...]
    """Messages since the two identifiers were taken to be one person's."""
    withdrawn: tuple[tuple[str, str], ...]
    """(channel, topic)."""


async def cut_identifiers(
    database: Database, key_a: str, key_b: str, *, actor: str, reason: str
) -> IdentityCut:
    """Part two identifiers (type:value) for good, whatever events say; all in one transaction.

    People, carts, purchases, runs and messages are then what they would be, had nobody ever taken the two to
    be one; consents stay at the stricter of the two until there is fresh evidence. Idempotent on the pair.
    Raises KeyError, naming it, for an identifier that is not on file, and ValueError for one and the same.
    """
    if key_a == key_b:
        raise ValueError(f"{key_a} cannot be cut from itself: name two identifiers")
    first, second = sorted((key_a, key_b))

    async def work(connection: Any) -> IdentityCut:
        pointers, canonical = await _lock_identifiers(connection, (first, second))
        at = await connection.fetchval("SELECT now()")
        cut_id = await connection.fetchval(_SELECT_ACTIVE_CUT, first, second)
        if cut_id is not None:
            return IdentityCut(
                cut_id, tuple(dict.fromkeys(canonical[who] for who in pointers.values())), (), at
            )
        people = {canonical[who] for who in pointers.values()}
        whole = await _load_before_cut(connection, people.pop(), first, second) if len(people) == 1 else None
        cut_id = await connection.fetchval(_INSERT_CUT, first, second, actor, reason, at)
        settled = await merge_and_split(connection, pointers, canonical, (), AuditContext(at, actor, reason))
        profiles = tuple(dict.fromkeys(settled.profile_by_key[key] for key in (first, second)))
        row = operator_entry(
            "cut", at, actor=actor, detail=reason, profile_id=profiles[0], key=first, other_key=second
        )
        await insert_log_rows(connection, [row | {"other_profile_id": profiles[-1]}])
        if whole is None:
            return IdentityCut(cut_id, profiles, (), at)
        await _keep_withdrawals(connection, whole, settled, at)
        return IdentityCut(cut_id, profiles, whole.sent_message_ids, at)

    return await database.run(work)


async def mend_cut(database: Database, cut_id: int, *, actor: str, reason: str) -> tuple[UUID, ...]:
    """Lift a cut: the two identifiers are again whosever the events say. Returns the people they belong to.

    Raises KeyError where there is no such cut, or it was lifted before.
    """

    async def work(connection: Any) -> tuple[UUID, ...]:
        at = await connection.fetchval("SELECT now()")
        row = await connection.fetchrow(_LIFT_CUT, cut_id, at)
        if row is None:
            raise KeyError(f"no cut {cut_id} is in force")
        pair = (row["one"], row["other"])
        pointers, canonical = await _lock_identifiers(connection, pair)
        settled = await merge_and_split(connection, pointers, canonical, (), AuditContext(at, actor, reason))
        profiles = tuple(dict.fromkeys(settled.profile_by_key[key] for key in pair))
        keys = {"key": pair[0], "other_key": pair[1]}
        row = operator_entry("mended", at, actor=actor, detail=reason, profile_id=profiles[0], **keys)
        await insert_log_rows(connection, [row])
        return profiles

    return await database.run(work)


async def release_identifier(database: Database, key: str, *, actor: str, reason: str) -> tuple[UUID, ...]:
    """Take an identifier out of quarantine for good: it is somebody's after all, whoever shares it.

    Returns the person it belongs to by now. Raises KeyError where it is not quarantined.
    """

    async def work(connection: Any) -> tuple[UUID, ...]:
        at = await connection.fetchval("SELECT now()")
        if await connection.fetchval(_RELEASE_IDENTIFIER, *split_key(key)) is None:
            raise KeyError(f"{key} is not quarantined")
        pointers, canonical = await _lock_identifiers(connection, (key,))
        settled = await merge_and_split(connection, pointers, canonical, (), AuditContext(at, actor, reason))
        who = settled.profile_by_key[key]
        await insert_log_rows(
            connection, [operator_entry("released", at, actor=actor, detail=reason, profile_id=who, key=key)]
        )
        return (who,)

    return await database.run(work)


async def _lock_identifiers(connection: Any, keys: Sequence[str]) -> tuple[dict[str, UUID], dict[UUID, UUID]]:
    """Where identifiers point, and which profile that is by now; all locked."""
    kinds, values = zip(*(split_key(key) for key in keys), strict=True)
    rows = await connection.fetch(_LOCK_IDENTIFIERS, list(kinds), list(values))
    pointers = {row["key"]: row["profile_id"] for row in rows}
    if missing := [key for key in keys if key not in pointers]:
        raise KeyError(f"not on file: {', '.join(missing)}; name identifiers that events have named")
    return pointers, await lock_profiles(connection, sorted(set(pointers.values())))


async def _load_before_cut(connection: Any, profile_id: UUID, one: str, other: str) -> _ProfileBeforeCut:
    """What is lost to sight once two identifiers are apart. The caller holds the profile's lock."""
    found = await read_component(connection, (one, other))
    graph = found.to_graph()
    since = await merged_since(connection, found, graph, one, other)
    return _ProfileBeforeCut(
        profile_id,
        (*graph.cluster_of(one), other),
        tuple(message.message_id for message in await load_messages_since(connection, profile_id, since)),
        tuple(
            (row["channel"], row["topic"])
            for row in await connection.fetch(_SELECT_WITHDRAWN_CONSENTS, profile_id)
        ),
    )


async def _keep_withdrawals(
    connection: Any, whole: _ProfileBeforeCut, settled: MergeResult, at: datetime
) -> None:
    """What was withdrawn while they were one stays withdrawn for each of them, until they say otherwise."""
    parts = sorted({settled.profile_by_key[key] for key in whole.keys})
    if whole.withdrawn and len(parts) > 1:
        words = encode_jsonb([{"channel": channel, "topic": topic} for channel, topic in whole.withdrawn])
        who = settled.profile_by_key[whole.keys[0]]
        await connection.execute(_INSERT_WITHDRAWALS, who, list(whole.keys), words, at, parts)
        await effective.refresh_consents(connection, parts, at)


async def check_cut(connection: Any, key_a: str, key_b: str) -> UUID:
    """The canonical profile whom both identifiers (type:value) name.

    Raises ``Senseless`` for one and the same, ``Unknown`` where nobody has one, ``Needless`` for two people.
    """
    if key_a == key_b:
        raise InvalidRequest(f"{key_a} is named twice; name two identifiers, of different people")
    if email_hash_key(key_a) == key_b or email_hash_key(key_b) == key_a:
        raise InvalidRequest(
            f"{key_a} and {key_b} are an address and its own hash; name somebody else's identifier"
        )
    whose = []
    for key in (key_a, key_b):
        found = await find_profile_id(connection, *split_key(key))
        if found is None:
            raise NotFound(f"nobody has {key}; check its spelling against the person's identity")
        whose.append(found)
    if whose[0] != whose[1]:
        raise NoChange(f"{key_a} and {key_b} are two people already: profiles {whose[0]} and {whose[1]}")
    return whose[0]


async def check_mend(connection: Any, cut_id: int) -> None:
    """Raises ``Unknown`` where there is no such cut, ``Needless`` for one that is lifted already."""
    row = await connection.fetchrow("SELECT lifted_at FROM identity_cut WHERE cut_id = $1", cut_id)
    if row is None:
        raise NotFound(f"there is no cut {cut_id}; a person's identity lists theirs")
    if row["lifted_at"] is not None:
        raise NoChange(f"cut {cut_id} was mended on {row['lifted_at'].astimezone(UTC):%Y-%m-%d} already")


async def check_release(connection: Any, key: str) -> None:
    """Raises ``Unknown`` for an identifier never seen, ``Needless`` for one that is not quarantined."""
    status = await connection.fetchval(
        "SELECT status FROM identifier WHERE type = $1 AND value = $2", *split_key(key)
    )
    if status is None:
        raise NotFound(f"{key} has never been seen; check its spelling against the list of quarantined ones")
    if status != "quarantined":
        raise NoChange(f"{key} is not quarantined; the list of quarantined ones names those that are")
