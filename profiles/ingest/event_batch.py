"""The new events of one transaction and the profiles that they concern: read, changed, routed, written."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

from profiles.commerce import orders
from profiles.commerce.catalog import is_product_update
from profiles.commerce.orders import (
    SuppressionRuleLookup,
    resolve_order_lines,
)
from profiles.commerce.suppressions import flag_sent_before_late_purchase
from profiles.consent import declarations, effective, topics
from profiles.db.savepoints import is_invalid_data
from profiles.ingest.resolution import (
    IdentityResolution,
)
from profiles.ingest.unconfirmed_links import find_unconfirmed_links
from profiles.merging.rebuild import reapply_refunds
from profiles.messaging.audiences import leave_audiences
from profiles.projection import computed, replay
from profiles.projection.apply import ORDER_SENSITIVE_EVENT_TYPES, apply_event
from profiles.runs.earlier_events import earlier_event_types, load_earlier_events
from profiles.runs.routing import ApplyResult, EarlierEvents, RouteMatch, route_event
from profiles.state.bounds import Problem
from profiles.state.clock import StackClock
from profiles.state.event_records import EventSortKey, StoredEvent
from profiles.state.profile_state import ProfileState, load_profile_states
from profiles.state.unit_of_work import UnitOfWork

# Of a profile with events before the window, carts that are closed stay as they are.
_DELETE_CARTS = (
    "DELETE FROM cart WHERE profile_id = ANY($1) AND (closed_at IS NULL OR profile_id = ANY($2::uuid[]))"
)


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
