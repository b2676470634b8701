"""Row locks of profiles: by id, following merges, and by run."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

# ARRAY(SELECT unnest(…)) hides the array's length from the planner: one cached plan serves 1 id and 500.
# With a plain ANY($1) Postgres plans again for every event, which costs more than reading the rows.
_LOCK_PROFILES = """
SELECT profile_id, merged_into FROM profile WHERE profile_id = ANY(ARRAY(SELECT unnest($1::uuid[])))
ORDER BY profile_id FOR NO KEY UPDATE
"""


async def lock_profiles(connection: Any, profile_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Lock profiles in id order, following merges. Returns requested id → canonical id.

    Locks held: the requested profiles and their canonical ones. Read the data in a *new* statement
    afterwards: the snapshot of this one is older than the lock.
    """
    pointers: dict[UUID, UUID | None] = {}
    wanted = sorted(set(profile_ids))
    while wanted:
        for row in await connection.fetch(_LOCK_PROFILES, wanted):
            pointers[row["profile_id"]] = row["merged_into"]
        wanted = sorted({into for into in pointers.values() if into is not None and into not in pointers})
    canonical: dict[UUID, UUID] = {}
    for profile_id in profile_ids:
        at: UUID = profile_id
        while (into := pointers.get(at)) is not None:
            at = into
        canonical[profile_id] = at
    return canonical


SELECT_RUN_PROFILE = "SELECT profile_id FROM run WHERE run_id = $1"


async def lock_profile_of_run(connection: Any, run_id: UUID) -> UUID | None:
    """Lock the profile of a run and return its canonical id; None if there is no such run.

    The run may move to another profile while this waits for the lock; then that profile is locked too.
    Locks held: every profile locked on the way, until COMMIT.
    """
    locked_id: UUID | None = None
    canonical_id: UUID | None = None
    while (profile_id := await connection.fetchval(SELECT_RUN_PROFILE, run_id)) != locked_id:
        locked_id, canonical_id = profile_id, (await lock_profiles(connection, [profile_id]))[profile_id]
    return canonical_id
