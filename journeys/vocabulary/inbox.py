"""Events that a run has received: each once, in order of arrival, and whether a wait has used it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from profiles.events import Event, MessageEvent


@dataclass(slots=True)
class Arrival:
    """One event and its time of arrival, by the run's clock."""

    event: Event
    arrived_at: datetime
    used: bool = False


class Inbox:
    """Keeps every event, so that a wait also finds those that came before it began (look-back)."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []
        self._seen: dict[str, None] = {}
        self._acknowledged_count = 0

    def receive(self, event: Event, at: datetime) -> bool:
        """Add an event; False where an event with its id was received before."""
        if event.id in self._seen:
            return False
        self._seen[event.id] = None
        self._arrivals.append(Arrival(event, at))
        return True

    def acknowledge_all(self) -> None:
        """Mark all events received so far as seen by the story."""
        self._acknowledged_count = len(self._arrivals)

    @property
    def acknowledged_ids(self) -> tuple[str, ...]:
        """Ids of the events that the story has seen, in order of arrival."""
        return tuple(arrival.event.id for arrival in self._arrivals[: self._acknowledged_count])

    def first_unused(
        self,
        kinds: Iterable[type[Event]],
        *,
        of: Collection[str] | None = None,
        where: Callable[[Event], bool] | None = None,
        excluding: Collection[Arrival] = (),
    ) -> Arrival | None:
        """Return the earliest unused event of these kinds, ``of`` these messages and not among ``excluding``.

        Marks all events received so far as seen by the story.
        """
        self.acknowledge_all()
        for arrival in self._matching(kinds, of):
            if arrival.used or any(arrival is other for other in excluding):
                continue
            if where is None or where(arrival.event):
                return arrival
        return None

    def has(self, kinds: Iterable[type[Event]], *, of: Collection[str]) -> bool:
        """Whether an event of these kinds and messages was received, used or not. Marks nothing as seen."""
        return any(True for _ in self._matching(kinds, of))

    def mark_used(self, kinds: Iterable[type[Event]]) -> None:
        """Mark the events of these kinds as used, so that a later wait does not find them."""
        self.acknowledge_all()
        for arrival in self._matching(kinds, None):
            arrival.used = True

    def count(self, kinds: Iterable[type[Event]]) -> int:
        """Return the number of events of these kinds, used or not. Marks nothing as seen."""
        return sum(1 for _ in self._matching(kinds, None))

    def last_arrival(self, kinds: Iterable[type[Event]]) -> datetime | None:
        """Return when the last event of these kinds arrived, used or not. Marks all events as seen."""
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
