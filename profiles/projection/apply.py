"""What an event changes about a person: traits, carts, orders, consents, engagement. Pure: takes the person
under lock, leaves what is to be written in ``Changes``."""

from typing import Any

from profiles.commerce import orders
from profiles.consent import declarations
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
from profiles.projection.computed import seen_after
from profiles.runs.routing import Folded
from profiles.state import traits as golden
from profiles.state.cart import cart_after, is_made, made_by, repriced
from profiles.state.event_records import IncomingEvent, KnownMessage, Taken
from profiles.state.profile_state import OpenCart, Person
from profiles.state.unit_of_work import Changes

CART_EVENTS = (ProductAdded, ProductRemoved, CartViewed, CheckoutStarted)

NEWS_OF_A_CART = (PriceDropped, BackInStock, OutOfStock)
"""About something in a cart, whose owner did nothing."""

FOLDED = frozenset(
    (
        *("Product Added", "Product Removed", "Cart Viewed", "Checkout Started"),
        *("Price Dropped", "Order Completed"),
    )
)
"""Names of the events whose order matters to a person's carts."""

_CART_PROPERTIES = ("cart_id", "checkout_id", "checkout_token")

_STATUS = {
    "Message Delivered": "delivered",
    "Message Opened": "opened",
    "Message Clicked": "clicked",
    "Message Replied": "opened",
    "Message Bounced": "bounced",
    "Message Complained": "delivered",
}

_PROBLEM = {"Message Bounced": "bounced", "Message Complained": "complained"}

_ENGAGED = ("opened", "clicked")


def fold(person: Person, taken: Taken, changes: Changes) -> Folded:
    """Apply one event to a person."""
    _traits(person, taken)
    if taken.incoming.type in FOLDED:
        person.reach(taken.place)
    declarations.from_traits(person, taken, changes)
    match taken.incoming.type:
        case "Order Completed":
            own = own_cart_id(taken.incoming)
            changed = orders.purchase(person, taken, own, changes)
            _checks_out(person, taken)
            return Folded(own, changed)
        case "Consent Changed":
            declarations.from_event(person, taken, changes)
        case "Message Replied":
            if taken.message is not None:
                _engagement(person, taken, taken.message, changes)
            declarations.from_reply(person, taken, changes)
        case undoing if undoing in orders.UNDOING:
            orders.undo(person, taken, changes)
        case _ if isinstance(taken.typed, CART_EVENTS):
            if isinstance(taken.typed, CheckoutStarted):
                _checks_out(person, taken)
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
    said = taken.incoming
    word: dict[str, Any] = {"time": taken.time, "source": said.source, "event_id": said.id}
    word["verified"] = said.verified
    traits, origins = golden.heard(person.traits, person.origins, said.traits, **word)
    zone, locale, origins = golden.context_heard(
        person.context_timezone, person.context_locale, origins, said.context, **word
    )
    last_seen = seen_after(person.seen, said, taken.at)
    # What an event does not change comes back as the very object.
    if origins is not person.origins or last_seen is not person.seen:
        person.changed = True
    person.traits, person.origins, person.seen = traits, origins, last_seen
    person.context_timezone, person.context_locale = zone, locale


def _cart(person: Person, taken: Taken, event: Event, changes: Changes) -> str | None:
    own = own_cart_id(taken.incoming)
    cart = person.carts.get(own) if own else person.open_cart()
    if cart is None:
        # A removal or a look at an unknown, empty cart opens none.
        after = cart_after((), event)
        if not after and not own:
            return None
        before = _made(taken)
        if before in person.carts:
            # It was part of that cart until an earlier order was heard of.
            before = None
        cart = OpenCart(own or before or made_by(taken.event_id), after, taken.time)
        cart.unnamed = not (own or before)
        person.carts[cart.cart_id] = cart
    else:
        cart.lines = cart_after(cart.lines, event)
        cart.updated_at = max(cart.updated_at, taken.time)
        cart.closed_at = None
    if taken.cart_id is not None and taken.cart_id != cart.cart_id:
        _name_again(person, cart, taken.cart_id, _made(taken))
    changes.keep_cart(person, cart)
    return cart.cart_id


def _made(taken: Taken) -> str | None:
    """A cart id of Waypost's own making, as it was given when the event came in; of two people one has it."""
    return taken.cart_id if is_made(taken.cart_id) and not taken.lent else None


def _name_again(person: Person, cart: OpenCart, was: str, made: str | None) -> None:
    """A past event of a cart tells what it was called; runs know it by that name."""
    if cart.unnamed and made and made not in person.carts:
        person.renamed[cart.cart_id] = made
        del person.carts[cart.cart_id]
        cart.cart_id, cart.unnamed = made, False
        person.carts[made] = cart
    else:
        person.renamed[was] = cart.cart_id


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


def _checks_out(person: Person, taken: Taken) -> None:
    """An address that is known by an order or a checkout may be written to until its owner says no."""
    if person.last_checkout_at is None or taken.time > person.last_checkout_at:
        person.last_checkout_at = taken.time
        person.changed = True
    sure = person.sure_checkout_at
    if taken.incoming.verified and (sure is None or taken.time > sure):
        person.sure_checkout_at = taken.time
        person.changed = True
    named = any(kind == "email" for kind, _ in taken.incoming.identifiers)
    if named and person.email_ordered < (rank := 2 if taken.incoming.verified else 1):
        person.email_ordered = rank
        person.changed = True


def _engagement(person: Person, taken: Taken, message: KnownMessage, changes: Changes) -> None:
    name = taken.incoming.type
    if status := _STATUS.get(name):
        engaged_at = taken.time if status in _ENGAGED else None
        changes.messages.append(
            {
                "message_id": message.message_id,
                "status": status,
                "engaged_at": engaged_at,
                "complained_at": taken.time if name == "Message Complained" else None,
            }
        )
    if (problem := _PROBLEM.get(name)) and message.address:
        changes.address_problems[message.channel, message.address] = {
            "channel": message.channel,
            "address": message.address,
            "problem": problem,
            "at": taken.at,
        }
    if name in declarations.OPT_OUTS:
        declarations.from_message(person, taken, message, changes)
