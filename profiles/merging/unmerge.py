"""Operators' corrections of identity: cut two identifiers, mend a cut, release a quarantined identifier."""

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
from profiles.merging.audit_log import AuditContext, insert_log_rows
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

# Recorded for every identifier of the profile, so that each profile after the cut has the withdrawal. Its
# time is not before the profile's last declaration, which may be ahead of the clock on a local stack.
_INSERT_WITHDRAWALS = """
INSERT INTO consent (profile_id, channel, topic, state, source, method, verified, voice, named, time, at)
SELECT $1, w.channel, w.topic, 'withdrawn', 'unmerge', 'unmerge', true, NULL, $2, l.last, l.last
FROM jsonb_to_recordset($3) AS w(channel text, topic text),
  (SELECT GREATEST($4, max(time)) AS last FROM consent WHERE profile_id = ANY($5)) l
"""


@dataclass(frozen=True, slots=True)
class IdentityCut:
    """A cut between two identifiers."""

    cut_id: int
    profile_ids: tuple[UUID, ...]
    """The profiles of the two identifiers now."""
    sent_message_ids: tuple[UUID, ...]
    """Messages sent, or in flight, while both were in one profile; oldest first."""
    at: datetime


@dataclass(frozen=True, slots=True)
class _ProfileBeforeCut:
    """What a cut needs of the profile that it splits."""

    profile_id: UUID
    keys: tuple[str, ...]
    sent_message_ids: tuple[UUID, ...]
    """Messages since the two identifiers have been in one profile."""
    withdrawn: tuple[tuple[str, str], ...]
    """(channel, topic) of withdrawn consents."""


async def cut_identifiers(
    database: Database, key_a: str, key_b: str, *, actor: str, reason: str
) -> IdentityCut:
    """Cut two identifiers (type:value) permanently, in one transaction.

    Later events do not join them again. Profiles, carts, purchases, runs and messages become what they would
    be if the two had never been joined. Withdrawn consents stay withdrawn for both until there is a new
    declaration. Idempotent on the pair. Raises KeyError with the name of an identifier that is not stored,
    and ValueError for two equal identifiers.
    """
    if key_a == key_b:
        raise ValueError(f"{key_a} cannot be cut from itself: name two identifiers")
    first, second = sorted((key_a, key_b))

    async def work(connection: Any) -> IdentityCut:
        stored_ids, canonical = await _lock_identifiers(connection, (first, second))
        at = await connection.fetchval("SELECT now()")
        cut_id = await connection.fetchval(_SELECT_ACTIVE_CUT, first, second)
        profile_ids = list(dict.fromkeys(canonical[stored_id] for stored_id in stored_ids.values()))
        if cut_id is not None:
            return IdentityCut(cut_id, tuple(profile_ids), (), at)
        before = None
        if len(profile_ids) == 1:
            before = await _load_before_cut(connection, profile_ids[0], first, second)
        cut_id = await connection.fetchval(_INSERT_CUT, first, second, actor, reason, at)
        context = AuditContext(at, actor, reason)
        result = await merge_and_split(connection, stored_ids, canonical, (), context)
        profiles = tuple(dict.fromkeys(result.profile_by_key[key] for key in (first, second)))
        row = {"kind": "cut", "profile_id": profiles[0], "key": first, "other_key": second}
        await insert_log_rows(connection, context, row | {"other_profile_id": profiles[-1]})
        if before is None:
            return IdentityCut(cut_id, profiles, (), at)
        await _keep_withdrawals(connection, before, result, at)
        return IdentityCut(cut_id, profiles, before.sent_message_ids, at)

    return await database.run(work)


async def mend_cut(database: Database, cut_id: int, *, actor: str, reason: str) -> tuple[UUID, ...]:
    """Remove a cut, and return the two identifiers' profiles now. Raises KeyError if it is not in force."""

    async def work(connection: Any) -> tuple[UUID, ...]:
        at = await connection.fetchval("SELECT now()")
        row = await connection.fetchrow(_LIFT_CUT, cut_id, at)
        if row is None:
            raise KeyError(f"no cut {cut_id} is in force")
        return await _resolve_again(connection, "mended", tuple(row), AuditContext(at, actor, reason))

    return await database.run(work)


async def release_identifier(database: Database, key: str, *, actor: str, reason: str) -> tuple[UUID, ...]:
    """Release an identifier from quarantine permanently, regardless of how many profiles share it.

    Returns its profile now. Raises KeyError if it is not quarantined.
    """

    async def work(connection: Any) -> tuple[UUID, ...]:
        at = await connection.fetchval("SELECT now()")
        if await connection.fetchval(_RELEASE_IDENTIFIER, *split_key(key)) is None:
            raise KeyError(f"{key} is not quarantined")
        return await _resolve_again(connection, "released", (key,), AuditContext(at, actor, reason))

    return await database.run(work)


async def _resolve_again(
    connection: Any, kind: str, keys: tuple[str, ...], context: AuditContext
) -> tuple[UUID, ...]:
    """Merge or split the profiles of one or two identifiers, and log it. Returns their profiles now."""
    stored_ids, canonical = await _lock_identifiers(connection, keys)
    result = await merge_and_split(connection, stored_ids, canonical, (), context)
    profiles = tuple(dict.fromkeys(result.profile_by_key[key] for key in keys))
    row = {"kind": kind, "profile_id": profiles[0], **dict(zip(("key", "other_key"), keys, strict=False))}
    await insert_log_rows(connection, context, row)
    return profiles


async def _lock_identifiers(connection: Any, keys: Sequence[str]) -> tuple[dict[str, UUID], dict[UUID, UUID]]:
    """Lock identifiers and profiles: key → stored, stored → canonical. Raises KeyError if one is missing."""
    kinds, values = zip(*(split_key(key) for key in keys), strict=True)
    rows = await connection.fetch(_LOCK_IDENTIFIERS, list(kinds), list(values))
    stored_ids = {row["key"]: row["profile_id"] for row in rows}
    if missing := [key for key in keys if key not in stored_ids]:
        raise KeyError(f"not on file: {', '.join(missing)}; name identifiers that events have named")
    return stored_ids, await lock_profiles(connection, sorted(set(stored_ids.values())))


async def _load_before_cut(connection: Any, profile_id: UUID, key_a: str, key_b: str) -> _ProfileBeforeCut:
    """Load what cannot be read after the cut. Locks held: the profile's, by the caller."""
    component = await read_component(connection, (key_a, key_b))
    graph = component.to_graph()
    since = await merged_since(connection, component, graph, key_a, key_b)
    return _ProfileBeforeCut(
        profile_id,
        (*graph.cluster_of(key_a), key_b),
        tuple(message.message_id for message in await load_messages_since(connection, profile_id, since)),
        tuple(map(tuple, await connection.fetch(_SELECT_WITHDRAWN_CONSENTS, profile_id))),
    )


async def _keep_withdrawals(
    connection: Any, before: _ProfileBeforeCut, result: MergeResult, at: datetime
) -> None:
    """Keep consents withdrawn for each profile after a cut, until there is a new declaration."""
    profile_ids = sorted({result.profile_by_key[key] for key in before.keys})
    if before.withdrawn and len(profile_ids) > 1:
        pairs = encode_jsonb([{"channel": channel, "topic": topic} for channel, topic in before.withdrawn])
        profile_id = result.profile_by_key[before.keys[0]]
        await connection.execute(_INSERT_WITHDRAWALS, profile_id, list(before.keys), pairs, at, profile_ids)
        await effective.refresh_consents(connection, profile_ids, at)


async def check_cut(connection: Any, key_a: str, key_b: str) -> UUID:
    """Check a request to cut two identifiers (type:value). Returns the canonical profile of both.

    Raises ``InvalidRequest`` for equal identifiers or an address and its hash, ``NotFound`` for an identifier
    without a profile, ``NoChange`` for identifiers of two profiles.
    """
    if key_a == key_b:
        raise InvalidRequest(f"{key_a} is named twice; name two identifiers, of different people")
    if email_hash_key(key_a) == key_b or email_hash_key(key_b) == key_a:
        raise InvalidRequest(f"{key_a} and {key_b} are an address and its own hash; name another identifier")
    profile_ids = []
    for key in (key_a, key_b):
        profile_id = await find_profile_id(connection, *split_key(key))
        if profile_id is None:
            raise NotFound(f"no profile has {key}; check its spelling against the profile's identity")
        profile_ids.append(profile_id)
    first, second = profile_ids
    if first != second:
        raise NoChange(f"{key_a} and {key_b} are two people already: profiles {first} and {second}")
    return first


async def check_mend(connection: Any, cut_id: int) -> None:
    """Check a request to mend a cut. Raises ``NotFound`` for no such cut, ``NoChange`` for a mended one."""
    row = await connection.fetchrow("SELECT lifted_at FROM identity_cut WHERE cut_id = $1", cut_id)
    if row is None:
        raise NotFound(f"there is no cut {cut_id}; a profile's identity lists its cuts")
    if row["lifted_at"] is not None:
        raise NoChange(f"cut {cut_id} was mended on {row['lifted_at'].astimezone(UTC):%Y-%m-%d} already")


async def check_release(connection: Any, key: str) -> None:
    """Check a request to release an identifier.

    Raises ``NotFound`` for an identifier that was never seen, ``NoChange`` for one that is not quarantined.
    """
    query = "SELECT status FROM identifier WHERE type = $1 AND value = $2"
    status = await connection.fetchval(query, *split_key(key))
    if status is None:
        raise NotFound(f"{key} has never been seen; check its spelling against the list of quarantined ones")
    if status != "quarantined":
        raise NoChange(f"{key} is not quarantined; the list of quarantined ones names those that are")
