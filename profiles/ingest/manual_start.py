"""Start a run on request: ingest one event that is routed to a single journey."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson

from profiles.db.database import Database
from profiles.events import Event
from profiles.ingest.event_store import IngestStatus
from profiles.ingest.pipeline import BatchResult, Ingest, IngestConfig
from profiles.runs import routing
from profiles.runs.routing import Route
from profiles.state.clock import MAX_EVENT_AGE, StackClock
from profiles.state.event_records import IncomingEvent
from profiles.state.profile_state import SENT_NOTHING_SQL
from profiles.state.run_keys import RUN_KEY_SQL

_SELECT_STARTED_RUN = f"""
SELECT r.run_id, {RUN_KEY_SQL} AS key, r.state, e.event_id FROM event e
JOIN run r ON r.profile_id = e.profile_id AND r.journey = $2 AND r.entry_event = e.event_id
WHERE e.event_id = $1
"""  # noqa: S608 - constant fragment

_SELECT_EVENT = """
SELECT profile_id, cart_id, at, time, problems::text AS problems, now() AS now FROM event WHERE event_id = $1
"""

_SELECT_LIVE_RUN = f"""
SELECT r.run_id FROM run r WHERE r.profile_id = $1 AND r.journey = $2 AND {RUN_KEY_SQL} = $3
  AND r.state <> 'ended'
"""  # noqa: S608 - constant fragment

_SELECT_RUN_ENTRIES = f"""
SELECT r.entered_at FROM run r
WHERE r.profile_id = $1 AND r.journey = $2 AND {RUN_KEY_SQL} = $3 AND r.verified
  AND NOT ({SENT_NOTHING_SQL}) ORDER BY r.entered_at
"""  # noqa: S608 - constant fragment


@dataclass(frozen=True, slots=True)
class StartedRun:
    """The run that this event started, in this request or in an earlier one with the same id."""

    run_id: UUID
    key: str
    state: str
    event_id: UUID
    is_duplicate: bool = False
    """The event is a duplicate of an earlier request."""


class RunNotStarted(Exception):
    """No run was started and nothing was written. The message says why and what to do."""


class InvalidEntryEvent(RunNotStarted):
    """This event can start no run of the journey, even when it is sent again."""


class RunAlreadyActive(RunNotStarted):
    """A live run with the same key exists."""

    def __init__(self, key: str, run_id: UUID) -> None:
        super().__init__(f"run {run_id} of the key {key!r} is live")
        self.run_id = run_id


class ReentryNotAllowed(RunNotStarted):
    """The journey's re-entry rule forbids another run after these entries."""

    def __init__(self, key: str, entries: Sequence[datetime], at: datetime) -> None:
        super().__init__(f"the key {key!r} may not enter again now")
        self.key, self.entries, self.at = key, tuple(entries), at


class EventIdConflict(RunNotStarted):
    """Another event of this source with other content has the id. The first one is kept."""

    def __init__(self, event_id: str, run_id: UUID | None) -> None:
        started = f", and started run {run_id}" if run_id else ""
        super().__init__(f"an event with the id {event_id!r} and other content came before{started}")
        self.run_id = run_id


async def start_run_manually(
    database: Database, route: Route, incoming: IncomingEvent, rules: IngestConfig | None = None
) -> StartedRun:
    """Ingest one event for ``route`` alone and return the run it starts, in one transaction.

    The journey's filter is skipped, as the caller has decided. Its key, its re-entry rule and the limit of
    one live run per key apply. Idempotent on the event's (source, id). Raises ``RunNotStarted`` if no run
    starts; the event is then not stored, so the same id may be sent again.
    """
    ingest = _ManualStart(database, route, rules or IngestConfig())
    [result] = await ingest([incoming])
    if ingest.started_run is None:
        raise InvalidEntryEvent(result.detail)
    return ingest.started_run


class _ManualStart(Ingest):
    """Ingest of one event, which no filter refuses. The transaction is rolled back if it starts no run."""

    _filtered = False

    def __init__(self, database: Database, route: Route, rules: IngestConfig) -> None:
        super().__init__(database, [route], rules)
        self._route = route
        self._local = rules.local
        self.started_run: StartedRun | None = None

    async def _ingest_batch(self, connection: Any, prepared: Any) -> BatchResult:
        [result], resolved = await super()._ingest_batch(connection, prepared)
        if result.status is IngestStatus.REJECTED:
            return [result], resolved
        run = await connection.fetchrow(_SELECT_STARTED_RUN, result.event_id, self._route.name)
        if result.status is not IngestStatus.ACCEPTED:
            if run is None or result.status is IngestStatus.CONFLICT:
                raise EventIdConflict(result.id, run["run_id"] if run else None)
        elif run is None:
            raise await self._explain_failure(connection, result.event_id, prepared[0].event)
        self.started_run = StartedRun(**run, is_duplicate=result.status is IngestStatus.DUPLICATE)
        return [result], resolved

    async def _explain_failure(self, connection: Any, event_id: UUID | None, event: Event) -> RunNotStarted:
        """Return why the event started no run, in its transaction. Locks held: the profile."""
        row = await connection.fetchrow(_SELECT_EVENT, event_id)
        key = self._run_key(row, event)
        live = key and await connection.fetchval(_SELECT_LIVE_RUN, row["profile_id"], self._route.name, key)
        if key and live:
            return RunAlreadyActive(key, live)
        recorded = orjson.loads(row["problems"])
        problems = [each["detail"] for each in recorded if each.get("journey") == self._route.name]
        if problems or not key:
            by = self._route.key_property or "value that keyed_by makes one of"
            return InvalidEntryEvent("; ".join(problems) or f"it has no key, since it carries no {by}")
        if not StackClock(row["now"], self._local).may_start_run(row["time"]):
            hours, time = MAX_EVENT_AGE.total_seconds() / 3600, row["time"].isoformat()
            return InvalidEntryEvent(f"its time, {time}, is over {hours:.0f} hours ago or ahead of now")
        entries = await connection.fetch(_SELECT_RUN_ENTRIES, row["profile_id"], self._route.name, key)
        return ReentryNotAllowed(key, [entry["entered_at"] for entry in entries], row["at"])

    def _run_key(self, row: Any, event: Event) -> str | None:
        match self._route.key_property:
            case routing.KEY_PERSON:
                return str(row["profile_id"])
            case routing.KEY_CART:
                return cast("str | None", row["cart_id"])
        # The journey's code may raise; match_routes catches it.
        matches = routing.match_routes(event, [self._route]).matches
        return matches[0].key if matches else None
