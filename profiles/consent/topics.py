"""The topics of consent that are on record for a profile, so that no sender makes up any number of them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from profiles.consent import declarations
from profiles.db.sql import encode_jsonb
from profiles.state.event_records import StoredEvent

# A withdrawal concerns every profile that has one of the named identifiers, so its topic counts there too.
_SELECT_TOPICS = """
SELECT asked.place, ARRAY(SELECT topic FROM consent WHERE profile_id = asked.profile_id
    UNION SELECT topic FROM consent WHERE state = 'withdrawn'
      AND named && ARRAY(SELECT jsonb_array_elements_text(asked.keys))) AS topics
FROM jsonb_to_recordset($1) AS asked(place int, profile_id uuid, keys jsonb)
"""


async def load_topics(
    connection: Any, events: Sequence[tuple[StoredEvent, UUID]]
) -> dict[UUID | str, set[str]]:
    """Return the topics of each profile and identifier of the events that declare a topic of their own.

    ``events``: each with its profile. Runs no statement where no event declares one.
    """
    asked = [
        (profile_id, declarations.named_keys(event))
        for event, profile_id in events
        if declarations.declares_own_topic(event.incoming)
    ]
    if not asked:
        return {}
    rows = [
        {"place": place, "profile_id": profile_id, "keys": keys}
        for place, (profile_id, keys) in enumerate(asked)
    ]
    found: dict[UUID | str, set[str]] = {}
    for row in await connection.fetch(_SELECT_TOPICS, encode_jsonb(rows)):
        profile_id, keys = asked[row["place"]]
        for holder in (profile_id, *keys):
            found.setdefault(holder, set()).update(row["topics"])
    return found
