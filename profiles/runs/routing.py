"""Turn one folded event into outbox rows: signals to live runs, and starts of new ones. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from profiles.db.sql import new_id
from profiles.events import (
    END_RUN,
    Event,
    OrderEvent,
)
from profiles.identity.identifiers import _scrub, names_a_person, scrubbed
from profiles.state.clock import Calendar
from profiles.state.event_records import Taken
from profiles.state.profile_state import LiveRun, Person
from profiles.state.unit_of_work import Changes

PERSON = "person"
"""``keyed_by`` value: one live run per person."""

CART = "cart_id"
"""``keyed_by`` value that ingest may fill in: the event's own cart, else the person's open cart."""

END = "end"
"""``on_merge`` value: a run ends at once, as ``merged``, where its person turns out to be another."""

MAX_KEY = 200

MAX_SIGNALS = 1000
"""Signals per run; the run ends as ``overflow`` at this number."""


class Route(Protocol):
    """What routing needs to know of a journey. Journey definitions have this shape."""

    @property
    def name(self) -> str:
        """The journey's registered name."""

    @property
    def start_names(self) -> frozenset[str]:
        """Names of the events that may start a run."""

    @property
    def listen_names(self) -> frozenset[str]:
        """Names of all events that are signalled to its runs."""

    @property
    def key_property(self) -> str | None:
        """PERSON, CART, another property's name, or None where ``key_of`` computes it."""

    @property
    def on_merge(self) -> str:
        """What becomes of a run whose person turns out to be another: "continue" or END. Kept with a run."""

    def key_of(self, event: Event) -> str | None:
        """The run's key for this event; None: the event carries none. May run author code."""

    def admits(self, event: Event) -> bool:
        """Whether this event may start a run. May run author code."""

    def may_enter(self, entries: Sequence[datetime], at: datetime) -> bool:
        """Whether one more run of a key may start, after runs that entered then."""


@dataclass(frozen=True, slots=True)
class Interest:
    """One journey's interest in one event, worked out before the transaction."""

    route: Route
    key: str | None
    starts: bool


@dataclass(frozen=True, slots=True)
class Interests:
    """All journeys' interest in one event, and what went wrong in finding out."""

    of: tuple[Interest, ...] = ()
    problems: tuple[dict[str, str], ...] = field(default=())


def interests(event: Event, routes: Sequence[Route]) -> Interests:
    """Ask every journey about one event. One that raises is skipped and recorded."""
    found: list[Interest] = []
    problems: list[dict[str, str]] = []
    for route in routes:
        if event.event_name not in route.listen_names:
            continue
        try:
            key = None if route.key_property in (PERSON, CART) else route.key_of(event)
            starts = event.event_name in route.start_names and route.admits(event)
        except Exception as error:
            # Author code: whatever it raises must cost nobody an event.
            problems.append({"journey": route.name, "detail": f"keyed_by or filter raised {error!r}"[:500]})
            continue
        if key is not None and (fault := key_fault(key)):
            problems.append({"journey": route.name, "detail": fault})
            continue
        found.append(Interest(route, key, starts))
    return Interests(tuple(found), tuple(problems))


def key_fault(key: str) -> str | None:
    """Why a value may not be a run's key, or None. Keys are written into workflow ids."""
    if not key or len(key) > MAX_KEY:
        return f"key is {len(key)} characters long; 1 to {MAX_KEY} are allowed"
    if not key.isprintable():
        return "key has characters that do not print"
    if names_a_person(key):
        return "key reads as an email address or a phone number; histories carry ids, not people"
    return None


@dataclass(frozen=True, slots=True)
class Folded:
    """What routing needs to know of a fold."""

    cart_id: str | None
    """The cart an event is about, its own or the person's open one."""
    changed_carts: tuple[str, ...]

    def by_now(self, renamed: Mapping[str, str]) -> "Folded":
        """With carts by the names that they have got since."""
        cart_id = renamed.get(self.cart_id, self.cart_id) if self.cart_id else None
        return Folded(cart_id, tuple(renamed.get(cart, cart) for cart in self.changed_carts))


_ENVELOPE = {"id", "time", "at", "channel", "cart", "cart_id"}

_UNSAFE = re.compile(r"[/\s]+")


def dispatch(
    person: Person,
    taken: Taken,
    folded: Folded,
    interests: tuple[Interest, ...],
    calendar: Calendar,
    changes: Changes,
    *,
    starts: bool = True,
) -> None:
    """Route one event of one person. Starts at most one run a journey, and none without ``starts``."""
    if taken.typed is None:
        return
    for interest in interests:
        key, fault = _key(interest, person, folded)
        if fault:
            changes.problem(taken.event_id, interest.route.name, fault)
            continue
        targets = _targets(interest, person, taken, folded, key)
        for run in targets:
            _signal(run, person, taken, folded, interest, changes)
        covered = any(run.key == key for run in targets)
        if starts and interest.starts and key and not covered and calendar.fresh(taken.incoming.time):
            _start(person, taken, folded, interest, key, calendar, changes)


def _key(interest: Interest, person: Person, folded: Folded) -> tuple[str | None, str | None]:
    if interest.route.key_property == PERSON:
        return str(person.profile_id), None
    if interest.route.key_property == CART:
        fault = key_fault(folded.cart_id) if folded.cart_id else None
        return folded.cart_id, fault
    return interest.key, None


def _targets(
    interest: Interest, person: Person, taken: Taken, folded: Folded, key: str | None
) -> list[LiveRun]:
    live = [run for run in person.runs if run.journey == interest.route.name]
    if taken.message is not None:
        # What became of a message concerns the run that sent it.
        return [run for run in live if run.run_id == taken.message.run_id]
    if interest.route.key_property == PERSON:
        return live
    if interest.route.key_property == CART and isinstance(taken.typed, OrderEvent):
        return [run for run in live if run.key in folded.changed_carts or run.key == key]
    if key is not None:
        return [run for run in live if run.key == key]
    return live


def _signal(
    run: LiveRun, person: Person, taken: Taken, folded: Folded, interest: Interest, changes: Changes
) -> None:
    run.signals += 1
    changes.signals[run.run_id] = run.signals
    if run.signals > MAX_SIGNALS:
        return
    row: dict[str, Any] = {"lane": run.run_id, "kind": "signal", "event_id": taken.event_id}
    if run.signals == MAX_SIGNALS:
        end = {"outcome": "overflow", "reason": f"{MAX_SIGNALS} events reached this run"}
        row |= {"name": END_RUN, "payload": end, "trigger": False}
    else:
        of_a_cart = interest.route.key_property == CART
        cart_id = run.key if of_a_cart else folded.cart_id
        row |= {
            "name": taken.incoming.type,
            "payload": payload(taken, person, cart_id, called=run.called if of_a_cart else None),
            "trigger": interest.starts,
        }
    changes.inserts["outbox"].append(row)


def _start(
    person: Person,
    taken: Taken,
    folded: Folded,
    interest: Interest,
    key: str,
    calendar: Calendar,
    changes: Changes,
) -> None:
    journey = interest.route.name
    entries = person.entries.setdefault((journey, key), [])
    if not interest.route.may_enter(tuple(entries), taken.at):
        return
    run_id = new_id()
    offset = calendar.offset_s(taken.incoming.time)
    run: dict[str, Any] = {"run_id": run_id, "journey": journey, "key": key, "clock_offset_s": offset}
    start = {**run, "customer_id": person.profile_id}
    changes.runs.append(
        {
            **run,
            "profile_id": person.profile_id,
            "workflow_id": workflow_id(journey, key, run_id),
            "entry_event": taken.event_id,
            "entered_at": taken.at,
            "on_merge": interest.route.on_merge,
        }
    )
    changes.inserts["outbox"].append(
        {
            "lane": run_id,
            "kind": "start",
            "name": taken.incoming.type,
            "event_id": taken.event_id,
            "payload": {"start": start, "event": payload(taken, person, folded.cart_id)},
            "trigger": True,
        }
    )
    entries.append(taken.at)
    person.runs.append(LiveRun(run_id, journey, key, taken.at, clock_offset_s=offset, called=key))


def workflow_id(journey: str, key: str, run_id: UUID) -> str:
    """Temporal's id of a run: journey, key, ours."""
    return f"{journey}/{_UNSAFE.sub('_', key)}/{run_id}"


def payload(
    taken: Taken, person: Person, cart_id: str | None, *, called: str | None = None
) -> dict[str, Any]:
    """What a journey gets to see of an event: its declared fields and the cart's lines, no person.

    ``called``: the cart's id as the story knows it.
    """
    cart = person.carts.get(cart_id) if cart_id else None
    own = (
        scrubbed(taken.typed.model_dump(mode="json", exclude_none=True, exclude=_ENVELOPE))
        if taken.typed
        else {}
    )
    own |= {
        "id": str(taken.event_id),
        "time": taken.incoming.time.isoformat(),
        "at": taken.at.isoformat(),
        "channel": taken.incoming.channel,
    }
    if cart_id:
        own["cart_id"] = _scrub(called or cart_id)
    if cart is not None:
        own["cart"] = [scrubbed(line.model_dump(mode="json", exclude_none=True)) for line in cart.lines]
    return {name: value for name, value in own.items() if value is not None}
