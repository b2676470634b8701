"""What an unverified event may do to a run. Pure.

Everyone who reads the source of a page can send one. It may silence marketing, as a purchase or a visit does.
It ends and changes nothing that a verified event has started, and nothing about an order.
"""

import hashlib
from typing import Any, Protocol

import orjson

from profiles.events import (
    CartViewed,
    CheckoutStarted,
    CustomerLapsed,
    Event,
    Item,
    OptInRequested,
    OrderCompleted,
    OrderEvent,
    ProductAdded,
    ProductRemoved,
    ProductViewed,
    ReturnCompleted,
    ReturnRequested,
    SegmentEntered,
)
from profiles.state.event_records import StoredEvent
from profiles.state.profile_state import LiveRun

MAX_UNVERIFIED_SIGNALS = 200
"""Unverified events that one run receives; far below the number of signals at which a run ends."""

MAX_UNVERIFIED_SIGNALS_WITH_PURCHASES = 300
"""The same for a purchase, which may end the run."""

INTERNAL_EVENTS = (CustomerLapsed, SegmentEntered, OptInRequested)
"""Events of Waypost's own sweeps. Unverified ones concern no journey."""

VISITOR_EVENTS = (ProductViewed, ProductAdded, ProductRemoved, CartViewed, CheckoutStarted, OrderCompleted)
"""What pages state about a visitor. It can only silence marketing, so it may also end a run."""

_ORDER_EVENTS = (OrderEvent, ReturnRequested, ReturnCompleted)

_NOT_IN_DIGEST = frozenset(Event.model_fields)

_REMEDY = "send it with a server key, or with an identity token"


class EndingRoute(Protocol):
    """What these rules read of a journey."""

    @property
    def ending_names(self) -> frozenset[str]:
        """Names of the events that may end a run."""


def why_left_out(
    stored: StoredEvent, route: EndingRoute, *, has_key: bool, run_is_verified: bool
) -> str | None:
    """Return why an unverified event is not signalled to a run of this kind; None: it may be.

    ``has_key``: the event names the key of the run, other than a cart or a person. A message's own event may
    be signalled, as only the recipient knows the message's id.
    """
    event = stored.event
    if stored.incoming.verified or stored.message_ref is not None or isinstance(event, OrderCompleted):
        return None
    if has_key and isinstance(event, _ORDER_EVENTS):
        return f"an unverified event changes no run of an order; {_REMEDY}"
    if not run_is_verified:
        return None
    if has_key:
        return f"a verified event started the run, and an unverified one does not change it; {_REMEDY}"
    if stored.incoming.type in route.ending_names and not isinstance(event, VISITOR_EVENTS):
        return f"a verified event started the run, and an unverified one does not end it; {_REMEDY}"
    return None


def is_over_bound(stored: StoredEvent, run: LiveRun) -> bool:
    """Return whether a run has received as many unverified events as it may, and this is another one."""
    if stored.incoming.verified:
        return False
    purchase = isinstance(stored.event, OrderCompleted)
    return run.unverified_signals >= (
        MAX_UNVERIFIED_SIGNALS_WITH_PURCHASES if purchase else MAX_UNVERIFIED_SIGNALS
    )


def entry_digest(event: Event) -> str:
    """Return a digest of what an entry event is about.

    For an order, its items. For any other event, all its properties. Two senders that report one order have
    the same digest, in whatever order and words they name its items.
    """
    items = getattr(event, "products", None)
    stated: Any
    if isinstance(event, OrderEvent) and isinstance(items, tuple):
        stated = sorted([item.key, item.quantity] for item in items if isinstance(item, Item))
    else:
        stated = event.model_dump(mode="json", exclude=set(_NOT_IN_DIGEST))
    return hashlib.sha256(orjson.dumps(stated, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
