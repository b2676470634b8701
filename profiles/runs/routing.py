"""Routing: turns one applied event into outbox rows, signals to live runs and starts of new ones. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from profiles.db.sql import new_id
from profiles.events import END_RUN, BackInStock, Event, OrderEvent, OutOfStock, PriceDropped
from profiles.redaction import contains_email_or_phone, redact_value
from profiles.runs import unverified_events
from profiles.runs.payload_bounds import bounded_cart, bounded_fields
from profiles.runs.unverified_events import INTERNAL_EVENTS
from profiles.state.clock import StackClock
from profiles.state.event_records import StoredEvent
from profiles.state.profile_state import LiveRun, ProfileState
from profiles.state.unit_of_work import OutboxKind, UnitOfWork

KEY_PERSON = "person"
"""``keyed_by`` value: one live run per profile."""

KEY_CART = "cart_id"
"""``keyed_by`` value that ingest may fill in: the event's own cart, else the profile's open cart."""

ON_MERGE_END = "end"
"""``on_merge`` value: a run ends at once, as ``merged``, when it gets another profile by a merge."""

MAX_KEY_LENGTH = 200

MAX_WORKFLOW_ID_BYTES = 255
"""Temporal's limit of an id in ``docker-compose.yml``, where it refuses a longer one. Elsewhere 1,000."""

MAX_SIGNALS_PER_RUN = 1000
"""Signals per run; the run ends as ``overflow`` at this number."""

MAX_SILENT_RUNS = 10
"""Runs of a key that end within ``SILENT_RUNS_PERIOD`` without a message and use up no entry. Further ones
do, so that no sender and no story makes runs end and start for ever."""

SILENT_RUNS_PERIOD = timedelta(days=1)

MAX_LIVE_RUNS = 100
"""Live runs of a profile beyond which an unverified event starts no other. Each event reads them all."""

FEED_EVENTS = (PriceDropped, BackInStock, OutOfStock)
"""Statements of the shop about a product, which go to everybody with that product in the cart."""

MAX_EARLIER_SIGNALS = 20
"""Events that came before their run and are signalled to it after its start: the last ones."""

_UNVERIFIED_INTERNAL_EVENT = "only Waypost itself states this of a person; it has no effect"

_UNVERIFIED_FEED_EVENT = (
    "only a sender with a server key may state this of a product; send Product Updated with one"
)

_ENVELOPE_FIELDS = {"id", "time", "at", "channel", "cart", "cart_id"}

_UNSAFE_WORKFLOW_ID_CHARS = re.compile(r"[/\s]+")


class Route(Protocol):
    """What routing reads of a journey. Journey definitions implement it."""

    @property
    def name(self) -> str:
        """The journey's registered name."""

    @property
    def start_names(self) -> frozenset[str]:
        """Names of the events that may start a run."""

    @property
    def listen_names(self) -> frozenset[str]:
        """Names of all events that are signalled to the journey's runs."""

    @property
    def key_property(self) -> str | None:
        """``KEY_PERSON``, ``KEY_CART``, another property's name, or None: ``key_of`` computes it."""

    @property
    def on_merge(self) -> str:
        """What a run does when it gets another profile: "continue" or ``ON_MERGE_END``. Stored."""

    def key_of(self, event: Event) -> str | None:
        """Return the run's key for this event; None: the event has none. May run author code."""

    def admits(self, event: Event) -> bool:
        """Return whether this event may start a run. May run author code."""

    @property
    def counts_every_run(self) -> bool:
        """Whether a run that sent nothing uses up an entry as well."""

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Return whether one more run of a key may start, after runs with these entries.

        They are the entries of runs that are live or sent something.
        """

    @property
    def ending_names(self) -> frozenset[str]:
        """Names of the events that may end a run: goals and exits."""

    def ended_by(self, event: Event) -> str | None:
        """Return the outcome with which this event ends a run without a cart. May run author code."""


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """A journey that an event concerns, found before the transaction."""

    route: Route
    key: str | None
    starts: bool


@dataclass(frozen=True, slots=True)
class RouteMatches:
    """All journeys that an event concerns, and the problems in finding them."""

    matches: tuple[RouteMatch, ...] = ()
    problems: tuple[dict[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What routing needs to know of an applied event."""

    cart_id: str | None
    """The cart that the event is about: its own, or the profile's open one."""
    changed_carts: tuple[str, ...]

    def with_renamed_carts(self, renamed: Mapping[str, str]) -> "ApplyResult":
        """Return the result with the current ids of renamed carts."""
        cart_id = renamed.get(self.cart_id, self.cart_id) if self.cart_id else None
        return ApplyResult(cart_id, tuple(renamed.get(cart, cart) for cart in self.changed_carts))


def match_routes(event: Event, routes: Sequence[Route], *, filtered: bool = True) -> RouteMatches:
    """Return the journeys that one event concerns. A journey that raises is skipped and recorded.

    An unverified event of ``FEED_EVENTS`` or ``INTERNAL_EVENTS`` concerns none.

    ``filtered``: False admits every event, without asking the journey's filter.
    """
    matches: list[RouteMatch] = []
    problems: list[dict[str, str]] = []
    if isinstance(event, FEED_EVENTS) and not event.content_verified:
        return RouteMatches((), ({"journey": "", "detail": _UNVERIFIED_FEED_EVENT},))
    if isinstance(event, INTERNAL_EVENTS) and not event.content_verified:
        return RouteMatches((), ({"journey": "", "detail": _UNVERIFIED_INTERNAL_EVENT},))
    for route in routes:
        if event.event_name not in route.listen_names:
            continue
        try:
            key = None if route.key_property in (KEY_PERSON, KEY_CART) else route.key_of(event)
            starts = event.event_name in route.start_names and (not filtered or route.admits(event))
        except Exception as error:
            # Author code: whatever it raises, the event must not be lost.
            problems.append({"journey": route.name, "detail": f"keyed_by or filter raised {error!r}"[:500]})
            continue
        if key is not None and (fault := key_fault(key)):
            problems.append({"journey": route.name, "detail": fault})
            continue
        matches.append(RouteMatch(route, key, starts))
    return RouteMatches(tuple(matches), tuple(problems))


def key_fault(key: str) -> str | None:
    """Return why a value may not be a run's key, or None. Keys are written into workflow ids."""
    if not key or len(key) > MAX_KEY_LENGTH:
        return f"key is {len(key)} characters long; 1 to {MAX_KEY_LENGTH} are allowed"
    if not key.isprintable():
        return "key has characters that do not print"
    if contains_email_or_phone(key):
        return "key reads as an email address or a phone number; histories carry ids, not people"
    return None


def route_event(
    person: ProfileState,
    stored: StoredEvent,
    applied: ApplyResult,
    matches: tuple[RouteMatch, ...],
    calendar: StackClock,
    changes: UnitOfWork,
    *,
    may_start: bool = True,
    earlier: "EarlierEvents | None" = None,
    others: Sequence[ProfileState] = (),
) -> None:
    """Route one event of one profile. Starts at most one run per journey, and none without ``may_start``.

    ``earlier``: events of the profile that came before, of which those of the same key count for a run that
    starts. ``others``: the other profiles that the event names.
    """
    if stored.event is None:
        return
    for match in matches:
        key, fault = _resolve_key(match, person, applied)
        if fault:
            changes.add_problem(stored.event_id, match.route.name, fault)
            continue
        targets = _target_runs(match, person, stored, applied, key)
        starts = may_start and match.starts and calendar.may_start_run(stored.incoming.time)
        if starts and (superseded := [run for run in targets if _supersedes(run, stored, match, changes)]):
            targets = [run for run in targets if run not in superseded]
            person.runs = [run for run in person.runs if run not in superseded]
        for run in targets:
            _signal_if_allowed(run, person, stored, applied, match, changes)
        if starts and key and all(run.key != key for run in targets):
            start = _Start(person, stored, applied, match, key, calendar)
            if start.is_allowed(earlier, others, changes):
                start.add(earlier, changes)


def workflow_id(journey: str, key: str, run_id: UUID) -> str:
    """Return Temporal's workflow id of a run: journey, key and run id.

    A key with which the id would be longer than ``MAX_WORKFLOW_ID_BYTES`` is cut; the run id makes it unique.
    """
    left = MAX_WORKFLOW_ID_BYTES - len(f"{journey}//{run_id}".encode())
    shown = _UNSAFE_WORKFLOW_ID_CHARS.sub("_", key).encode("utf-8", "replace")[: max(left, 0)]
    return f"{journey}/{shown.decode('utf-8', 'ignore')}/{run_id}"


def event_payload(
    stored: StoredEvent, person: ProfileState, cart_id: str | None, *, original_key: str | None = None
) -> dict[str, Any]:
    """Return what a journey sees of an event: its declared fields and the cart's lines, no personal data.

    Bounded by ``profiles.runs.payload_bounds``, whatever the event and the cart hold.
    ``original_key``: the cart's id as the story knows it.
    """
    cart = person.carts.get(cart_id) if cart_id else None
    payload: dict[str, Any] = {}
    if stored.event:
        declared = stored.event.model_dump(mode="json", exclude_none=True, exclude=_ENVELOPE_FIELDS)
        payload = bounded_fields(declared)
    payload |= {"id": str(stored.event_id), "time": stored.incoming.time.isoformat()}
    payload |= {"at": stored.at.isoformat(), "channel": stored.incoming.channel}
    if cart_id:
        payload["cart_id"] = redact_value(original_key or cart_id)
    if cart is not None:
        payload["cart"] = bounded_cart(cart.lines)
    return {name: value for name, value in payload.items() if value is not None}


def _resolve_key(
    match: RouteMatch, person: ProfileState, applied: ApplyResult
) -> tuple[str | None, str | None]:
    if match.route.key_property == KEY_PERSON:
        return str(person.profile_id), None
    if match.route.key_property == KEY_CART:
        return applied.cart_id, key_fault(applied.cart_id) if applied.cart_id else None
    return match.key, None


def _target_runs(
    match: RouteMatch, person: ProfileState, stored: StoredEvent, applied: ApplyResult, key: str | None
) -> list[LiveRun]:
    live = [run for run in person.runs if run.journey == match.route.name]
    if stored.message_ref is not None:
        # An event of a message concerns the run that sent it.
        return [run for run in live if run.run_id == stored.message_ref.run_id]
    if match.route.key_property == KEY_PERSON:
        return live
    if match.route.key_property == KEY_CART and isinstance(stored.event, OrderEvent):
        return [run for run in live if run.key in (*applied.changed_carts, key)]
    return live if key is None else [run for run in live if run.key == key]


def _supersedes(run: LiveRun, stored: StoredEvent, match: RouteMatch, changes: UnitOfWork) -> bool:
    """Return whether a verified entry starts a run in the place of one that an unverified entry started.

    It does if both have one key and are about something else. Else the run counts as verified from now on.
    """
    if run.verified or not stored.incoming.verified or stored.event is None:
        return False
    has_own_key = match.key is not None and match.key == run.key
    digest = run.entry_digest
    if has_own_key and digest is not None and digest != unverified_events.entry_digest(stored.event):
        changes.supersede_run(run.run_id)
        return True
    run.verified = True
    changes.newly_verified_runs.add(run.run_id)
    return False


def _signal_if_allowed(
    run: LiveRun,
    person: ProfileState,
    stored: StoredEvent,
    applied: ApplyResult,
    match: RouteMatch,
    changes: UnitOfWork,
) -> None:
    has_key = match.key is not None and match.key == run.key
    fault = unverified_events.why_left_out(stored, match.route, has_key=has_key, run_is_verified=run.verified)
    if fault is not None:
        changes.leave_out(stored.event_id, match.route.name, "unverified", fault)
    elif unverified_events.is_over_bound(stored, run):
        fault = f"the run has received {run.unverified_signals} unverified events, and receives no more"
        changes.leave_out(stored.event_id, match.route.name, "too_many", fault)
    else:
        _add_signal(run, person, stored, applied, match, changes)


def _add_signal(
    run: LiveRun,
    person: ProfileState,
    stored: StoredEvent,
    applied: ApplyResult,
    match: RouteMatch,
    changes: UnitOfWork,
) -> None:
    run.signals += 1
    changes.signal_counts[run.run_id] = run.signals
    if not stored.incoming.verified:
        run.unverified_signals += 1
        changes.unverified_signal_counts[run.run_id] = run.unverified_signals
    if run.signals > MAX_SIGNALS_PER_RUN:
        return
    name, trigger = stored.incoming.type, match.starts
    if run.signals == MAX_SIGNALS_PER_RUN:
        name, trigger = END_RUN, False
        payload = {"outcome": "overflow", "reason": f"{MAX_SIGNALS_PER_RUN} events reached this run"}
    elif match.route.key_property == KEY_CART:
        payload = event_payload(stored, person, run.key, original_key=run.original_key)
    else:
        payload = event_payload(stored, person, applied.cart_id)
    changes.add_outbox_row(
        OutboxKind.SIGNAL, run.run_id, name, payload, event_id=stored.event_id, trigger=trigger
    )


@dataclass(frozen=True, slots=True)
class _Start:
    """The start of a run by an event, for a key that has no live run."""

    person: ProfileState
    stored: StoredEvent
    applied: ApplyResult
    match: RouteMatch
    key: str
    calendar: StackClock

    def is_allowed(
        self, earlier: "EarlierEvents | None", others: Sequence[ProfileState], changes: UnitOfWork
    ) -> bool:
        """Return whether the run may start. If not, record why, unless it is the journey's re-entry rule."""
        journey, verified = self.match.route.name, self.stored.incoming.verified
        if not verified and len(self.person.runs) >= MAX_LIVE_RUNS:
            fault = f"the profile has {MAX_LIVE_RUNS} live runs; none was started"
            changes.add_problem(self.stored.event_id, journey, fault)
            return False
        entries = self.person.entries_against(
            journey, self.key, verified=verified, with_silent=self.match.route.counts_every_run
        )
        if not self.match.route.may_enter(entries, self.stored.at):
            return False
        silent = self._recent_silent_entries(verified=verified)
        if len(silent) >= MAX_SILENT_RUNS and not self.match.route.may_enter(
            (*entries, *silent), self.stored.at
        ):
            fault = (
                f"{len(silent)} runs of this key have ended within a day without a message; none was started"
            )
            changes.add_problem(self.stored.event_id, journey, fault)
            return False
        if self.match.key is not None and any(
            other.entries_against(journey, self.key, verified=verified) for other in others
        ):
            fault = "the event also names another profile, which has a run of this key"
            changes.add_problem(self.stored.event_id, journey, fault)
            return False
        for event in self._events_of_key(earlier):
            try:
                outcome = event.event and self.match.route.ended_by(event.event)
            except Exception as error:
                # Author code: whatever it raises, the event must not be lost.
                changes.add_problem(self.stored.event_id, journey, f"an ending raised {error!r}"[:500])
                continue
            if outcome:
                came = f"{event.incoming.type} came before it, at {event.at.isoformat(timespec='seconds')}"
                fault = f"no run was started, as it would be over at once ({outcome}): {came}"
                changes.add_problem(self.stored.event_id, journey, fault)
                return False
        return True

    def _recent_silent_entries(self, *, verified: bool) -> tuple[datetime, ...]:
        """Return the entries of the last day of which the run sent nothing; see ``MAX_SILENT_RUNS``."""
        place = (self.match.route.name, self.key)
        unverified = self.person.unverified_entries.get(place, []) if verified else []
        return tuple(
            entry
            for entry in self.person.silent_entries.get(place, [])
            if entry > self.stored.at - SILENT_RUNS_PERIOD and entry not in unverified
        )

    def add(self, earlier: "EarlierEvents | None", changes: UnitOfWork) -> None:
        """Start the run, and signal to it the events of its key that came before."""
        person, stored, key = self.person, self.stored, self.key
        journey, verified = self.match.route.name, self.stored.incoming.verified
        before = self._events_of_key(earlier)[-MAX_EARLIER_SIGNALS:]
        run_id = new_id()
        offset = self.calendar.clock_offset_s(stored.incoming.time)
        run: dict[str, Any] = {"run_id": run_id, "journey": journey, "key": key, "clock_offset_s": offset}
        start = {**run, "customer_id": person.profile_id}
        run |= {"profile_id": person.profile_id, "workflow_id": workflow_id(journey, key, run_id)}
        run |= {
            "entry_event": stored.event_id,
            "entered_at": stored.at,
            "on_merge": self.match.route.on_merge,
        }
        # A verified event takes the place of an unverified one only, so only that needs a digest.
        digest = None if verified or not stored.event else unverified_events.entry_digest(stored.event)
        run |= {"verified": verified, "entry_digest": digest}
        changes.new_runs.append(run)
        payload = {"start": start, "event": event_payload(stored, person, self.applied.cart_id)}
        changes.add_outbox_row(
            OutboxKind.START, run_id, stored.incoming.type, payload, event_id=stored.event_id, trigger=True
        )
        person.run_entries.setdefault((journey, key), []).append(stored.at)
        if not verified:
            person.unverified_entries.setdefault((journey, key), []).append(stored.at)
        live = LiveRun(run_id, journey, key, stored.at, clock_offset_s=offset, original_key=key)
        live.verified, live.entry_digest = verified, digest
        person.runs.append(live)
        match = RouteMatch(self.match.route, key, starts=False)
        for event in before:
            _add_signal(live, person, event, ApplyResult(None, ()), match, changes)

    def _events_of_key(self, earlier: "EarlierEvents | None") -> list[StoredEvent]:
        """Return the earlier events that are about this run: of its key, as trusted as it is, and no starts.

        Whatever the clocks say, an order comes before its cancellation and its delivery. Any other event, and
        one of a key that had a run before, belongs to this run only if it happened after the entry.
        """
        if self.match.key is None or earlier is None:
            return []
        route, incoming = self.match.route, self.stored.incoming
        is_first = not self.person.entries_against(route.name, self.key, verified=incoming.verified)
        return [
            event
            for event in earlier.of_key(route, self.key)
            if (event.incoming.time >= incoming.time or (is_first and isinstance(event.event, OrderEvent)))
            and not unverified_events.why_left_out(
                event, route, has_key=True, run_is_verified=incoming.verified
            )
        ]


class EarlierEvents:
    """The events of one profile that came before an event, by the keys of runs that they name."""

    def __init__(self, events: Iterable[StoredEvent] = ()) -> None:
        """Create from events in the order of their arrival."""
        self._events = list(events)
        self._by_key: dict[str, tuple[int, dict[str, list[StoredEvent]]]] = {}

    def append(self, event: StoredEvent) -> None:
        """Add the event that came last."""
        self._events.append(event)

    def of_key(self, route: Route, key: str) -> list[StoredEvent]:
        """Return the events that name a run's key and start no run. Asks the journey once for each event."""
        read, found = self._by_key.get(route.name, (0, {}))
        for event in self._events[read:]:
            if event.event is not None and event.incoming.type not in route.start_names:
                for match in match_routes(event.event, (route,)).matches:
                    if match.key is not None:
                        found.setdefault(match.key, []).append(event)
        self._by_key[route.name] = len(self._events), found
        return found.get(key, [])
