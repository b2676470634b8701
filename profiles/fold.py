"""What an event changes about a person: traits, carts, orders, consents, engagement. Pure: takes the person
under lock, leaves what is to be written in ``Changes``."""

from dataclasses import dataclass
from datetime import timedelta

from profiles import consents, orders
from profiles.carts import cart_after, repriced
from profiles.changes import Changes
from profiles.events import (
    BackInStock,
    CartViewed,
    CheckoutStarted,
    Event,
    OutOfStock,
    PriceDropped,
    ProductAdded,
    ProductEvent,
    ProductRemoved,
)
from profiles.incoming import IncomingEvent
from profiles.person import OpenCart, Person
from profiles.taken import KnownMessage, Taken

CART_EVENTS = (ProductAdded, ProductRemoved, CartViewed, CheckoutStarted)
NEWS_OF_A_CART = (PriceDropped, BackInStock, OutOfStock)
"""About something in a cart, whose owner did nothing."""
_CART_PROPERTIES = ("cart_id", "checkout_id", "checkout_token")
_STATUS = {
    "Message Delivered": "delivered",
    "Message Opened": "opened",
    "Message Clicked": "clicked",
    "Message Replied": "opened",
    "Message Bounced": "bounced",
}
_ENGAGED = ("opened", "clicked")


@dataclass(frozen=True, slots=True)
class Folded:
    """What routing needs to know of a fold."""

    cart_id: str | None
    """The cart an event is about, its own or the person's open one."""
    changed_carts: tuple[str, ...]


def fold(person: Person, taken: Taken, changes: Changes, window: timedelta | None) -> Folded:
    """Apply one event to a person. ``window``: how long a purchase suppresses; None: for good."""
    _traits(person, taken)
    consents.from_traits(person, taken, changes)
    match taken.incoming.type:
        case "Order Completed":
            own = own_cart_id(taken.incoming)
            changed = orders.purchase(person, taken, own, changes, window)
            _keep_address_of_customer(person, taken)
            return Folded(own, changed)
        case "Consent Changed":
            consents.from_event(person, taken, changes)
        case undoing if undoing in orders.UNDOING:
            orders.undo(person, taken, changes)
        case _ if isinstance(taken.typed, CART_EVENTS):
            cart_id = _cart(person, taken, taken.typed, changes)
            return Folded(cart_id, (cart_id,) if cart_id else ())
        case _ if isinstance(taken.typed, NEWS_OF_A_CART):
            return Folded(_news(person, taken, taken.typed, changes), ())
        case _ if taken.message is not None:
            _engagement(person, taken, taken.message, changes)
    return Folded(None, ())


def own_cart_id(incoming: IncomingEvent) -> str | None:
    """The cart id the event itself carries."""
    for name in _CART_PROPERTIES:
        value = incoming.properties.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None


def _traits(person: Person, taken: Taken) -> None:
    said = taken.incoming.traits
    known = {name: value for name, value in said.items() if name != "consents" and value is not None}
    if any(person.traits.get(name) != value for name, value in known.items()):
        person.traits = {**person.traits, **known}
        person.changed = True
    zone = taken.incoming.context.get("timezone")
    if isinstance(zone, str) and zone and zone[:64] != person.context_timezone:
        person.context_timezone = zone[:64]
        person.changed = True


def _cart(person: Person, taken: Taken, event: Event, changes: Changes) -> str | None:
    own = own_cart_id(taken.incoming)
    cart = person.carts.get(own) if own else person.open_cart()
    if cart is None:
        # A removal or a look at an unknown, empty cart opens none.
        after = cart_after((), event)
        if not after and not own:
            return None
        cart = OpenCart(own or f"cart-{taken.event_id.hex}", after, taken.at)
        person.carts[cart.cart_id] = cart
    else:
        cart.lines = cart_after(cart.lines, event)
        cart.updated_at = max(cart.updated_at, taken.at)
        cart.closed_at = None
    if isinstance(event, CheckoutStarted):
        _keep_address_of_customer(person, taken)
    changes.keep_cart(person, cart)
    return cart.cart_id


def _news(person: Person, taken: Taken, event: ProductEvent, changes: Changes) -> str | None:
    """The cart it is about: its own, which need not be there any more. A lower price goes into its lines."""
    own = own_cart_id(taken.incoming)
    cart = person.carts.get(own) if own else None
    if cart is not None and isinstance(event, PriceDropped):
        lines = repriced(cart.lines, event.item)
        if lines != cart.lines:
            # Its owner did nothing: updated_at stays.
            cart.lines = lines
            changes.keep_cart(person, cart)
    return own


def _keep_address_of_customer(person: Person, taken: Taken) -> None:
    """An address that comes with an order or a checkout may be written to until its owner says no."""
    has_email = person.addresses.get("email") or any(
        kind == "email" for kind, _ in taken.incoming.identifiers
    )
    if has_email and not person.email_from_order:
        person.email_from_order = True
        person.changed = True


def _engagement(person: Person, taken: Taken, message: KnownMessage, changes: Changes) -> None:
    name = taken.incoming.type
    if status := _STATUS.get(name):
        engaged_at = min(taken.incoming.time, taken.at) if status in _ENGAGED else None
        changes.messages.append(
            {"message_id": message.message_id, "status": status, "engaged_at": engaged_at}
        )
    if name == "Message Bounced" and message.address:
        changes.address_problems[message.channel, message.address] = {
            "channel": message.channel,
            "address": message.address,
            "problem": "bounced",
            "at": taken.at,
        }
    if name == "Message Unsubscribed":
        consents.from_message(person, taken, message, changes)
