"""What is open with a person and holds marketing back: an open ticket, a return."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import run_now
from activities.contracts import HoldAsk
from activities.read_contracts import OpenHolds, ReadHolds
from profiles import holds
from profiles.database import Database
from profiles.runs import person_of


async def open_in_words(
    connection: object, profile_id: UUID, asks: Sequence[HoldAsk], at: datetime
) -> tuple[str, ...]:
    """Each open case as "a support ticket 17"; the number is the channel's own, and names nobody."""
    cases = [holds.HoldPair(ask.opened, ask.closed, ask.by) for ask in asks]
    says = {ask.opened: ask.says or ask.opened for ask in asks}
    found = await holds.open_holds(connection, profile_id, cases, at)
    return tuple(f"{says[one.opened]} {one.ref or ''}".strip() for one in found)


class HoldActivities:
    """Reads of open cases on a run's behalf."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="read_holds")
    async def read_holds(self, request: ReadHolds) -> OpenHolds:
        """What is open now; a read, so it may be repeated."""
        at = run_now(request.clock_offset_s)
        async with self._database.transaction() as connection:
            profile_id = await person_of(connection, UUID(request.run_id))
            if profile_id is None:
                raise ApplicationError(f"no run {request.run_id}", type="NoSuchRun", non_retryable=True)
            return OpenHolds(held=await open_in_words(connection, profile_id, request.hold_while, at))
