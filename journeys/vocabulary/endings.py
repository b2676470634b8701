"""What ends a run early: goals and exits, checked on every event, in the middle of any wait."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from profiles.events import Event, Item, OrderCompleted, ProductRemoved

E = TypeVar("E", bound=Event)

CartLines = tuple[Item, ...] | None


@dataclass(frozen=True, slots=True)
class RunEnding:
    """A run is over, and why."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A rule that may end a run when one of its events arrives."""

    events: tuple[type[Event], ...]
    rule: Callable[[Event, CartLines], RunEnding | None]
    """Gets the event and, for a run keyed by cart, the cart's lines after it."""
    outcomes: tuple[str, ...] = ()
    """How a run that it ends may come out."""

    def evaluate(self, event: Event, cart: CartLines) -> RunEnding | None:
        """The end this event brings, if any."""
        if any(event.event_name == kind.event_name for kind in self.events):
            return self.rule(event, cart)
        return None


def goal(*events: type[E], outcome: str = "converted", where: Callable[[E], bool] | None = None) -> Ending:
    """Any of these events, if ``where`` lets it count, is what the journey was for."""
    return Ending(events, _build_rule("goal reached", outcome, where), (outcome,))


def exit_on(*events: type[E], outcome: str = "exited", where: Callable[[E], bool] | None = None) -> Ending:
    """Any of these events, if ``where`` lets it count, makes the journey pointless."""
    return Ending(events, _build_rule("exit", outcome, where), (outcome,))


def _build_rule(
    says: str, outcome: str, where: Callable[[Any], bool] | None
) -> Callable[[Event, CartLines], RunEnding | None]:
    def rule(event: Event, _: CartLines) -> RunEnding | None:
        if where is not None and not where(event):
            return None
        return RunEnding(outcome, f"{says}: {event.event_name}")

    return rule


def _end_for_empty_cart(event: Event, cart: CartLines) -> RunEnding | None:
    if cart is None or cart:
        return None
    if event.event_name == OrderCompleted.event_name:
        return RunEnding("bought", "all that was in the cart has been bought")
    return RunEnding("emptied", "nothing is left in the cart")


cart_is_empty_or_bought = Ending((OrderCompleted, ProductRemoved), _end_for_empty_cart, ("bought", "emptied"))
"""No line is left in the cart: bought, wherever it was bought, or taken out."""
