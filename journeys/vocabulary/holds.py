"""Cases that hold back marketing while they are open."""

from dataclasses import dataclass

from activities.contracts import HoldSpec
from profiles.events import (
    Event,
    OrderRefunded,
    ReturnCompleted,
    ReturnRequested,
    TicketOpened,
    TicketSolved,
)


@dataclass(frozen=True, slots=True)
class Hold:
    """A case: opened by one event, and closed by any of the others with the same value of a property."""

    opened: type[Event]
    closed: tuple[type[Event], ...]
    by: str | None
    says: str

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Events that a run has to receive."""
        return (self.opened, *self.closed)

    @property
    def ask(self) -> HoldSpec:
        """The case as sent to activities."""
        closed = tuple(kind.event_name for kind in self.closed)
        return HoldSpec(opened=self.opened.event_name, closed=closed, by=self.by, says=self.says)


def holding(
    opened: type[Event],
    *,
    until: type[Event] | tuple[type[Event], ...],
    by: str | None = None,
    says: str = "",
) -> Hold:
    """Define a case: open from one event on, ``until`` another with the same value of the property ``by``.

    ``says`` is its text in "held while … is open"; by default the event's name.
    """
    closed = until if isinstance(until, tuple) else (until,)
    return Hold(opened, closed, by, says or opened.event_name)


ticket_is_open = holding(TicketOpened, until=TicketSolved, by="ticket_id", says="a support ticket")
"""A support ticket of the profile is open."""

return_is_open = holding(
    ReturnRequested, until=(ReturnCompleted, OrderRefunded), by="order_id", says="a return"
)
"""A return of the profile is under way."""
