"""Ingest: one Postgres transaction for events, profiles, facts, runs and outbox rows."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import structlog

from profiles.commerce import orders
from profiles.commerce.catalog import is_product_update, upsert_products
from profiles.commerce.orders import (
    SuppressionRuleLookup,
    UniformSuppressionRule,
)
from profiles.consent import declarations
from profiles.db.database import Database
from profiles.db.savepoints import is_invalid_data, one_by_one
from profiles.error_description import describe_error
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, DEVICE_TYPES, identifier_key
from profiles.identity.link_limit import LINK_PROBLEM, FullComponents, LinkLimitReached
from profiles.identity.quarantine import QuarantineCache, log_quarantines
from profiles.ingest.event_batch import EventBatch
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
from profiles.merging.rebuild import reapply_refunds
from profiles.projection.apply import own_cart_id
from profiles.runs.routing import Route
from profiles.state.clock import StackClock
from profiles.state.event_records import IncomingEvent, StoredEvent
from profiles.state.unstarted_runs import DEFAULT_MAX_UNSTARTED_RUNS, UnstartedRuns

INTERNAL_SOURCE_PREFIX = "waypost/"
"""Prefix of the sources of Waypost's own events."""

MAX_REFUSALS = 20
"""Events of one request that Postgres may refuse before the rest of its unverified ones are not tried."""

_SLICE_S = 0.005
"""Seconds of parsing after which other requests get their turn."""

BatchResult = tuple[list[IngestResult], list[IdentityResolution]]
"""The results of events, and how their identities were resolved."""

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
