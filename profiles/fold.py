"""What an event changes about a person: carts, purchases, suppressions, consents, engagement. Pure:
takes the person under lock, leaves what is to be written in ``Changes``."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from profiles.carts import as_items, cart_after, covers, without
from profiles.changes import Changes
from profiles.events import CartViewed, CheckoutStarted, Event, Item, ProductAdded, ProductRemoved
from profiles.incoming import IncomingEvent
from profiles.person import OpenCart, Person

CART_EVENTS = (ProductAdded, ProductRemoved, CartViewed, CheckoutStarted)
_CART_PROPERTIES = ("cart_id", "checkout_id", "checkout_token")
_CONSENT_CHANNELS = frozenset({"email", "sms", "push", "ads", "all"})
_STATUS = {
    "Message Delivered": "delivered",
    "Message Opened": "opened",
    "Message Clicked": "clicked",
    "Message Replied": "opened",
    "Message Bounced": "bounced",
}
_ADDRESS_TYPE = {"email": "email", "sms": "phone"}


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message that an event speaks of."""

    message_id: UUID
    profile_id: UUID
    run_id: UUID
    channel: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """An event that was taken in: new, with Waypost's id and its instant."""

    incoming: IncomingEvent
    event_id: UUID
    at: datetime
    typed: Event | None
    """None: of a name nobody declared, or its properties do not fit the declared ones."""
    message: KnownMessage | None = None

    @property
    def is_purchase(self) -> bool:
        """Whether something was bought."""
        return self.incoming.type == "Order Completed"


@dataclass(frozen=True, slots=True)
class Folded:
    """What routing needs to know of a fold."""

    cart_id: str | None
    """The cart an event is about, its own or the person's open one."""
    changed_carts: tuple[str, ...]


def fold(person: Person, taken: Taken, changes: Changes, window: timedelta | None) -> Folded:
    """Apply one event to a person. ``window``: how long a purchase suppresses; None: for good."""
    incoming = taken.incoming
    _traits(person, taken, changes)
    carts: tuple[str, ...] = ()
    cart_id: str | None = None
    if taken.typed is not None and isinstance(taken.typed, CART_EVENTS):
        cart_id = _cart(person, taken, changes)
        carts = (cart_id,) if cart_id else ()
    elif taken.is_purchase:
        cart_id = own_cart_id(incoming)
        carts = _purchase(person, taken, changes, window)
    elif incoming.type in ("Order Refunded", "Order Cancelled"):
        _undo(person, taken, changes)
    elif incoming.type == "Consent Changed":
        _consent_changed(person, taken, changes)
    elif taken.message is not None:
        _engagement(person, taken, taken.message, changes)
    return Folded(cart_id, carts)


def own_cart_id(incoming: IncomingEvent) -> str | None:
    """The cart id the event itself carries."""
    for name in _CART_PROPERTIES:
        value = incoming.properties.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None


def _traits(person: Person, taken: Taken, changes: Changes) -> None:
    incoming = taken.incoming
    known = {
        name: value for name, value in incoming.traits.items() if name != "consents" and value is not None
    }
    if any(person.traits.get(name) != value for name, value in known.items()):
        person.traits = {**person.traits, **known}
        person.changed = True
    zone = incoming.context.get("timezone")
    if isinstance(zone, str) and zone and zone != person.context_timezone:
        person.context_timezone = zone[:64]
        person.changed = True
    consents = incoming.traits.get("consents")
    if isinstance(consents, dict):
        for channel, granted in sorted(consents.items()):
            if channel in _CONSENT_CHANNELS and isinstance(granted, bool):
                state = "granted" if granted else "withdrawn"
                consent(person, taken, changes, channel, "marketing", state, incoming.source)
            else:
                changes.problem(
                    taken.event_id, "", f"traits.consents.{channel} must be true or false, of a channel"
                )


def _cart(person: Person, taken: Taken, changes: Changes) -> str | None:
    assert taken.typed is not None
    own = own_cart_id(taken.incoming)
    cart = person.carts.get(own) if own else person.open_cart()
    if cart is None:
        # A removal or a look at an unknown, empty cart opens none.
        after = cart_after((), taken.typed)
        if not after and not own:
            return None
        cart = OpenCart(own or f"cart-{taken.event_id.hex}", after, taken.at)
        person.carts[cart.cart_id] = cart
    else:
        cart.lines = cart_after(cart.lines, taken.typed)
        cart.updated_at = max(cart.updated_at, taken.at)
    if isinstance(taken.typed, CheckoutStarted) and _has_email(person, taken):
        _email_from_order(person)
    changes.keep_cart(person, cart, None)
    return cart.cart_id


def _purchase(person: Person, taken: Taken, changes: Changes, window: timedelta | None) -> tuple[str, ...]:
    incoming = taken.incoming
    products = bought_items(incoming)
    order_id = _text(incoming.properties.get("order_id"))
    for line, item in enumerate(products):
        shared = {"event_id": taken.event_id, "line": line, "profile_id": person.profile_id,
                  "order_id": order_id, "item": item.key, "sku": item.sku}  # fmt: skip
        changes.inserts["purchase"].append(
            {
                **shared,
                "name": item.name,
                "price": item.price,
                "quantity": item.quantity,
                "returned": 0,
                "channel": incoming.channel,
                "time": incoming.time,
                "at": taken.at,
            }  # fmt: skip
        )
        until = None if window is None else incoming.time + window
        changes.inserts["suppression"].append({**shared, "until": until, "reason": "purchased"})
    person.orders += 1
    person.last_order_at = max(filter(None, (person.last_order_at, incoming.time)))
    person.changed = True
    if _has_email(person, taken):
        _email_from_order(person)
    _leave_audiences(person, products, changes)
    return _shrink_carts(person, taken, products, changes)


def _shrink_carts(
    person: Person, taken: Taken, bought: tuple[Item, ...], changes: Changes
) -> tuple[str, ...]:
    changed: list[str] = []
    own = own_cart_id(taken.incoming)
    for cart in sorted(person.carts.values(), key=lambda cart: cart.cart_id):
        left = without(cart.lines, bought)
        if left == cart.lines and cart.cart_id != own:
            continue
        cart.lines = left
        changed.append(cart.cart_id)
        changes.keep_cart(person, cart, None if left else taken.at)
    return tuple(changed)


def _leave_audiences(person: Person, bought: tuple[Item, ...], changes: Changes) -> None:
    staying = []
    for member in person.audiences:
        place = Item(product_id=member.item, sku=member.sku)
        if any(covers(item, place) for item in bought):
            changes.leaving.append(member.member_id)
            changes.inserts["outbox"].append(
                {
                    "lane": member.member_id,
                    "kind": "audience",
                    "name": "remove",
                    "trigger": False,
                    "payload": {"audience": member.audience, "reason": "purchased"},
                }  # fmt: skip
            )
        else:
            staying.append(member)
    person.audiences = staying


def _undo(person: Person, taken: Taken, changes: Changes) -> None:
    order_id = _text(taken.incoming.properties.get("order_id"))
    if order_id is None:
        changes.problem(taken.event_id, "", "order_id is missing: no purchase could be undone")
        return
    undone = {"profile_id": person.profile_id, "order_id": order_id, "at": taken.at}
    items = bought_items(taken.incoming)
    changes.undone.extend(
        [{**undone, "item": item.key, "sku": item.sku, "quantity": item.quantity} for item in items]
        or [undone]
    )


def _consent_changed(person: Person, taken: Taken, changes: Changes) -> None:
    said = taken.incoming.properties
    channel, topic, state = (str(said.get(name, "")) for name in ("channel", "topic", "state"))
    if channel in _CONSENT_CHANNELS and state in ("granted", "withdrawn"):
        consent(person, taken, changes, channel, topic or "marketing", state, str(said.get("source", "")))
    else:
        changes.problem(
            taken.event_id, "", "channel must be email, sms, push, ads or all; state granted or withdrawn"
        )


def consent(
    person: Person, taken: Taken, changes: Changes, channel: str, topic: str, state: str, source: str
) -> None:
    """One ledger entry; an opt-out also goes onto the person's addresses, a grant takes it off them."""
    changes.inserts["consent"].append(
        {
            "profile_id": person.profile_id,
            "channel": channel,
            "topic": topic,
            "state": state,
            "source": source,
            "event_id": taken.event_id,
            "at": taken.at,
        }  # fmt: skip
    )
    known = {kind: list(values) for kind, values in person.addresses.items()}
    for kind, value in taken.incoming.identifiers:
        if kind in ("email", "phone") and value not in known.setdefault(kind, []):
            known[kind].append(value)
    for kind_of, kind in _ADDRESS_TYPE.items():
        if channel not in (kind_of, "all"):
            continue
        for address in known.get(kind, []):
            opt_out(taken, changes, kind_of, address, topic, state, source)


def opt_out(
    taken: Taken, changes: Changes, channel: str, address: str, topic: str, state: str, source: str
) -> None:
    """Opt an address out or in."""
    row: dict[str, Any] = {"channel": channel, "address": address, "topic": topic}
    kept = [r for r in changes.inserts["opt_out"] if any(r[name] != row[name] for name in row)]
    reopened = [r for r in changes.reopened if r != row]
    if state == "withdrawn":
        kept.append({**row, "source": source, "at": taken.at})
    else:
        reopened.append(row)
    changes.inserts["opt_out"] = kept
    changes.reopened = reopened


def _engagement(person: Person, taken: Taken, message: KnownMessage, changes: Changes) -> None:
    if status := _STATUS.get(taken.incoming.type):
        changes.messages.append({"message_id": message.message_id, "status": status})
    if taken.incoming.type == "Message Bounced" and message.address:
        known = [r for r in changes.inserts["address_problem"] if r["address"] != message.address]
        changes.inserts["address_problem"] = [
            *known,
            {"channel": message.channel, "address": message.address, "problem": "bounced", "at": taken.at},
        ]
    if taken.incoming.type == "Message Unsubscribed":
        consent(person, taken, changes, message.channel, "marketing", "withdrawn", "message")
        if message.address:
            # The address that was written to, even where the person has another one by now.
            opt_out(taken, changes, message.channel, message.address, "marketing", "withdrawn", "message")


def bought_items(incoming: IncomingEvent) -> tuple[Item, ...]:
    """The products of an order event; one flat product counts as well."""
    products = incoming.properties.get("products")
    if isinstance(products, list):
        return as_items(products)
    return as_items([incoming.properties])


def _has_email(person: Person, taken: Taken) -> bool:
    return bool(person.addresses.get("email")) or any(
        kind == "email" for kind, _ in taken.incoming.identifiers
    )


def _email_from_order(person: Person) -> None:
    if not person.email_from_order:
        person.email_from_order = True
        person.changed = True


def _text(value: object) -> str | None:
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    return None
