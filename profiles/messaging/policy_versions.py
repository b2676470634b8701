"""Policies by version, and the decisions that were made under them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.db.sql import encode_jsonb, from_row


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A recorded decision, with the values that it is based on."""

    decision_id: UUID
    run_id: UUID
    journey: str
    step: str
    channel: str
    verdict: str
    reason: str | None
    until: datetime | None
    items_removed: tuple[str, ...]
    at: datetime
    policy: str | None
    """The version it was made under; None where it was made before versions were stored."""
    basis: dict[str, Any] | None


_INSERT_POLICY = "INSERT INTO policy (version, limits) VALUES ($1, $2) ON CONFLICT DO NOTHING"

_SELECT_DECISIONS = """
SELECT decision_id, run_id, journey, step, channel, verdict, reason, until, items_removed, at, policy,
  basis::text AS basis
FROM decision WHERE $1::interval IS NULL OR recorded_at >= now() - $1 ORDER BY recorded_at, decision_id
"""


async def store_policy_version(connection: Any, version: str, limits: Mapping[str, Any]) -> None:
    """Store a policy's values under its version. Idempotent: a stored version stays as it is."""
    await connection.execute(_INSERT_POLICY, version, encode_jsonb(limits))


async def load_policy_version(connection: Any, version: str) -> dict[str, Any] | None:
    """Return the values of a version, or None where no process has stored it."""
    stored = await connection.fetchval("SELECT limits::text FROM policy WHERE version = $1", version)
    limits: dict[str, Any] | None = None if stored is None else orjson.loads(stored)
    return limits


async def iterate_decisions(
    connection: Any, since: timedelta | None = None
) -> AsyncIterator[RecordedDecision]:
    """Yield decisions in the order in which they were recorded: those of the last ``since``, or all."""
    async for row in connection.cursor(_SELECT_DECISIONS, since, prefetch=500):
        basis = None if row["basis"] is None else orjson.loads(row["basis"])
        yield from_row(RecordedDecision, row, items_removed=tuple(row["items_removed"]), basis=basis)
