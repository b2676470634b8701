"""Ingest: one Postgres transaction for events, profiles, facts, runs and outbox rows."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

import structlog

from profiles.commerce import orders
from profiles.commerce.catalog import is_product_update, upsert_products
from profiles.commerce.orders import (
    SuppressionRuleLookup,
    UniformSuppressionRule,
    resolve_order_lines,
)
from profiles.commerce.suppressions import flag_sent_before_late_purchase
from profiles.consent import declarations, effective, topics
from profiles.db.database import Database
from profiles.db.savepoints import is_invalid_data, one_by_one
from profiles.error_description import describe_error
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, DEVICE_TYPES, identifier_key
from profiles.identity.link_limit import LINK_PROBLEM, FullComponents, LinkLimitReached
from profiles.identity.quarantine import QuarantineCache, log_quarantines
from profiles.ingest.event_store import (
    SUPERSEDING_PROBLEM,
    TOO_MANY_REFUSED,
    IngestResult,
    IngestStatus,
    InsertedEvents,
    ParsedEvent,
    deduplicate,
    insert_events,
    load_messages,
    message_id_from,
    prepare_event,
    rejected,
    to_results,
    with_replayed,
    with_unconfirmed,
)
from profiles.ingest.resolution import (
    EventIdentifiers,
    IdentityResolution,
    refuse_links,
    resolve_identities,
)
from profiles.ingest.unconfirmed_links import find_unconfirmed_links
from profiles.merging.rebuild import reapply_refunds
from profiles.messaging.audiences import leave_audiences
from profiles.projection import computed, replay
from profiles.projection.apply import ORDER_SENSITIVE_EVENT_TYPES, apply_event, own_cart_id
from profiles.runs.earlier_events import earlier_event_types, load_earlier_events
from profiles.runs.routing import ApplyResult, EarlierEvents, Route, RouteMatch, route_event
from profiles.state.bounds import Problem
from profiles.state.clock import StackClock
from profiles.state.event_records import EventSortKey, IncomingEvent, StoredEvent
from profiles.state.profile_state import ProfileState, load_profile_states
from profiles.state.unit_of_work import UnitOfWork
from profiles.state.unstarted_runs import DEFAULT_MAX_UNSTARTED_RUNS, UnstartedRuns

INTERNAL_SOURCE_PREFIX = "waypost/"
"""Prefix of the sources of Waypost's own events."""

MAX_REFUSALS = 20
"""Events of one request that Postgres may refuse before the rest of its unverified ones are not tried."""

_SLICE_S = 0.005
"""Seconds of parsing after which other requests get their turn."""

BatchResult = tuple[list[IngestResult], list[IdentityResolution]]
"""The results of events, and how their identities were resolved."""

# Of a profile with events before the window, carts that are closed stay as they are.
_DELETE_CARTS = (
    "DELETE FROM cart WHERE profile_id = ANY($1) AND (closed_at IS NULL OR profile_id = ANY($2::uuid[]))"
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Settings of ingest."""

    local: bool = False
    """A local stack, where the clock may be moved."""
    suppression_window: timedelta | None = timedelta(days=365)
    """How long a purchase suppresses its item; None: permanently."""
    suppression_rule_for: SuppressionRuleLookup | None = None
    """The shop's rule for one item; None: ``suppression_window``, for the product."""
    max_unstarted_runs: int = DEFAULT_MAX_UNSTARTED_RUNS
    """Runs of unverified events that may wait for their start; beyond it they start none. 0: no bound."""
    on_left_out: Callable[[str, str, int], object] | None = None
    """Called after COMMIT for accepted events of which a part had no effect: the label of the key, the code,
    and how often. Codes: ``superseded`` (a more trusted event took its place; the key is that one's), ``run``
    (too many runs wait), ``link`` (unverified events linked too many identifiers with one that it names),
    ``unverified`` or ``too_many`` (an unverified event did not reach a run), ``lines`` (lines of an
    unverified order suppress nothing), else the table of a row that Postgres refused."""
    on_address_report: Callable[[str, str, int], object] | None = None
    """Called after COMMIT for reports about addresses: the channel, the kind (a ``BounceKind``), how many."""
    on_late_purchase: Callable[[int], object] | None = None
    """Called after COMMIT with the number of messages that were sent before a late purchase arrived."""

    accept_page_devices: bool = False
    """Whether an unverified event may join a device to a customer, for carts, views and purchases."""
    on_unconfirmed_link: Callable[[int], object] | None = None
    """Called after COMMIT with the number of identifiers that pages named beside customers of the shop's
    server, and that were not linked with them."""

    @property
    def rule_for(self) -> SuppressionRuleLookup:
        """Return the function that returns, for one item, how long and how widely its purchase suppresses."""
        plain = UniformSuppressionRule(self.suppression_window)
        return self.suppression_rule_for or (lambda product, sku, category, group: plain)


class Ingest:
    """Ingest events. The only way by which events are stored. Idempotent on (source, id)."""

    _filtered = True

    def __init__(
        self, database: Database, routes: Sequence[Route], rules: IngestConfig | None = None
    ) -> None:
        self._database = database
        self._routes = tuple(routes)
        self._rules = rules or IngestConfig()
        self._quarantine_cache = QuarantineCache()
        self._full_components = FullComponents()
        self._unstarted_runs = UnstartedRuns(self._rules.max_unstarted_runs)

    async def __call__(self, events: Sequence[IncomingEvent]) -> list[IngestResult]:
        """Ingest events in one transaction; results keep the order given. Returns only after COMMIT.

        If Postgres refuses a row, the transaction is run again with a subtransaction for each row. An event
        that cannot be stored is then rejected. One of which a derived row cannot be stored is accepted
        without that row, with a problem. Where even that fails, each event is ingested in a transaction of
        its own. Raises for all other errors, such as an unreachable Postgres. What is written
        then, if anything, is a duplicate when it is sent again.
        """
        prepared: list[ParsedEvent] = []
        results: dict[int, IngestResult] = {}
        positions = []
        slice_end = time.monotonic() + _SLICE_S
        for position, event in enumerate(events):
            if time.monotonic() > slice_end:
                # Gives way, so that other requests do not wait for a large batch.
                await asyncio.sleep(0)
                slice_end = time.monotonic() + _SLICE_S
            try:
                prepared.append(prepare_event(event, self._routes, filtered=self._filtered))
                positions.append(position)
            except Exception as error:
                if not is_invalid_data(error):
                    raise
                results[position] = _refused(event, error)
        results |= zip(positions, await self._store(prepared), strict=True)
        return [results[position] for position in range(len(events))]

    async def _store(self, prepared: Sequence[ParsedEvent]) -> list[IngestResult]:
        """Store prepared events: together, else row by row, else event by event."""
        attempts: tuple[Callable[[], Awaitable[BatchResult]], ...] = (
            lambda: self._run(self._ingest_batch, prepared),
            lambda: self._run(self._ingest_row_by_row, prepared),
            lambda: self._ingest_event_by_event(prepared),
        )
        for attempt in attempts:
            try:
                results, resolutions = await attempt()
            except Exception as error:
                if attempt is attempts[-1] or not is_invalid_data(error):
                    raise
                log.warning(
                    "batch is written again in parts", events=len(prepared), error=describe_error(error)
                )
            else:
                break
        for resolved in resolutions:
            # The quarantines that a transaction found apply once it is committed.
            self._quarantine_cache.add(resolved.quarantined, resolved.verified_keys)
            log_quarantines(resolved.merge_result.new_quarantines)
            if self._rules.on_left_out:
                for (key, code), times in resolved.left_out.items():
                    self._rules.on_left_out(key, code, times)
            if self._rules.on_address_report:
                for (channel, kind), times in resolved.address_reports.items():
                    self._rules.on_address_report(channel, kind, times)
            if self._rules.on_unconfirmed_link and resolved.unconfirmed_links:
                self._rules.on_unconfirmed_link(resolved.unconfirmed_links)
            if self._rules.on_late_purchase and resolved.overtaken_messages:
                self._rules.on_late_purchase(resolved.overtaken_messages)
        return results

    async def _run(
        self,
        ingest: Callable[[Any, Sequence[ParsedEvent]], Awaitable[BatchResult]],
        prepared: Sequence[ParsedEvent],
    ) -> BatchResult:
        """Run a transaction, again without the links that reach the limit of unverified ones.

        Terminates: after the second attempt no unverified event of the batch adds a link.
        """
        costs: Counter[UUID] = Counter()
        attempts = 0
        while True:
            try:
                results, resolutions = await self._database.run(
                    lambda connection: ingest(connection, prepared)
                )
            except LinkLimitReached as reached:
                attempts += 1
                costs.update(reached.cost_by_event)
                self._full_components.add(reached.keys)
                if attempts > 1:
                    named = chain.from_iterable(parsed.bounded.identifiers for parsed in prepared)
                    self._full_components.add(identifier_key(*pair) for pair in named)
            else:
                self._full_components.trim()
                return _with_costs(results, costs), resolutions

    async def _ingest_row_by_row(self, connection: Any, prepared: Sequence[ParsedEvent]) -> BatchResult:
        with one_by_one():
            return await self._ingest_batch(connection, prepared)

    async def _ingest_event_by_event(self, prepared: Sequence[ParsedEvent]) -> BatchResult:
        """Ingest each event in a transaction of its own, the verified ones first, then those that
        withdraw a consent.

        In one transaction the rows of later events would be inserted while the profiles of earlier ones are
        locked, which is against the order of locks. An error that is not of the data ends it, and what was
        committed before is a duplicate when it is sent again.

        After ``MAX_REFUSALS`` refused events of one request, its other unverified events are rejected.
        """
        results: dict[int, IngestResult] = {}
        resolutions: list[IdentityResolution] = []
        refusals: Counter[str] = Counter()
        for position in sorted(range(len(prepared)), key=lambda each: _storing_order(prepared[each].bounded)):
            incoming = prepared[position].incoming
            if not incoming.verified and refusals[incoming.request] >= MAX_REFUSALS:
                detail = (
                    f"{MAX_REFUSALS} events of this request could not be stored, so that this one was not "
                    "tried; correct those, and send this one again"
                )
                results[position] = rejected(incoming, detail, TOO_MANY_REFUSED)
                continue
            try:
                [results[position]], resolved = await self._run(self._ingest_row_by_row, [prepared[position]])
                resolutions += resolved
            except Exception as error:
                if not is_invalid_data(error):
                    raise
                refusals[incoming.request] += 1
                results[position] = _refused(incoming, error)
        return [results[position] for position in range(len(prepared))], resolutions

    async def _ingest_batch(self, connection: Any, prepared: Sequence[ParsedEvent]) -> BatchResult:
        if not prepared:
            return [], []
        resolutions = []
        first = deduplicate(prepared)
        inserted = await insert_events(connection, first, local=self._rules.local)
        new_events = [p for p in prepared if p.event_id in inserted.arrivals]
        results = to_results(prepared, first, inserted)
        new_events += await self._keep_withdrawals(connection, prepared, results, inserted)
        if new_events:
            now = next(iter(inserted.arrivals.values()))[1]
            calendar = StackClock(now, self._rules.local)
            resolutions.append(await self._apply_batch(connection, new_events, inserted, calendar))
        return with_unconfirmed(with_replayed(results, inserted), inserted), resolutions

    async def _keep_withdrawals(
        self,
        connection: Any,
        prepared: Sequence[ParsedEvent],
        results: Sequence[IngestResult],
        inserted: InsertedEvents,
    ) -> list[ParsedEvent]:
        """Store the withdrawals of events of which the id is taken by another content; return the new ones.

        A sender that takes the id of an event must not silence its withdrawal. It is stored as an event of
        its own, once for each content.
        """
        withdrawals = [
            prepare_event(alone, (), filtered=False)
            for parsed, result in zip(prepared, results, strict=True)
            if result.status is IngestStatus.CONFLICT and declarations.may_withdraw(parsed.bounded)
            for alone in declarations.withdrawals_alone(parsed.bounded)
        ]
        if not withdrawals:
            return []
        kept = await insert_events(connection, deduplicate(withdrawals), local=self._rules.local)
        inserted.arrivals |= kept.arrivals
        new_events = [parsed for parsed in withdrawals if parsed.event_id in kept.arrivals]
        for parsed in new_events:
            parsed.problems.append({"journey": "", "detail": _CONFLICT_PROBLEM})
        return new_events

    async def _apply_batch(
        self,
        connection: Any,
        new_events: Sequence[ParsedEvent],
        inserted: InsertedEvents,
        calendar: StackClock,
    ) -> IdentityResolution:
        messages = await load_messages(connection, new_events)
        stored_events = []
        for p in new_events:
            at, message = inserted.arrivals[p.event_id][0], messages.get(message_id_from(p.incoming))
            stored_events.append(StoredEvent(p.bounded, p.event_id, at, p.event, message))
        unnamed = await upsert_products(connection, stored_events)
        named = [self._to_event_identifiers(event) for event in stored_events]
        named = await refuse_links(connection, named, self._full_components)
        resolved = await resolve_identities(
            connection, named, await inserted.load_superseded_owners(connection)
        )
        # A new statement after the locks sees what was committed while they were waited for.
        outdated = await inserted.load_superseded_owners(connection)
        batch = await EventBatch.load(
            connection, stored_events, resolved, self._rules.rule_for, _run_keys(new_events), outdated
        )
        batch.changes.unstarted_runs = self._unstarted_runs
        for event, parsed in zip(stored_events, new_events, strict=True):
            row = {"event_id": event.event_id, "profile_id": None, "cart_id": None}
            batch.changes.events[event.event_id] = {**row, "problems": list(parsed.problems)}
        await batch.apply()
        inserted.replayed = batch.replayed_events()
        for position, count in resolved.identifiers_read.items():
            event_id = stored_events[position].event_id
            inserted.replayed[event_id] = inserted.replayed.get(event_id, 0) + count
        matches = [parsed.route_matches.matches for parsed in new_events]
        await batch.load_earlier_events(connection, matches, calendar)
        for position, (event, parsed) in enumerate(zip(stored_events, new_events, strict=True)):
            if position in resolved.withdrawals_alone:
                batch.changes.events[event.event_id]["profile_id"] = resolved.owners[position]
                batch.changes.add_problem(event.event_id, "", _WITHDRAWALS_ALONE_PROBLEM)
            elif not is_product_update(event) and position not in resolved.owners:
                shared = bool(resolved.other_profiles.get(position))
                problem = _OWNERS_OF_DEVICE_PROBLEM if shared else _describe_missing_owner(event)
                batch.changes.add_problem(event.event_id, "", problem)
            batch.route(position, parsed.route_matches.matches, calendar)
            batch.add_unconfirmed_links(
                position, inserted.unconfirmed, accepts_device=self._rules.accept_page_devices
            )
        for refused in (each.event_id for each in named if each.joins_none):
            batch.changes.add_problem(refused, "", LINK_PROBLEM)
            batch.changes.left_out[refused, "link"] += 1
        for event in unnamed:
            problem = "a product without product_id and sku cannot be kept"
            batch.changes.add_problem(event.event_id, "", problem)
        for event_id in inserted.superseded.values():
            batch.changes.add_problem(event_id, "", SUPERSEDING_PROBLEM)
        resolved.overtaken_messages = await batch.write(connection, calendar.now)
        resolved.address_reports = batch.changes.address_reports
        resolved.left_out = _count_left_out(stored_events, batch.changes.left_out, inserted)
        if inserted.superseded_types.intersection(orders.REVERSAL_EVENT_TYPES):
            await reapply_refunds(connection, outdated)
        return resolved

    def _to_event_identifiers(self, event: StoredEvent) -> EventIdentifiers:
        """Return the identifiers that an event names, itself and through a message it refers to."""
        incoming, message = event.incoming, event.message_ref
        origin: dict[str, Any] = {"event_id": event.event_id, "source": incoming.source, "id": incoming.id}
        origin |= {"time": event.time, "at": event.at}
        if is_product_update(event):
            return EventIdentifiers.from_event((), verified=incoming.verified, **origin)
        identifiers = list(incoming.identifiers)
        # An event of Waypost's own verifies no link between identifiers.
        is_internal = incoming.source.startswith(INTERNAL_SOURCE_PREFIX)
        verified = incoming.verified and not is_internal
        is_sweep = is_internal and incoming.type != declarations.CONSENT_CHANGED
        kind = ADDRESS_TYPE_BY_CHANNEL.get(message.channel) if message else None
        if identifiers and message and message.address and kind:
            address = (kind, message.address)
            # The message id was sent to that address only. A sender that knows it has read that message on
            # this device. Other identifiers in the event are not proven by it.
            verified = verified or all(pair == address or pair[0] in DEVICE_TYPES for pair in identifiers)
            identifiers.append(address)
        withdraws, proves = declarations.may_withdraw(incoming), declarations.proves_address(incoming)
        return EventIdentifiers.from_event(
            identifiers,
            # Such an event concerns the address itself, quarantined or not.
            quarantine_cache=None if withdraws or proves else self._quarantine_cache,
            withdraws=withdraws,
            proves_address=proves,
            profile_id=message.profile_id if message else None,
            message_id=message.message_id if message else None,
            given_emails=incoming.given_emails,
            bought_on=_devices_of_purchase(event) if verified else (),
            verified=verified,
            from_page=not incoming.verified or is_sweep,
            accepts_device=self._rules.accept_page_devices and not incoming.verified,
            **origin,
        )


_CONFLICT_PROBLEM = (
    "an event with other content has its id: only its withdrawal counts; send it with an id of its own"
)

_OWNERS_OF_DEVICE_PROBLEM = (
    "the device that it names is shared by so many that it is nobody's: it counts for no one, and what was "
    "bought is not promoted to those whom verified events name with the device; name the customer"
)

_WITHDRAWALS_ALONE_PROBLEM = (
    "what it names is quarantined, since so many profiles share it: its withdrawal counts for the addresses "
    "that it names, and nothing else of it"
)


def _refused(incoming: IncomingEvent, error: Exception) -> IngestResult:
    """Return the result of an event that Postgres refuses, without the values that Postgres quotes."""
    return rejected(incoming, f"this event could not be taken in: {describe_error(error)}")


def _with_costs(results: Sequence[IngestResult], costs: Mapping[UUID, int]) -> list[IngestResult]:
    """Return the results with what was read for events of which the link was refused."""
    return [
        replace(result, replayed_events=result.replayed_events + costs[result.event_id])
        if result.event_id is not None and result.event_id in costs
        else result
        for result in results
    ]


def _devices_of_purchase(event: StoredEvent) -> tuple[str, ...]:
    """Return the devices of a purchase that names nothing else."""
    named = event.incoming.identifiers
    if not named or not orders.is_purchase(event) or any(kind not in DEVICE_TYPES for kind, _ in named):
        return ()
    return tuple(identifier_key(*pair) for pair in named)


def _storing_order(incoming: IncomingEvent) -> tuple[bool, bool]:
    return not incoming.verified, not declarations.may_withdraw(incoming)


def _count_left_out(
    events: Sequence[StoredEvent], parts: Mapping[tuple[UUID, str], int], inserted: InsertedEvents
) -> Counter[tuple[str, str]]:
    """Return (label of the key, code) → how often, as ``IngestConfig.on_left_out`` describes."""
    counts: Counter[tuple[str, str]] = Counter()
    if parts or inserted.superseded:
        keys = {event.event_id: event.incoming.sender or "" for event in events}
        for (event_id, code), times in parts.items():
            counts[keys.get(event_id, ""), code] += times
        for event_id in inserted.superseded.values():
            counts[keys.get(event_id, ""), "superseded"] += 1
    return counts


def _run_keys(new_events: Sequence[ParsedEvent]) -> set[str]:
    """Return the keys that the runs of events may have, as far as the events themselves tell."""
    keys = {match.key for p in new_events for match in p.route_matches.matches}
    keys |= {own_cart_id(p.bounded) for p in new_events if p.route_matches.matches}
    return {key for key in keys if key}


def _describe_missing_owner(event: StoredEvent) -> str:
    if event.incoming.identifiers:
        return "what it names is shared by so many that it is nobody's: it counts for no one"
    return "it names nobody: no identifier, and no message of ours"


@dataclass(slots=True)
class EventBatch:
    """The new events of one transaction and all profiles that they concern, under lock."""

    events: Sequence[StoredEvent]
    resolution: IdentityResolution
    profiles: dict[UUID, ProfileState]
    late_events: dict[UUID, list[StoredEvent]] = field(default_factory=dict)
    """Profile → new events that belong before others in the projection of its carts."""
    window_starts: dict[UUID, datetime | None] = field(default_factory=dict)
    """Profile with late or superseded events → since when its carts can be computed anew; None: always."""
    cart_windows: dict[UUID, replay.CartWindow] = field(default_factory=dict)
    """Profile of which the carts are computed anew → the events that they are computed from."""
    previous_zones: dict[UUID, Any] = field(default_factory=dict)
    """Profile → time zone before the events are applied."""
    changes: UnitOfWork = field(default_factory=UnitOfWork)
    results: dict[int, ApplyResult] = field(default_factory=dict)
    consent_changed: set[UUID] = field(default_factory=set)
    """Profiles with changed consent declarations."""
    shared_purchase_carts: dict[tuple[int, UUID], tuple[str, ...]] = field(default_factory=dict)
    """(event, another profile that it names) → carts of that profile that it changed."""
    earlier_events: dict[UUID, EarlierEvents] = field(default_factory=dict)
    """Profile → its events that came before a run which this batch may start."""

    def __post_init__(self) -> None:
        self.changes.untrusted_events.update(
            event.event_id
            for event in self.events
            if not event.incoming.verified or event.incoming.by_customer
        )

    @classmethod
    async def load(
        cls,
        connection: Any,
        events: Sequence[StoredEvent],
        resolved: IdentityResolution,
        rule_for: SuppressionRuleLookup,
        run_keys: Collection[str] = (),
        outdated: Sequence[UUID] = (),
    ) -> "EventBatch":
        """Read the profiles in a new statement, after the locks. ``rule_for``: how a purchase suppresses.

        ``run_keys``: keys that runs of the events may have.

        ``outdated``: profiles with a superseded event. Their carts are computed anew.
        """
        profile_ids = {*resolved.owners.values(), *chain(*resolved.other_profiles.values()), *outdated}
        events = await resolve_order_lines(connection, events, rule_for)
        # What they change depends on the refunds that are known.
        with_refunds = any(
            orders.is_purchase(e) or e.incoming.type in orders.REVERSAL_EVENT_TYPES for e in events
        )
        unverified = any(orders.is_purchase(event) and not event.incoming.verified for event in events)
        persons = await load_profile_states(
            connection, sorted(profile_ids), run_keys, refunds=with_refunds, unverified_orders=unverified
        )
        batch = cls(
            events,
            resolved,
            persons,
        )
        batch.previous_zones = {
            profile_id: person.timezone_sources for profile_id, person in batch.profiles.items()
        }
        declared = [(events[position], owner) for position, owner in resolved.owners.items()]
        batch.changes.consent_topics = await topics.load_topics(connection, declared)
        late = batch.late_events = batch._find_late_events()
        if concerned := list(dict.fromkeys([*late, *outdated])):
            batch.window_starts = await replay.load_window_starts(connection, concerned)
            replayed = {
                profile_id: since
                for profile_id, since in batch.window_starts.items()
                if profile_id in outdated
                or any(since is None or event.time > since for event in late[profile_id])
            }
            batch.cart_windows = await replay.load_cart_windows(connection, replayed)
        return batch

    def _find_late_events(self) -> dict[UUID, list[StoredEvent]]:
        """Return profile → events that belong before others in the projection of its carts."""
        late: dict[UUID, list[StoredEvent]] = {}
        for position, event in enumerate(self.events):
            if event.incoming.type not in ORDER_SENSITIVE_EVENT_TYPES:
                continue
            for profile_id in self._concerned_profiles(position):
                last = self.profiles[profile_id].carts_sort_key
                if last is not None and event.sort_key < last:
                    late.setdefault(profile_id, []).append(event)
        return late

    def _concerned_profiles(self, position: int) -> tuple[UUID, ...]:
        owner, others = self.resolution.owners.get(position), self.resolution.other_profiles.get(position, ())
        return others if owner is None else (owner, *others)

    def replayed_events(self) -> dict[UUID, int]:
        """Return event → what it cost to apply past events again: for late events, and for links that merge.

        In past events of the usual size.
        """
        counts: dict[UUID, int] = {}
        merged = self.resolution.merge_result
        if merged.cause is not None:
            counts[merged.cause] = merged.replay_cost
        for profile_id, window in self.cart_windows.items():
            for event in self.late_events.get(profile_id, ())[:1]:
                counts[event.event_id] = counts.get(event.event_id, 0) + window.cost
        return counts

    async def apply(self) -> None:
        """Apply every event to its profile, in the order of event times. Gives way to other tasks."""
        in_order = sorted(range(len(self.events)), key=lambda index: self.events[index].sort_key)
        for profile_id in self.window_starts:
            for position in in_order:
                if self._is_before_window(position, profile_id):
                    # On the carts as they are. A purchase takes out what it bought, the others change none.
                    self._apply_one(position, self.profiles[profile_id])
        for profile_id, window in self.cart_windows.items():
            person = self.profiles[profile_id]
            person.carts, person.carts_sort_key = {}, None
            person.is_dirty = True
            # Past events are applied again for the carts alone; their other effects are stored.
            self._replay_with_window(person, window)
            await asyncio.sleep(0)
        for position in in_order:
            for profile_id in self._concerned_profiles(position):
                if profile_id not in self.cart_windows and not self._is_before_window(position, profile_id):
                    self._apply_one(position, self.profiles[profile_id])
        for position in in_order:
            if orders.takes_out_on_arrival(self.events[position]):
                for profile_id in self._concerned_profiles(position):
                    if profile_id not in self.cart_windows:
                        self._take_out_on_arrival(position, self.profiles[profile_id])
        for profile_id in self.cart_windows:
            person = self.profiles[profile_id]
            for key in [key for key in self.changes.carts if key[0] == profile_id]:
                del self.changes.carts[key]
            for cart in person.carts.values():
                self.changes.save_cart(person, cart)

    def _is_before_window(self, position: int, profile_id: UUID) -> bool:
        """Return whether a new event is older than what a profile's carts are computed from."""
        since, event = self.window_starts.get(profile_id), self.events[position]
        return (
            since is not None
            and event.time <= since
            and event.incoming.type in ORDER_SENSITIVE_EVENT_TYPES
            and profile_id in self._concerned_profiles(position)
        )

    def _replay_with_window(self, person: ProfileState, window: replay.CartWindow) -> None:
        """Apply past and new events of one profile in the order of event times."""
        unwritten = UnitOfWork()
        timeline: list[tuple[EventSortKey, Callable[[], object]]] = [
            (step.key, partial(replay.replay_step, person, step, unwritten))
            for step in replay.to_steps(window.events)
        ]
        for position, event in enumerate(self.events):
            if person.profile_id not in self._concerned_profiles(position):
                continue
            if not self._is_before_window(position, person.profile_id):
                timeline.append((event.sort_key, partial(self._apply_one, position, person)))
            if orders.takes_out_on_arrival(event):
                take_out = partial(self._take_out_on_arrival, position, person)
                timeline.append((orders.arrival_key(event), take_out))
        for _, apply in sorted(timeline, key=lambda entry: entry[0]):
            apply()

    def _take_out_on_arrival(self, position: int, person: ProfileState) -> None:
        if position in self.resolution.withdrawals_alone:
            return
        event, profile_id = self.events[position], person.profile_id
        carts = orders.take_out_on_arrival(person, event, self.changes)
        if profile_id == self.resolution.owners.get(position):
            applied = self.results.get(position, ApplyResult(None, ()))
            changed = tuple(dict.fromkeys((*applied.changed_carts, *carts)))
            self.results[position] = replace(applied, changed_carts=changed)
        else:
            known = self.shared_purchase_carts.get((position, profile_id), ())
            self.shared_purchase_carts[position, profile_id] = tuple(dict.fromkeys((*known, *carts)))

    def _apply_one(self, position: int, person: ProfileState) -> None:
        event = self.events[position]
        if self._is_before_window(position, person.profile_id):
            event = replace(event, is_before_window=True)
        try:
            self._apply_to(position, event, person)
        except Exception as error:
            if not (self.changes.one_by_one and is_invalid_data(error)):
                raise
            self.results.setdefault(position, ApplyResult(None, ()))
            if all(row["event_id"] != event.event_id for row in self.changes.inserts["consent"]):
                declarations.record_withdrawals(person, event, self.changes)
            self.changes.add_problem(event.event_id, "", f"not all of it could be applied: {error!r}")

    def _apply_to(self, position: int, event: StoredEvent, person: ProfileState) -> None:
        if position in self.resolution.withdrawals_alone:
            declarations.record_withdrawals(person, event, self.changes)
            return
        if person.profile_id == self.resolution.owners.get(position):
            self.results[position] = apply_event(person, event, self.changes)
            return
        # Another profile that the event names: what was bought is not promoted to it either, and a
        # withdrawal applies to it as well.
        if orders.is_purchase(event):
            carts = orders.apply_shared_purchase(person, event, self.changes)
            self.shared_purchase_carts[position, person.profile_id] = carts
        if declarations.apply_withdrawals(person, event, self.changes):
            self.consent_changed.add(person.profile_id)

    async def load_earlier_events(
        self, connection: Any, matches: Sequence[Sequence[RouteMatch]], calendar: StackClock
    ) -> None:
        """Read the events that may have come before the runs that this batch starts, if it starts any."""
        types: dict[UUID, set[str]] = {}
        for position, event in enumerate(self.events):
            if position in self.results and position in self.resolution.owners:
                wanted = earlier_event_types(event, matches[position], calendar)
                types.setdefault(self.resolution.owners[position], set()).update(wanted)
        self.earlier_events = await load_earlier_events(connection, types)

    def route(self, position: int, matches: tuple[RouteMatch, ...], calendar: StackClock) -> None:
        """Route an event to the runs that it concerns and start those that it starts."""
        event = self.events[position]
        if position in self.results and position in self.resolution.owners:
            self._route_to_owner(position, matches, calendar)
        for other_id in self.resolution.other_profiles.get(position, ()):
            if carts := self.shared_purchase_carts.get((position, other_id)):
                other, shared = self.profiles[other_id], ApplyResult(None, carts)
                route_event(other, event, shared, matches, calendar, self.changes, may_start=False)

    def _route_to_owner(self, position: int, matches: tuple[RouteMatch, ...], calendar: StackClock) -> None:
        event = self.events[position]
        person, applied = self.profiles[self.resolution.owners[position]], self.results[position]
        if person.profile_id in self.cart_windows:
            applied = applied.with_renamed_carts(person.renamed_carts)
        assigned = {"profile_id": person.profile_id, "cart_id": applied.cart_id}
        self.changes.events[event.event_id] |= assigned
        named = self.resolution.other_profiles.get(position, ())
        earlier = self.earlier_events.setdefault(person.profile_id, EarlierEvents())
        route_event(
            person,
            event,
            applied,
            matches,
            calendar,
            self.changes,
            earlier=earlier,
            others=[self.profiles[other_id] for other_id in named],
        )
        earlier.append(event)

    def add_unconfirmed_links(
        self, position: int, reported: dict[UUID, tuple[Problem, ...]], *, accepts_device: bool
    ) -> None:
        """Record what an event of a page links with a customer, and no verified event does."""
        event = self.events[position]
        # An update of a product concerns no profile, whatever it names.
        if event.incoming.verified or event.message_ref is not None or is_product_update(event):
            return
        links = find_unconfirmed_links(
            event.incoming,
            self.resolution.profile_of,
            unusable=self.resolution.quarantined,
            linked_by_page=self.resolution.linked_by_page,
            is_verified_profile=lambda profile_id: self.profiles[profile_id].vouched,
            accepts_device=accepts_device,
        )
        if links.reported:
            reported[event.event_id] = links.reported
        for problem in links.refused:
            self.changes.add_event_problem(event.event_id, problem)
        self.resolution.unconfirmed_links += len(links.refused)

    async def write(self, connection: Any, at: datetime) -> int:
        """Write all changes and what depends on them. Returns how many messages a late purchase overtook."""
        if self.cart_windows:
            whole = [each for each, window in self.cart_windows.items() if window.since is None]
            await connection.execute(_DELETE_CARTS, sorted(self.cart_windows), whole)
        await self.changes.write(connection, self.profiles)
        if recounted := self.changes.recounted_orders:
            of_profiles, order_ids = map(set, zip(*recounted, strict=True))
            await reapply_refunds(connection, of_profiles, order_ids)
        placed = {position: event for position, event in enumerate(self.events) if orders.is_purchase(event)}
        buyers = dict.fromkeys(chain(*map(self._concerned_profiles, placed)))
        if in_audiences := [profile_id for profile_id in buyers if self.profiles[profile_id].audiences]:
            await leave_audiences(connection, in_audiences, at)
        overtaken = await flag_sent_before_late_purchase(connection, list(placed.values()), buyers)
        self.consent_changed |= {row["profile_id"] for row in self.changes.inserts["consent"]}
        # Whether a declaration counts depends also on when and by which sender identifiers were linked, and
        # it counts for a new address. A profile without declarations has nothing to recompute.
        silent = {profile_id for profile_id, person in self.profiles.items() if not person.has_consents}
        merged = self.resolution.merge_result
        relinked = self.resolution.with_new_identifiers | merged.profiles_with_changed_identifiers
        await effective.refresh_consents(connection, self.consent_changed | (relinked - silent), at)
        due = {
            owner
            for position, owner in self.resolution.owners.items()
            if self.events[position].incoming.type in computed.REFRESHING_EVENT_TYPES
        }
        for profile_id, person in self.profiles.items():
            if person.has_preferred_hour and person.timezone_sources != self.previous_zones[profile_id]:
                due.add(profile_id)
        await computed.refresh_computed_traits(connection, sorted(due))
        return overtaken
