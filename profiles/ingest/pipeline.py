"""Take events in: one Postgres transaction for the events, the person, the facts, the runs and the outbox."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog

from profiles.commerce import orders
from profiles.commerce.catalog import is_product_update, upsert_products
from profiles.commerce.orders import (
    ORDER_COMPLETED,
    SuppressionRuleLookup,
    UniformSuppressionRule,
    resolve_order_lines,
)
from profiles.commerce.suppressions import flag_sent_before_late_purchase
from profiles.consent import declarations, effective
from profiles.db.database import Database
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, DEVICE_TYPES
from profiles.identity.quarantine import QuarantineCache, log_quarantines
from profiles.ingest.event_store import (
    IngestResult,
    IngestStatus,
    ParsedEvent,
    deduplicate,
    insert_events,
    load_messages,
    message_id_from,
    prepare_event,
    to_results,
)
from profiles.ingest.resolution import EventIdentifiers, IdentityResolution, resolve_identities
from profiles.messaging.audiences import leave_audiences
from profiles.projection import computed, replay
from profiles.projection.apply import ORDER_SENSITIVE_EVENT_TYPES, apply_event
from profiles.runs.routing import ApplyResult, Route, RouteMatch, route_event
from profiles.state.clock import StackClock
from profiles.state.event_records import EventSortKey, IncomingEvent, MessageRef, StoredEvent
from profiles.state.profile_state import ProfileState, load_profile_states
from profiles.state.unit_of_work import UnitOfWork

INTERNAL_SOURCE_PREFIX = "waypost/"
"""Sources that begin like this are Waypost's own."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """What ingest goes by besides the events."""

    local: bool = False
    """A local stack: time may be travelled."""
    suppression_window: timedelta | None = timedelta(days=365)
    """How long a purchase keeps its item from being promoted; None: for good."""
    suppression_rule_for: SuppressionRuleLookup | None = None
    """What the shop says of a purchase of one item; None: the window above, and the product."""
    on_late_purchase: Callable[[int], object] | None = None
    """Hears, after COMMIT, how many messages a purchase overtook that was heard of late."""

    @property
    def rule_for(self) -> SuppressionRuleLookup:
        """How long and how far a purchase suppresses."""
        plain = UniformSuppressionRule(self.suppression_window)
        return self.suppression_rule_for or (lambda product, sku, category, group: plain)


class Ingest:
    """The one way in. Idempotent on (source, id): a replay changes nothing and says so."""

    def __init__(
        self, database: Database, routes: Sequence[Route], rules: IngestConfig | None = None
    ) -> None:
        self._database = database
        self._routes = tuple(routes)
        self._rules = rules or IngestConfig()
        self._quarantine_cache = QuarantineCache()

    async def __call__(self, events: Sequence[IncomingEvent]) -> list[IngestResult]:
        """Take events in, in the order given, in one transaction; answers come in the same order.

        Returns only after COMMIT. Should one event of several be one that cannot be stored, the others are
        taken in without it, in transactions of their own. Raises for all else, such as Postgres away: what
        was not answered may be sent again, and what had been written by then is a duplicate.
        """
        try:
            prepared = [prepare_event(event, self._routes) for event in events]
            answers, resolved = await self._database.run(
                lambda connection: self._ingest_batch(connection, prepared)
            )
        except Exception as error:
            if not _is_invalid_event(error):
                raise
            if len(events) == 1:
                log.warning("event could not be taken in", source=events[0].source, error=repr(error)[:300])
                return [IngestResult(events[0].id, IngestStatus.REJECTED, detail=_describe_rejection(error))]
        else:
            # What a transaction found holds once it is committed.
            self._quarantine_cache.add(resolved.quarantined, resolved.verified_keys)
            log_quarantines(resolved.merge_result.new_quarantines)
            if self._rules.on_late_purchase and resolved.overtaken_messages:
                self._rules.on_late_purchase(resolved.overtaken_messages)
            return answers
        middle = len(events) // 2
        return [*await self(events[:middle]), *await self(events[middle:])]

    async def _ingest_batch(
        self, connection: Any, prepared: Sequence[ParsedEvent]
    ) -> tuple[list[IngestResult], IdentityResolution]:
        resolved = IdentityResolution()
        if not prepared:
            return [], resolved
        first = deduplicate(prepared)
        stamped = await insert_events(connection, list(first.values()), local=self._rules.local)
        news = [p for p in prepared if p.event_id in stamped]
        if news:
            now = next(iter(stamped.values()))[1]
            resolved = await self._apply_batch(connection, news, stamped, StackClock(now, self._rules.local))
        return await to_results(connection, prepared, first, stamped), resolved

    async def _apply_batch(
        self,
        connection: Any,
        new_events: Sequence[ParsedEvent],
        stamped: dict[UUID, tuple[datetime, datetime]],
        calendar: StackClock,
    ) -> IdentityResolution:
        messages = await load_messages(connection, new_events)
        takens = [_to_stored_event(p, stamped[p.event_id][0], messages) for p in new_events]
        unnamed = await upsert_products(connection, takens)
        resolved = await resolve_identities(
            connection, [self._to_event_identifiers(taken) for taken in takens]
        )
        # A new statement, after the locks: what they waited for is visible now.
        telling = await EventBatch.load(connection, takens, resolved, self._rules.rule_for)
        for taken, ready in zip(takens, new_events, strict=True):
            row = {"event_id": taken.event_id, "profile_id": None, "cart_id": None}
            telling.changes.events[taken.event_id] = {**row, "problems": list(ready.problems)}
        telling.apply()
        for position, (taken, ready) in enumerate(zip(takens, new_events, strict=True)):
            if not is_product_update(taken) and position not in resolved.owners:
                telling.changes.add_problem(taken.event_id, "", _describe_missing_owner(taken))
            telling.route(position, ready.route_matches.matches, calendar)
        for taken in unnamed:
            telling.changes.add_problem(
                taken.event_id, "", "a product without product_id and sku cannot be kept"
            )
        resolved.overtaken_messages = await telling.write(connection, calendar.now)
        return resolved

    def _to_event_identifiers(self, taken: StoredEvent) -> EventIdentifiers:
        """Whom an event names: by its identifiers, and by a message of ours."""
        said, message = taken.incoming, taken.message_ref
        place: dict[str, Any] = {"source": said.source, "id": said.id, "time": taken.time, "at": taken.at}
        if is_product_update(taken):
            return EventIdentifiers.from_event((), event_id=taken.event_id, verified=said.verified, **place)
        # What Waypost writes itself says nothing new of who is who.
        named, verified = (
            list(said.identifiers),
            said.verified and not said.source.startswith(INTERNAL_SOURCE_PREFIX),
        )
        if named and message is not None and message.address and message.channel in ADDRESS_TYPE_BY_CHANNEL:
            address = (ADDRESS_TYPE_BY_CHANNEL[message.channel], message.address)
            # Its id went to that address and nowhere else: who knows it has read that mail, on this device.
            # Who else they say they are it does not prove.
            verified = verified or all(
                kind in DEVICE_TYPES or (kind, value) == address for kind, value in named
            )
            named.append(address)
        return EventIdentifiers.from_event(
            named,
            quarantine_cache=self._quarantine_cache,
            profile_id=message.profile_id if message else None,
            message_id=message.message_id if message else None,
            event_id=taken.event_id,
            verified=verified,
            **place,
        )


def _describe_missing_owner(taken: StoredEvent) -> str:
    if taken.incoming.identifiers:
        return "what it names is shared by so many that it is nobody's: it counts for no one"
    return "it names nobody: no identifier, and no message of ours"


def _to_stored_event(p: ParsedEvent, at: datetime, messages: dict[UUID | None, MessageRef]) -> StoredEvent:
    return StoredEvent(p.incoming, p.event_id, at, p.event, messages.get(message_id_from(p.incoming)))


def _is_invalid_event(error: BaseException) -> bool:
    """Whether an event can never be stored. Whatever else goes wrong must not cost a client its event."""
    if isinstance(error, asyncpg.PostgresError):
        # 22 data, 23 constraint, 54 a limit of Postgres's own.
        return (error.sqlstate or "")[:2] in ("22", "23", "54")
    if isinstance(error, asyncpg.InterfaceError | OSError):
        return False
    return isinstance(error, ValueError | OverflowError | RecursionError | orjson.JSONEncodeError)


def _describe_rejection(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        return f"Postgres cannot store this event: {error}"[:300]
    return f"this event could not be taken in: {error!r}"[:300]


_DELETE_CARTS = "DELETE FROM cart WHERE profile_id = ANY($1)"


@dataclass(slots=True)
class EventBatch:
    """The new events of one transaction and everybody they are about, under lock."""

    events: Sequence[StoredEvent]
    resolution: IdentityResolution
    profiles: dict[UUID, ProfileState]
    late_histories: dict[UUID, list[tuple[StoredEvent, bool]]] = field(default_factory=dict)
    """People to whom something happened before what their carts were folded from → all that is known."""
    previous_zones: dict[UUID, Any] = field(default_factory=dict)
    """What each person's zone was before."""
    changes: UnitOfWork = field(default_factory=UnitOfWork)
    results: dict[int, ApplyResult] = field(default_factory=dict)
    consent_changed: set[UUID] = field(default_factory=set)
    """People whose word on consent is another by now."""
    shared_purchase_carts: dict[tuple[int, UUID], tuple[str, ...]] = field(default_factory=dict)
    """(event, somebody else whom it names) → their carts that it changed."""

    @classmethod
    async def load(
        cls,
        connection: Any,
        events: Sequence[StoredEvent],
        resolved: IdentityResolution,
        rule_for: SuppressionRuleLookup,
    ) -> "EventBatch":
        """Read the people; a statement of its own, after the locks. ``rule_of``: how purchases suppress."""
        people = {
            *resolved.owners.values(),
            *(who for others in resolved.other_profiles.values() for who in others),
        }
        events = await resolve_order_lines(connection, events, rule_for)
        telling = cls(events, resolved, await load_profile_states(connection, sorted(people)))
        telling.previous_zones = {who: person.timezone_sources for who, person in telling.profiles.items()}
        if late := telling._find_late_profiles():
            telling.late_histories = await replay.load_history(connection, late)
        return telling

    def _find_late_profiles(self) -> list[UUID]:
        found: dict[UUID, None] = {}
        for position, taken in enumerate(self.events):
            if taken.incoming.type not in ORDER_SENSITIVE_EVENT_TYPES:
                continue
            for who in self._concerned_profiles(position):
                last = self.profiles[who].carts_sort_key
                if last is not None and taken.sort_key < last:
                    found[who] = None
        return list(found)

    def _concerned_profiles(self, position: int) -> tuple[UUID, ...]:
        mine = self.resolution.owners.get(position)
        return () if mine is None else (mine, *self.resolution.other_profiles.get(position, ()))

    def apply(self) -> None:
        """Apply every event to its person, in the order in which they happened."""
        for who, past in self.late_histories.items():
            person = self.profiles[who]
            person.carts, person.carts_sort_key = {}, None
            person.is_dirty = True
            # Past events are folded for the carts alone; what else they did is done.
            self._replay_with_history(person, past)
        for position in sorted(range(len(self.events)), key=lambda one: self.events[one].sort_key):
            for who in self._concerned_profiles(position):
                if who not in self.late_histories:
                    self._apply_one(position, self.profiles[who])
        for who in self.late_histories:
            person = self.profiles[who]
            for place in [place for place in self.changes.carts if place[0] == who]:
                del self.changes.carts[place]
            for cart in person.carts.values():
                self.changes.save_cart(person, cart)

    def _replay_with_history(self, person: ProfileState, history: list[tuple[StoredEvent, bool]]) -> None:
        """Past and new events of one person in one line."""
        news = {
            position: taken
            for position, taken in enumerate(self.events)
            if person.profile_id in self._concerned_profiles(position)
        }
        line: list[tuple[EventSortKey, tuple[StoredEvent, bool] | int]] = [
            *((pair[0].sort_key, pair) for pair in history),
            *((taken.sort_key, position) for position, taken in news.items()),
        ]
        for _, one in sorted(line, key=lambda entry: entry[0]):
            if isinstance(one, int):
                self._apply_one(one, person)
            else:
                replay.replay_events(person, [one])

    def _apply_one(self, position: int, person: ProfileState) -> None:
        taken = self.events[position]
        if person.profile_id == self.resolution.owners[position]:
            self.results[position] = apply_event(person, taken, self.changes)
            return
        # Somebody else whom it names, too: what was bought is not promoted to them either, and a no is a no.
        if taken.incoming.type == ORDER_COMPLETED:
            carts = orders.apply_shared_purchase(person, taken, self.changes)
            self.shared_purchase_carts[position, person.profile_id] = carts
        if declarations.apply_withdrawals(person, taken, self.changes):
            self.consent_changed.add(person.profile_id)

    def route(self, position: int, matches: tuple[RouteMatch, ...], calendar: StackClock) -> None:
        """Tell an event to the runs that it concerns, and start those that it starts."""
        taken = self.events[position]
        if position not in self.results:
            return
        person = self.profiles[self.resolution.owners[position]]
        folded = (
            self.results[position].with_renamed_carts(person.renamed_carts)
            if person.profile_id in self.late_histories
            else None
        )
        folded = folded or self.results[position]
        whose = {"profile_id": person.profile_id, "cart_id": folded.cart_id}
        self.changes.events[taken.event_id] |= whose
        route_event(person, taken, folded, matches, calendar, self.changes)
        for who in self.resolution.other_profiles.get(position, ()):
            carts = self.shared_purchase_carts.get((position, who), ())
            if carts:
                route_event(
                    self.profiles[who],
                    taken,
                    ApplyResult(None, carts),
                    matches,
                    calendar,
                    self.changes,
                    may_start=False,
                )

    async def write(self, connection: Any, at: datetime) -> int:
        """Write all of it, and work out what follows from it; how many messages a late purchase overtook."""
        if self.late_histories:
            await connection.execute(_DELETE_CARTS, sorted(self.late_histories))
        await self.changes.write(connection, self.profiles)
        orders = [
            position for position, taken in enumerate(self.events) if taken.incoming.type == ORDER_COMPLETED
        ]
        buyers = dict.fromkeys(who for position in orders for who in self._concerned_profiles(position))
        if shown := [who for who in buyers if self.profiles[who].audiences]:
            await leave_audiences(connection, shown, at)
        overtaken = await flag_sent_before_late_purchase(
            connection, [self.events[position] for position in orders], buyers
        )
        self.consent_changed |= {row["profile_id"] for row in self.changes.inserts["consent"]}
        # Whether a word counts hangs on when and by whom identifiers were linked, too; and it counts for a
        # new address. Somebody who has never said anything has nothing to weigh.
        news = {
            who
            for who in self.resolution.with_new_identifiers
            | self.resolution.merge_result.profiles_with_changed_identifiers
            if who not in self.profiles or self.profiles[who].has_consents
        }
        await effective.refresh_consents(connection, self.consent_changed | news, at)
        due = {
            self.resolution.owners[position]
            for position, taken in enumerate(self.events)
            if position in self.resolution.owners and taken.incoming.type in computed.REFRESHING_EVENT_TYPES
        }
        due |= {
            who
            for who, person in self.profiles.items()
            if person.has_preferred_hour and person.timezone_sources != self.previous_zones[who]
        }
        await computed.refresh_computed_traits(connection, sorted(due))
        return overtaken
