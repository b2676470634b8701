"""Exposures: records that a run reached an experiment, with its arm. Experiments are evaluated by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from profiles.db.sql import encode_jsonb, fetch_as

_INSERT_EXPOSURES = """
INSERT INTO exposure (run_id, experiment, arm, journey, profile_id, at)
SELECT r.run_id, e.experiment, e.arm, r.journey, r.profile_id, e.at
FROM jsonb_to_recordset($2) AS e(experiment text, arm text, at timestamptz) JOIN run r ON r.run_id = $1
ON CONFLICT (run_id, experiment) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class ExposureView:
    """A run's exposure to an experiment."""

    experiment: str
    arm: str
    at: datetime


async def record_exposures(
    connection: Any, run_id: UUID, exposures: Sequence[tuple[str, str, datetime]]
) -> None:
    """Record (experiment, arm, at) for a run, if it exists. Idempotent: an experiment's first arm stays."""
    first: dict[str, dict[str, Any]] = {}
    for experiment, arm, exposed_at in exposures:
        first.setdefault(experiment, {"experiment": experiment, "arm": arm, "at": exposed_at})
    if first:
        await connection.execute(_INSERT_EXPOSURES, run_id, encode_jsonb(list(first.values())))


async def list_exposures(connection: Any, run_id: UUID) -> list[ExposureView]:
    """Return a run's exposures, in the order of their times."""
    query = "SELECT experiment, arm, at FROM exposure WHERE run_id = $1 ORDER BY at, experiment"
    return await fetch_as(connection, ExposureView, query, run_id)
