"""Turn one folded event into outbox rows: signals to live runs, and starts of new ones. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from profiles.changes import Changes
from profiles.events import END_RUN, OrderEvent
from profiles.fold import Folded
from profiles.identifiers import names_a_person
from profiles.ids import new_id
from profiles.person import LiveRun, Person
from profiles.routing import CART, MAX_SIGNALS, PERSON, Interest, key_fault
from profiles.taken import Taken

TOO_OLD = timedelta(hours=72)
TOO_EARLY = timedelta(minutes=5)

_ENVELOPE = {"id", "time", "at", "channel", "cart", "cart_id"}
_UNSAFE = re.compile(r"[/\s]+")


@dataclass(frozen=True, slots=True)
class Calendar:
    """How this stack relates event time to the clock."""

    now: datetime
    """Postgres's now()."""
    local: bool = False
    """A local stack: events may lie in the future, and runs share their calendar."""

    def fresh(self, time: datetime) -> bool:
        """Whether an event of that time may start a run."""
        if self.now - time > TOO_OLD:
            return False
        return self.local or time - self.now <= TOO_EARLY

    def offset_s(self, time: datetime) -> float:
        """What a run started by an event of that time adds to Temporal's clock, in seconds."""
        return max(0.0, (time - self.now).total_seconds()) if self.local else 0.0


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


def scrubbed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without any text that reads as an address: histories carry ids, not people."""
    return {name: _scrub(value) for name, value in values.items()}


def _scrub(value: Any) -> Any:
    match value:
        case str():
            return None if names_a_person(value) else value
        case dict():
            return scrubbed(value)
        case list():
            return [_scrub(one) for one in value]
        case _:
            return value
