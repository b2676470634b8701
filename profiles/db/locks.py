"""A person's state under lock, as far as an event may change it or be routed by it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

# ARRAY(SELECT unnest(…)) hides the array's length from the planner: one plan for one id and for 500, kept.
# With a plain ANY($1) Postgres plans anew for every single event, which costs more than the reading.
_LOCK_PROFILES = """
SELECT profile_id, merged_into FROM profile WHERE profile_id = ANY(ARRAY(SELECT unnest($1::uuid[])))
ORDER BY profile_id FOR NO KEY UPDATE
"""


async def lock_profiles(connection: Any, profile_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Lock profiles in id order, following merges. Returns asked id → canonical id, all of them locked.

    Afterwards a *new* statement must read the facts: this one's snapshot is older than the lock.
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


_SELECT_RUN_PROFILE = "SELECT profile_id FROM run WHERE run_id = $1"


async def lock_profile_of_run(connection: Any, run_id: UUID) -> UUID | None:
    """Lock whoever's run it is once the lock is held; None where there is no such run.

    People may be joined or parted while this waits; those who are locked by then stay so until COMMIT.
    """
    asked: UUID | None = None
    held: UUID | None = None
    while (whose := await connection.fetchval(_SELECT_RUN_PROFILE, run_id)) != asked:
        asked, held = whose, (await lock_profiles(connection, [whose]))[whose]
    return held
