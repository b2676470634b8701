"""Cases that hold marketing back while they are open."""

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
    """A case: opened by one event, closed by any of the others, told apart by a property."""

    opened: type[Event]
    closed: tuple[type[Event], ...]
    by: str | None
    says: str

    @property
    def events(self) -> tuple[type[Event], ...]:
        """What a run has to be told of."""
        return (self.opened, *self.closed)

    @property
    def ask(self) -> HoldSpec:
        """The case as activities are asked about it."""
        closed = tuple(kind.event_name for kind in self.closed)
        return HoldSpec(opened=self.opened.event_name, closed=closed, by=self.by, says=self.says)


def holding(
    opened: type[Event],
    *,
    until: type[Event] | tuple[type[Event], ...],
    by: str | None = None,
    says: str = "",
) -> Hold:
    """A case of your own: open from one event on, ``until`` another of the same ``by`` property.

    ``says`` is how it reads in "held while … is open"; the event's name when left out.
    """
    closed = until if isinstance(until, tuple) else (until,)
    return Hold(opened, closed, by, says or opened.event_name)


ticket_is_open = holding(TicketOpened, until=TicketSolved, by="ticket_id", says="a support ticket")
"""The person has asked for help, and waits for it."""

return_is_open = holding(
    ReturnRequested, until=(ReturnCompleted, OrderRefunded), by="order_id", says="a return"
)
"""The person is sending something back."""
