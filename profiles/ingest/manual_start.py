"""Start a run because a caller says so: by an event, taken in like any other but for one journey only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles.db.database import Database
from profiles.events import Event
from profiles.ingest.event_store import Ingested, Status
from profiles.ingest.pipeline import Ingest, Rules
from profiles.ingest.resolution import Resolved
from profiles.runs import routing
from profiles.runs.routing import Route
from profiles.state.clock import TOO_OLD, Calendar
from profiles.state.event_records import IncomingEvent

_RUN = """
SELECT r.run_id, r.key, r.state, e.event_id FROM event e
JOIN run r ON r.profile_id = e.profile_id AND r.journey = $2 AND r.entry_event = e.event_id
WHERE e.event_id = $1
"""

_EVENT = """
SELECT profile_id, cart_id, at, time, problems::text AS problems, now() AS now FROM event WHERE event_id = $1
"""

_LIVE = "SELECT run_id FROM run WHERE journey = $1 AND key = $2 AND state <> 'ended'"

_ENTRIES = """
SELECT entered_at FROM run WHERE profile_id = $1 AND journey = $2 AND key = $3 ORDER BY entered_at
"""


@dataclass(frozen=True, slots=True)
class Entered:
    """A run that was started by this event, now or by an earlier request of the same id."""

    run_id: UUID
    key: str
    state: str
    event_id: UUID
    again: bool = False
    """The event had come before."""


class NotEntered(Exception):
    """No run was started, and nothing was written. The message says why, and what to do."""


class Unfit(NotEntered):
    """This event can start no run of the journey, however often it is sent."""


class KeyIsLive(NotEntered):
    """One live run a key; this one is in the way."""

    def __init__(self, key: str, run_id: UUID) -> None:
        super().__init__(f"run {run_id} of the key {key!r} is live")
        self.run_id = run_id


class MayNotReenter(NotEntered):
    """The journey's re-entry rule forbids it, after these entries."""

    def __init__(self, key: str, entries: Sequence[datetime], at: datetime) -> None:
        super().__init__(f"the key {key!r} may not enter again now")
        self.key, self.entries, self.at = key, tuple(entries), at


class IdIsTaken(NotEntered):
    """Another event of this source has the id; the first one stands."""

    def __init__(self, event_id: str, run_id: UUID | None) -> None:
        started = f", and started run {run_id}" if run_id else ""
        super().__init__(f"an event with the id {event_id!r} and other content came before{started}")
        self.run_id = run_id


async def enter(
    database: Database, route: Route, incoming: IncomingEvent, rules: Rules | None = None
) -> Entered:
    """Take one event in for ``route`` alone, and return the run it starts; both in one transaction.

    The journey's own filter is not asked: the caller has decided. Its key, its re-entry rule and one live run
    a key hold. Idempotent on the event's (source, id). Raises a ``NotEntered`` where no run starts, and then
    the event is not kept either, so that the same id may be sent again.
    """
    ingest = _Entry(database, route, rules or Rules())
    [answer] = await ingest([incoming])
    if ingest.entered is None:
        raise Unfit(answer.detail)
    return ingest.entered


@dataclass(frozen=True, slots=True)
class _Asked:
    """A journey that leaves the question whom to admit to the caller."""

    route: Route

    @property
    def name(self) -> str:
        return self.route.name

    @property
    def start_names(self) -> frozenset[str]:
        return self.route.start_names

    @property
    def listen_names(self) -> frozenset[str]:
        return self.route.listen_names

    @property
    def key_property(self) -> str | None:
        return self.route.key_property

    def key_of(self, event: Event) -> str | None:
        return self.route.key_of(event)

    def admits(self, event: Event) -> bool:
        return True

    @property
    def on_merge(self) -> str:
        return self.route.on_merge

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        return self.route.may_enter(entries, at)


class _Entry(Ingest):
    """Ingest of one event, which is undone where it starts no run."""

    def __init__(self, database: Database, route: Route, rules: Rules) -> None:
        super().__init__(database, [_Asked(route)], rules)
        self._route = route
        self._local = rules.local
        self.entered: Entered | None = None

    async def _take(self, connection: Any, prepared: Any) -> tuple[list[Ingested], Resolved]:
        [answer], resolved = await super()._take(connection, prepared)
        run = await connection.fetchrow(_RUN, answer.event_id, self._route.name)
        if answer.status is not Status.ACCEPTED:
            if run is None or answer.status is Status.CONFLICT:
                raise IdIsTaken(answer.id, run["run_id"] if run else None)
        elif run is None:
            raise await self._why_not(connection, answer.event_id, prepared[0].typed)
        self.entered = Entered(**run, again=answer.status is Status.DUPLICATE)
        return [answer], resolved

    async def _why_not(self, connection: Any, event_id: UUID | None, event: Event) -> NotEntered:
        """Why the event started no run; asked in its own transaction, under the person's lock."""
        row = await connection.fetchrow(_EVENT, event_id)
        key = self._key(row, event)
        live = key and await connection.fetchval(_LIVE, self._route.name, key)
        if key and live:
            return KeyIsLive(key, live)
        said = [p["detail"] for p in orjson.loads(row["problems"]) if p.get("journey") == self._route.name]
        if said or not key:
            by = self._route.key_property or "value that keyed_by makes one of"
            return Unfit("; ".join(said) or f"it has no key, since it carries no {by}")
        if not Calendar(row["now"], self._local).fresh(row["time"]):
            hours = TOO_OLD.total_seconds() / 3600
            return Unfit(
                f"its time, {row['time'].isoformat()}, is over {hours:.0f} hours ago or ahead of now"
            )
        entries = await connection.fetch(_ENTRIES, row["profile_id"], self._route.name, key)
        return MayNotReenter(key, [one["entered_at"] for one in entries], row["at"])

    def _key(self, row: Any, event: Event) -> str | None:
        match self._route.key_property:
            case routing.PERSON:
                return str(row["profile_id"])
            case routing.CART:
                cart_id: str | None = row["cart_id"]
                return cart_id
        # Author code, which may raise: asked as routing asks it.
        found = routing.interests(event, [self._route]).of
        return found[0].key if found else None
