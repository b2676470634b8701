"""Withdraw a profile's marketing consent on one channel for a journey, by an ordinary event."""

from datetime import datetime
from uuid import UUID

from profiles.db.database import Database
from profiles.identity.identifiers import JOIN_STRONGEST_IDENTIFIER
from profiles.ingest.pipeline import Ingest
from profiles.state.event_records import IncomingEvent

JOURNEY_SOURCE = "waypost/journey"

_SELECT_RUN_IDENTIFIER = f"""
SELECT i.type, i.value FROM run r JOIN profile p ON p.profile_id = r.profile_id {JOIN_STRONGEST_IDENTIFIER}
WHERE r.run_id = $1
"""  # noqa: S608 - constant fragments


async def withdraw_consent(
    database: Database, ingest: Ingest, run_id: UUID, step: str, *, channel: str, topic: str, at: datetime
) -> bool:
    """Ingest ``Consent Changed`` with the state ``withdrawn`` for the profile of a run.

    Returns False for a profile without an identifier. Idempotent per run and step.
    """
    async with database.transaction() as connection:
        identifier = await connection.fetchrow(_SELECT_RUN_IDENTIFIER, run_id)
    if identifier is None:
        return False
    properties = {"channel": channel, "topic": topic, "state": "withdrawn", "source": JOURNEY_SOURCE}
    properties["method"] = "journey"
    envelope = (JOURNEY_SOURCE, f"{run_id}/{step}", "Consent Changed", "server", at)
    await ingest([IncomingEvent(*envelope, (tuple(identifier),), properties)])
    return True
