"""Goals and exits, which end a run early. They are checked on every event, also during a wait."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from profiles.events import Event, Item, OrderCompleted, ProductRemoved

E = TypeVar("E", bound=Event)

CartLines = tuple[Item, ...] | None


@dataclass(frozen=True, slots=True)
class RunEnding:
    """The outcome of a run, and the reason."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A rule that may end a run when one of its events arrives."""

    events: tuple[type[Event], ...]
    rule: Callable[[Event, CartLines], RunEnding | None]
    """Receives the event and, for a run keyed by cart, the cart's lines after it."""
    outcomes: tuple[str, ...] = ()
    """Outcomes of runs that it ends."""

    def evaluate(self, event: Event, cart: CartLines) -> RunEnding | None:
        """Return the ending that this event causes, if any."""
        if any(event.event_name == kind.event_name for kind in self.events):
            return self.rule(event, cart)
        return None


def goal(*events: type[E], outcome: str = "converted", where: Callable[[E], bool] | None = None) -> Ending:
    """A goal: any of these events for which ``where`` holds ends the run in success."""
    return Ending(events, _build_rule("goal reached", outcome, where), (outcome,))


def exit_on(*events: type[E], outcome: str = "exited", where: Callable[[E], bool] | None = None) -> Ending:
    """An exit: any of these events for which ``where`` holds ends the run without success."""
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
"""Ends the run when no line is left in the cart: bought on any channel, or removed."""
