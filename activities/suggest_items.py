"""Read what a person may like and has not bought."""

from uuid import UUID

from temporalio import activity

from activities.clock import run_now
from activities.read_contracts import Suggested, SuggestItems
from profiles.database import Database
from profiles.suggestions import suggest


class SuggestionActivities:
    """Reads of the profile on a run's behalf."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="suggest_items")
    async def suggest_items(self, request: SuggestItems) -> Suggested:
        """Items, best first; a read, so it may be repeated."""
        async with self._database.transaction() as connection:
            items = await suggest(
                connection, UUID(request.run_id), limit=request.limit, at=run_now(request.clock_offset_s)
            )
        return Suggested(items=items)
