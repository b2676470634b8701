"""Effective consents: read from the ledger, stored per profile and in the register of opt-outs."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog

from profiles.consent.evidence import ConsentEvidence
from profiles.consent.ledger import (
    ConsentKey,
    ConsentRecord,
    ConsentSubject,
    EffectiveConsent,
    OptOutEntry,
    effective_consents,
    recompute_opt_outs,
)
from profiles.db.savepoints import is_one_by_one, savepoint
from profiles.db.sql import encode_jsonb
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL
from profiles.state.bounds import MAX_TOPIC_LENGTH
from profiles.state.unit_of_work import Row

log = structlog.get_logger(__name__)

# The latest declaration of each kind suffices; channels repeat a profile's consents with every call.
# A declarant that is not the profile's counts as the first identifier of the profile that the event names,
# so that the number of rows does not grow with the other identifiers that senders make up.
_SELECT_CONSENT_INPUTS = """
SELECT w.profile_id,
  (SELECT jsonb_agg(jsonb_build_array(c.channel, c.topic, c.state, c.verified, c.speaker, c.time, c.source,
      c.event_id, c.at, c.by_device, c.text_version, c.method, c.jurisdiction, c.annulled))
    FROM (SELECT DISTINCT ON (channel, topic, state, verified, speaker, by_device, replied, annulled) * FROM
        (SELECT *, CASE WHEN voice IS NULL OR voice = ANY(own.keys) THEN voice
            ELSE COALESCE((SELECT n.key FROM unnest(named) WITH ORDINALITY n(key, place)
              WHERE n.key = ANY(own.keys) ORDER BY n.place LIMIT 1), voice) END AS speaker,
          EXISTS (SELECT 1 FROM unnest(named) n(key)
            WHERE starts_with(n.key, 'push_token:') AND n.key = ANY(own.keys)) AS by_device,
          CASE state WHEN 'granted' THEN method = 'keyword_start'
            ELSE method IN ('keyword', 'reply_doubtful', 'review') END IS TRUE AS replied,
          (method IN ('reply_doubtful', 'review') AND EXISTS (SELECT 1 FROM consent r
            WHERE r.state = 'granted'
              AND r.reviews = COALESCE(declared.reviews, declared.seq))) IS TRUE AS annulled
        FROM (SELECT * FROM consent WHERE profile_id = w.profile_id UNION ALL
          SELECT * FROM consent
          WHERE state = 'withdrawn' AND profile_id <> w.profile_id AND named && own.keys) declared)
        judged
      ORDER BY channel, topic, state, verified, speaker, by_device, replied, annulled, time DESC,
        source COLLATE "C" DESC, at DESC, event_id::text COLLATE "C" DESC NULLS LAST) c)::text AS words,
  (SELECT jsonb_agg(jsonb_build_array(i.type, i.value, i.linked_at, i.vouched)) FROM identifier i
    WHERE i.profile_id = w.profile_id AND i.status <> 'quarantined')::text AS identifiers,
  (SELECT jsonb_agg(jsonb_build_array(s.channel, s.topic, s.state, s.source, s.time, s.at, s.event_id,
      s.text_version, s.method, s.jurisdiction))
    FROM consent_state s WHERE s.profile_id = w.profile_id)::text AS states,
  (SELECT jsonb_agg(jsonb_build_array(o.channel, o.address, o.topic, o.state, o.time, o.source))
    FROM (SELECT i.type, i.value FROM identifier i
        WHERE i.profile_id = w.profile_id AND i.status <> 'quarantined'
      UNION SELECT split_part(c.voice, ':', 1), substr(c.voice, strpos(c.voice, ':') + 1) FROM consent c
      WHERE c.profile_id = w.profile_id) a
    JOIN unnest($2::text[], $3::text[]) AS t(channel, type) ON t.type = a.type
    JOIN opt_out o ON o.channel = t.channel AND o.address = a.value)::text AS marks
FROM unnest($1::uuid[]) AS w(profile_id)
CROSS JOIN LATERAL (SELECT array_agg(type || ':' || value) AS keys FROM identifier
  WHERE profile_id = w.profile_id AND status <> 'quarantined') own
"""

_DELETE_OPT_OUTS = """
DELETE FROM opt_out o
USING jsonb_to_recordset($1) AS g(channel text, address text, topic text, time timestamptz)
WHERE o.channel = g.channel AND o.address = g.address AND o.topic = g.topic AND o.time = g.time
"""

# A provider's opt-out that was stored after the read is not lifted by an older grant.
_WRITE_CONSENTS = """
WITH deleted AS (
  DELETE FROM consent_state s USING jsonb_to_recordset($2) AS g(profile_id uuid, channel text, topic text)
  WHERE s.profile_id = g.profile_id AND s.channel = g.channel AND s.topic = g.topic),
folded AS (
  INSERT INTO consent_state (profile_id, channel, topic, state, source, event_id, time, at, text_version,
    method, jurisdiction)
  SELECT profile_id, channel, topic, state, source, event_id, time, at, text_version, method, jurisdiction
  FROM jsonb_populate_recordset(NULL::consent_state, $1)
  ON CONFLICT (profile_id, channel, topic) DO UPDATE SET state = excluded.state, source = excluded.source,
    event_id = excluded.event_id, time = excluded.time, at = excluded.at,
    text_version = excluded.text_version, method = excluded.method, jurisdiction = excluded.jurisdiction)
INSERT INTO opt_out (channel, address, topic, source, state, time, at)
SELECT channel, address, topic, source, state, time, at FROM jsonb_populate_recordset(NULL::opt_out, $3)
ORDER BY channel, address, topic
ON CONFLICT (channel, address, topic) DO UPDATE SET source = excluded.source, state = excluded.state,
  time = excluded.time, at = excluded.at
WHERE excluded.state = 'withdrawn' OR excluded.time > opt_out.time
"""


@dataclass(frozen=True, slots=True)
class _LoadedConsents:
    """A profile's ledger records, its effective consents computed anew and as stored, and its opt-outs."""

    profile_id: UUID
    subject: ConsentSubject
    effective: dict[ConsentKey, EffectiveConsent]
    stored: dict[ConsentKey, EffectiveConsent]
    opt_outs: list[OptOutEntry]


async def refresh_consents(connection: Any, profile_ids: Collection[UUID], at: datetime) -> None:
    """Bring ``consent_state`` and the register of opt-outs in line with the ledger, for some profiles.

    Runs one statement that reads, and at most two that write what changed, for any number of profiles.
    ``at``: the transaction's instant, stored in entries of the register. Idempotent.
    Called at the end of a transaction that added ledger entries of the profiles, or moved identifiers or
    ledger rows to or from them. After a merge or a split, ``profile_ids`` holds all sides, the merged
    profile included.
    Locks held: those of the profiles.
    """
    if not is_one_by_one():
        await _refresh(connection, profile_ids, at)
        return
    for profile_id in sorted(set(profile_ids)):
        async with savepoint(connection, partial(_log_outdated, profile_id)):
            await _refresh(connection, [profile_id], at)


def _log_outdated(profile_id: UUID, error: Exception) -> None:
    log.error("consents of a profile are out of date", profile_id=str(profile_id), error=repr(error)[:300])


async def _refresh(connection: Any, profile_ids: Collection[UUID], at: datetime) -> None:
    if not profile_ids:
        return
    channels, kinds = list(ADDRESS_TYPE_BY_CHANNEL), list(ADDRESS_TYPE_BY_CHANNEL.values())
    rows = await connection.fetch(_SELECT_CONSENT_INPUTS, sorted(set(profile_ids)), channels, kinds)
    people = [_to_loaded_consents(row) for row in rows]
    marks, stale = recompute_opt_outs(
        [person.subject for person in people], (mark for person in people for mark in person.opt_outs)
    )
    if stale:
        await connection.execute(_DELETE_OPT_OUTS, encode_jsonb([_opt_out_row(mark, at) for mark in stale]))
    states, deleted = _diff_consents(people)
    if states or deleted or marks:
        entries = [_opt_out_row(mark, at) for mark in marks]
        await connection.execute(_WRITE_CONSENTS, *map(encode_jsonb, (states, deleted, entries)))


def _diff_consents(people: Sequence[_LoadedConsents]) -> tuple[list[Row], list[Row]]:
    """Return the rows of ``consent_state`` to write, and those to delete."""
    states: list[Row] = []
    deleted: list[Row] = []
    for person in people:
        effective = person.effective
        for (channel, topic), state in effective.items():
            if person.stored.get((channel, topic)) != state:
                row = asdict(state) | asdict(state.evidence) | {"state": _state_name(not state.granted)}
                states.append(row | {"profile_id": person.profile_id, "channel": channel, "topic": topic})
        deleted += [
            {"profile_id": person.profile_id, "channel": channel, "topic": topic}
            for channel, topic in person.stored
            if (channel, topic) not in effective
        ]
    return states, deleted


def _opt_out_row(mark: OptOutEntry, at: datetime) -> Row:
    place = {"channel": mark.channel, "address": mark.address, "topic": mark.topic}
    return place | {"source": mark.source, "state": _state_name(mark.withdrawn), "time": mark.time, "at": at}


def _state_name(withdrawn: bool) -> str:
    return "withdrawn" if withdrawn else "granted"


def _to_loaded_consents(row: Any) -> _LoadedConsents:
    joined_at: dict[str, datetime] = {}
    vouched = False
    for kind, value, linked_at, vouched_for in orjson.loads(row["identifiers"] or "[]"):
        joined_at[f"{kind}:{value}"] = _parse_time(linked_at)
        vouched = vouched or vouched_for
    words = tuple(
        ConsentRecord(
            channel,
            # The ledger may hold longer ones from before there was a limit.
            topic[:MAX_TOPIC_LENGTH],
            state == "granted",
            verified,
            voice,
            _parse_time(time),
            source,
            _parse_uuid(event),
            _parse_time(at),
            ConsentEvidence(*evidence),
            annulled,
            by_device,
        )
        for (
            channel,
            topic,
            state,
            verified,
            voice,
            time,
            source,
            event,
            at,
            by_device,
            *evidence,
            annulled,
        ) in orjson.loads(row["words"] or "[]")
    )
    verified = [word for word in words if word.verified]
    subject = ConsentSubject(
        frozenset(joined_at),
        words,
        consents=effective_consents(words, joined_at, vouched, exclude_restarts=False),
        verified_consents=effective_consents(verified, joined_at, vouched, exclude_restarts=False),
    )
    stored = {}
    for channel, topic, state, source, time, at, event, *evidence in orjson.loads(row["states"] or "[]"):
        instants, event_id = (_parse_time(time), _parse_time(at)), _parse_uuid(event)
        stored[channel, topic] = EffectiveConsent(
            state == "granted", source, *instants, event_id, ConsentEvidence(*evidence)
        )
    opt_outs = [
        OptOutEntry(channel, address, topic, state == "withdrawn", _parse_time(time), source)
        for channel, address, topic, state, time, source in orjson.loads(row["marks"] or "[]")
    ]
    effective = effective_consents(words, joined_at, vouched)
    return _LoadedConsents(row["profile_id"], subject, effective, stored, opt_outs)


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _parse_uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
