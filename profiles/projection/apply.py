"""What an event changes in a profile, collected in a ``UnitOfWork``. Pure, but for the profile's state."""

from profiles.commerce import orders
from profiles.consent import declarations
from profiles.events import (
    CartViewed,
    CheckoutStarted,
    Event,
    OrderCompleted,
    OrderUpdated,
    PriceDropped,
    ProductAdded,
    ProductEvent,
    ProductRemoved,
)
from profiles.projection.computed import with_event_seen
from profiles.reading.bounces import BounceKind, BounceReading, read_bounce
from profiles.runs.routing import FEED_EVENTS, ApplyResult
from profiles.state import traits as golden
from profiles.state.bounds import MAX_CART_LINES, MAX_OPEN_CARTS, MAX_TRAITS, MAX_WORD_LENGTH
from profiles.state.cart import apply_cart_event, generated_cart_id, is_generated_cart_id, with_new_price
from profiles.state.event_records import IncomingEvent, MessageRef, StoredEvent, id_text
from profiles.state.profile_state import CartState, ProfileState
from profiles.state.unit_of_work import Row, UnitOfWork

CART_EVENT_CLASSES = (ProductAdded, ProductRemoved, CartViewed, CheckoutStarted)

ORDER_SENSITIVE_EVENT_TYPES = frozenset(
    each.event_name for each in (*CART_EVENT_CLASSES, PriceDropped, OrderCompleted, OrderUpdated)
)
"""Names of the events that must be applied to a profile's carts in canonical order."""

BEFORE_WINDOW_PROBLEM = (
    "it is older than the newest events of its profile, from which carts are computed, and changes no cart; "
    "send events sooner"
)

_CART_ID_PROPERTIES = ("cart_id", "checkout_id", "checkout_token")

_STATUS_BY_EVENT_TYPE = {
    "Message Delivered": "delivered",
    "Message Opened": "opened",
    "Message Clicked": "clicked",
    "Message Replied": "opened",
    "Message Bounced": "bounced",
    "Message Complained": "delivered",
}

_PROVING_EVENT_TYPES = frozenset(
    ("Message Delivered", "Message Opened", "Message Clicked", "Message Replied")
)
"""Events of a message by which its address is known to take messages."""

UNVERIFIED_REPORT_PROBLEM = (
    "it closes no address: it names no message of ours, and anybody can send it; send it with a server key"
)

_ENGAGED_STATUSES = ("opened", "clicked")


def apply_event(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> ApplyResult:
    """Apply one event to a profile. Returns what routing needs. A superseded event changes no cart."""
    _apply_traits(person, stored, changes)
    if stored.incoming.type in ORDER_SENSITIVE_EVENT_TYPES:
        person.advance_cart_position(stored.sort_key)
    declarations.record_consents_from_traits(person, stored, changes)
    if stored.is_superseded:
        if stored.incoming.type == "Order Completed" or isinstance(stored.event, CheckoutStarted):
            _apply_checkout(person, stored, changes)
        return ApplyResult(None, ())
    if stored.is_before_window and isinstance(
        stored.event, (ProductAdded, CartViewed, CheckoutStarted, PriceDropped)
    ):
        if isinstance(stored.event, CheckoutStarted):
            _apply_checkout(person, stored, changes)
        changes.add_problem(stored.event_id, "", BEFORE_WINDOW_PROBLEM)
        return ApplyResult(own_cart_id(stored.incoming), ())
    match stored.incoming.type:
        case "Order Completed":
            own = own_cart_id(stored.incoming)
            changed = orders.apply_purchase(person, stored, own, changes)
            _apply_checkout(person, stored, changes)
            return ApplyResult(own, changed)
        case orders.ORDER_UPDATED if orders.is_purchase(stored):
            # What was added to the order is bought too. Of what was reported before, each line counts once.
            return ApplyResult(None, orders.apply_purchase(person, stored, None, changes))
        case "Consent Changed":
            declarations.record_consent_change(person, stored, changes)
        case "Message Replied":
            if stored.message_ref is not None:
                _apply_engagement(person, stored, stored.message_ref, changes)
            declarations.record_reply(person, stored, changes)
        case reversal if reversal in orders.REVERSAL_EVENT_TYPES:
            orders.apply_refund(person, stored, changes)
        case _ if isinstance(stored.event, CART_EVENT_CLASSES):
            if isinstance(stored.event, CheckoutStarted):
                _apply_checkout(person, stored, changes)
            cart_id = _apply_cart_event(person, stored, stored.event, changes)
            return ApplyResult(cart_id, (cart_id,) if cart_id else ())
        case _ if isinstance(stored.event, FEED_EVENTS):
            return ApplyResult(_apply_product_event(person, stored, stored.event, changes), ())
        case _ if stored.message_ref is not None:
            _apply_engagement(person, stored, stored.message_ref, changes)
        case "Message Bounced":
            _apply_bounce_without_message(person, stored, changes)
        case name if name in declarations.OPT_OUT_EVENT_TYPES:
            declarations.record_opt_out_without_message(person, stored, changes)
            if name == "Message Complained":
                _close_named_addresses(stored, BounceReading(BounceKind.COMPLAINED), changes)
    return ApplyResult(None, ())


def own_cart_id(incoming: IncomingEvent) -> str | None:
    """Return the cart id that the event itself carries."""
    ids = (id_text(incoming.properties, name) for name in _CART_ID_PROPERTIES)
    return next((cart_id for cart_id in ids if cart_id), None)


def _apply_traits(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    incoming = stored.incoming
    origin = golden.field_origin(
        time=stored.time, source=incoming.source, event_id=incoming.id, verified=incoming.verified
    )
    traits, origins = golden.merge_traits(person.traits, person.origins, incoming.traits, origin)
    if len(traits) == MAX_TRAITS and any(
        traits.get(name) is None for name in golden.declared(incoming.traits)
    ):
        changes.add_problem(
            stored.event_id, "", f"a profile has {MAX_TRAITS} traits; the others are left out"
        )
    zone, locale, origins = golden.merge_context(
        person.context_timezone, person.context_locale, origins, incoming.context, origin
    )
    last_seen = with_event_seen(person.last_seen, incoming, stored.at)
    # What an event does not change is returned as the same object.
    if origins is not person.origins or last_seen is not person.last_seen:
        person.is_dirty = True
    person.traits, person.origins, person.last_seen = traits, origins, last_seen
    person.context_timezone, person.context_locale = zone, locale


def _apply_cart_event(
    person: ProfileState, stored: StoredEvent, event: Event, changes: UnitOfWork
) -> str | None:
    own = own_cart_id(stored.incoming)
    cart = person.carts.get(own) if own else person.latest_open_cart()
    if cart is None:
        # A removal from, or a view of, an unknown and empty cart opens no cart.
        after = apply_cart_event((), event)
        if not after and not own:
            return None
        before = _own_generated_cart_id(stored)
        if before in person.carts:
            # The event was part of that cart until an earlier order arrived.
            before = None
        cart = CartState(own or before or generated_cart_id(stored.event_id), after, stored.time)
        cart.has_provisional_id = not (own or before)
        person.carts[cart.cart_id] = cart
        _close_oldest_cart(person, stored, changes)
    else:
        cart.lines = apply_cart_event(cart.lines, event)
        cart.updated_at = max(cart.updated_at, stored.time)
        cart.closed_at = None
    if len(cart.lines) > MAX_CART_LINES:
        cart.lines = cart.lines[-MAX_CART_LINES:]
        changes.add_problem(
            stored.event_id, "", f"a cart has {MAX_CART_LINES} lines; its oldest were left out"
        )
    if stored.cart_id is not None and stored.cart_id != cart.cart_id:
        _rename_cart(person, cart, stored.cart_id, _own_generated_cart_id(stored))
    changes.save_cart(person, cart)
    return cart.cart_id


def _close_oldest_cart(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Close and empty the cart that changed least recently, if the profile has too many open ones."""
    open_carts = [cart for cart in person.carts.values() if cart.closed_at is None]
    if len(open_carts) <= MAX_OPEN_CARTS:
        return
    oldest = min(open_carts, key=lambda cart: (cart.updated_at, cart.cart_id))
    oldest.lines, oldest.closed_at = (), stored.at
    changes.save_cart(person, oldest)
    problem = f"a profile has {MAX_OPEN_CARTS} open carts; the one that changed least recently was closed"
    changes.add_problem(stored.event_id, "", problem)


def _own_generated_cart_id(stored: StoredEvent) -> str | None:
    """Return the cart id that Waypost generated on arrival; one of the profiles with the event has it."""
    return stored.cart_id if is_generated_cart_id(stored.cart_id) and not stored.has_foreign_cart_id else None


def _rename_cart(person: ProfileState, cart: CartState, old_id: str, generated_id: str | None) -> None:
    """Map the cart's id of a past event to the current one; runs know the cart by that id.

    A cart with a provisional id takes the generated id instead, if it is free.
    """
    if cart.has_provisional_id and generated_id and generated_id not in person.carts:
        person.renamed_carts[cart.cart_id] = generated_id
        del person.carts[cart.cart_id]
        cart.cart_id, cart.has_provisional_id = generated_id, False
        person.carts[generated_id] = cart
    else:
        person.renamed_carts[old_id] = cart.cart_id


def _apply_product_event(
    person: ProfileState, stored: StoredEvent, event: ProductEvent, changes: UnitOfWork
) -> str | None:
    """Return the event's own cart id, which need not exist any more. Writes a lower price into the lines."""
    own = own_cart_id(stored.incoming)
    cart = person.carts.get(own) if own else None
    if cart is not None and isinstance(event, PriceDropped) and stored.incoming.verified:
        lines = with_new_price(cart.lines, event.item)
        if lines != cart.lines:
            # No action of the owner: updated_at stays.
            cart.lines = lines
            changes.save_cart(person, cart)
    return own


def _apply_checkout(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Record the time of an order or a checkout, and whether it named an email address.

    Messages to such an address are permitted until its owner withdraws consent. If the event is unverified,
    its owner has to confirm it first.
    """
    if not stored.incoming.verified:
        declarations.request_confirmations(stored, changes, "email")
    if person.last_checkout_at is None or stored.time > person.last_checkout_at:
        person.last_checkout_at = stored.time
        person.is_dirty = True
    verified_checkout_at = person.sure_checkout_at
    if stored.incoming.verified and (verified_checkout_at is None or stored.time > verified_checkout_at):
        person.sure_checkout_at = stored.time
        person.is_dirty = True
    named = any(kind == "email" for kind, _ in stored.incoming.identifiers)
    if named and person.email_ordered < (rank := 2 if stored.incoming.verified else 1):
        person.email_ordered = rank
        person.is_dirty = True


def _apply_engagement(
    person: ProfileState, stored: StoredEvent, message: MessageRef, changes: UnitOfWork
) -> None:
    name = stored.incoming.type
    reading = _read_bounce(stored) if name == "Message Bounced" else None
    status = _STATUS_BY_EVENT_TYPE.get(name)
    if status and not (reading and reading.is_pending):
        update: Row = {"message_id": message.message_id, "status": status}
        update["engaged_at"] = stored.time if status in _ENGAGED_STATUSES else None
        update["complained_at"] = stored.time if name == "Message Complained" else None
        changes.message_updates.append(update)
    if message.address:
        if reading:
            _apply_report(message.channel, message.address, str(message.message_id), reading, stored, changes)
        elif name == "Message Complained":
            changes.close_address(message.channel, message.address, "complained", stored)
        elif name in _PROVING_EVENT_TYPES:
            changes.prove_address(message.channel, message.address, stored)
    if reading:
        _add_unknown_word(reading, stored, changes)
    if name in declarations.OPT_OUT_EVENT_TYPES or (reading and reading.kind in declarations.OPT_OUT_KINDS):
        declarations.record_message_opt_out(person, stored, message, changes)


def _apply_bounce_without_message(person: ProfileState, stored: StoredEvent, changes: UnitOfWork) -> None:
    """Apply a bounce that refers to no message of ours to the addresses that it names."""
    reading = _read_bounce(stored)
    if reading.kind in declarations.OPT_OUT_KINDS:
        declarations.record_opt_out_without_message(person, stored, changes)
    _close_named_addresses(stored, reading, changes)
    _add_unknown_word(reading, stored, changes)


def _close_named_addresses(stored: StoredEvent, reading: BounceReading, changes: UnitOfWork) -> None:
    """Apply a report to the addresses that an event names. Of an unverified one it is a problem instead."""
    if not stored.incoming.verified or stored.incoming.by_customer:
        # Who knows an address must not stop its owner's order confirmations.
        changes.add_problem(stored.event_id, "", UNVERIFIED_REPORT_PROBLEM)
        return
    for channel, address in declarations.reported_addresses(stored.incoming):
        _apply_report(channel, address, str(stored.event_id), reading, stored, changes)


def _apply_report(
    channel: str, address: str, ref: str, reading: BounceReading, stored: StoredEvent, changes: UnitOfWork
) -> None:
    match reading.kind:
        case BounceKind.HARD | BounceKind.COMPLAINED:
            changes.close_address(channel, address, reading.kind.value, stored)
        case BounceKind.SOFT:
            changes.count_soft_bounce(channel, address, ref, reading.word[:MAX_WORD_LENGTH], stored)
        case _:
            changes.address_reports[channel, reading.kind.value] += 1


def _read_bounce(stored: StoredEvent) -> BounceReading:
    return read_bounce(stored.incoming.properties, declarations.aliased_name(stored.incoming))


def _add_unknown_word(reading: BounceReading, stored: StoredEvent, changes: UnitOfWork) -> None:
    if reading.unknown:
        problem = (
            f"{reading.unknown[:60]!r} is no known kind of bounce; it counts as a soft one. Send hard or soft"
        )
        changes.add_problem(stored.event_id, "", problem)
