"""The events a run has been told of: each once, in order of arrival, and which of them a wait has used up."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from profiles.events import Event, MessageEvent


@dataclass(slots=True)
class Arrival:
    """One event and when the run saw it, by the run's clock."""

    event: Event
    arrived_at: datetime
    used: bool = False


class Inbox:
    """Remembers every event; a wait also finds what came before it began (look-back)."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []
        self._seen: dict[str, None] = {}
        self._acknowledged_count = 0

    def receive(self, event: Event, at: datetime) -> bool:
        """Keep an event; False where it has been seen."""
        if event.id in self._seen:
            return False
        self._seen[event.id] = None
        self._arrivals.append(Arrival(event, at))
        return True

    def acknowledge_all(self) -> None:
        """The story knows all that has come so far; what comes later it has to look at anew."""
        self._acknowledged_count = len(self._arrivals)

    @property
    def acknowledged_ids(self) -> tuple[str, ...]:
        """Ids of the events that came before the story looked last, in order of arrival."""
        return tuple(arrival.event.id for arrival in self._arrivals[: self._acknowledged_count])

    def first_unused(
        self,
        kinds: Iterable[type[Event]],
        *,
        of: Collection[str] | None = None,
        where: Callable[[Event], bool] | None = None,
        excluding: Collection[Arrival] = (),
    ) -> Arrival | None:
        """The earliest unused event of these kinds that fits: ``of`` these messages, not in ``but``."""
        self.acknowledge_all()
        for arrival in self._matching(kinds, of):
            if arrival.used or any(arrival is other for other in excluding):
                continue
            if where is None or where(arrival.event):
                return arrival
        return None

    def has(self, kinds: Iterable[type[Event]], *, of: Collection[str]) -> bool:
        """Whether such an event of one of these messages came, used up or not; the story does not look."""
        return any(True for _ in self._matching(kinds, of))

    def mark_used(self, kinds: Iterable[type[Event]]) -> None:
        """What came so far of these kinds is no news to a later wait."""
        self.acknowledge_all()
        for arrival in self._matching(kinds, None):
            arrival.used = True

    def count(self, kinds: Iterable[type[Event]]) -> int:
        """How many events of these kinds came, used up or not; the story does not look."""
        return sum(1 for _ in self._matching(kinds, None))

    def last_arrival(self, kinds: Iterable[type[Event]]) -> datetime | None:
        """When the last event of these kinds came, used up or not."""
        self.acknowledge_all()
        return max((arrival.arrived_at for arrival in self._matching(kinds, None)), default=None)

    def _matching(self, kinds: Iterable[type[Event]], of: Collection[str] | None) -> Iterator[Arrival]:
        names = [kind.event_name for kind in kinds]
        for arrival in self._arrivals:
            event = arrival.event
            if event.event_name not in names:
                continue
            if of is None or (isinstance(event, MessageEvent) and event.message_id in of):
                yield arrival
