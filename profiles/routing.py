"""Which runs an event signals, and which it starts: routing is data. Pure but for the author's own filters,
which run before the transaction and whose failures are recorded, never raised."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from profiles.events import Event
from profiles.identifiers import names_a_person

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
