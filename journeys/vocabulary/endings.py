"""What ends a run early: goals and exits, checked on every event, in the middle of any wait."""

from collections.abc import Callable
from dataclasses import dataclass

from profiles.events import Event, Item, OrderCompleted, ProductRemoved

Lines = tuple[Item, ...] | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A run is over, and why."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A rule that may end a run when one of its events arrives."""

    events: tuple[type[Event], ...]
    rule: Callable[[Event, Lines], Ended | None]
    """Gets the event and, for a run keyed by cart, the cart's lines after it."""

    def after(self, event: Event, cart: Lines) -> Ended | None:
        """The end this event brings, if any."""
        if any(event.event_name == kind.event_name for kind in self.events):
            return self.rule(event, cart)
        return None


def goal(*events: type[Event], outcome: str = "converted") -> Ending:
    """Any of these events is what the journey was for."""
    return Ending(events, lambda event, _: Ended(outcome, f"goal reached: {event.event_name}"))


def exit_on(*events: type[Event], outcome: str = "exited") -> Ending:
    """Any of these events makes the journey pointless."""
    return Ending(events, lambda event, _: Ended(outcome, f"exit: {event.event_name}"))


def _cart_left(event: Event, cart: Lines) -> Ended | None:
    if cart is None or cart:
        return None
    if event.event_name == OrderCompleted.event_name:
        return Ended("bought", "all that was in the cart has been bought")
    return Ended("emptied", "nothing is left in the cart")


cart_is_empty_or_bought = Ending((OrderCompleted, ProductRemoved), _cart_left)
"""No line is left in the cart: bought, wherever it was bought, or taken out."""
