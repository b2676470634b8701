"""Events of shoppers in the form in which the shop's systems send them to Waypost."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.demo.people import DemoShopper

JsonObject = dict[str, Any]

_LIBRARIES = {"web": "analytics.js", "mobile": "analytics-ios"}

_WITH_EMAIL = ("Checkout Started", "Order Completed")


@dataclass(frozen=True, slots=True)
class ShopperEvent:
    """One event to be sent to the API."""

    at: datetime
    shopper: int
    origin: str
    """"web" or "mobile" for Segment calls, else the native source such as pos/berlin-3, carrier or mail."""
    body: JsonObject

    @property
    def is_segment(self) -> bool:
        """Whether the event is sent as a call of the Segment HTTP API."""
        return self.origin in _LIBRARIES

    @property
    def is_passive(self) -> bool:
        """Whether no journey waits for the event, so that the time of sending does not matter."""
        return self.body.get("type") in ("Message Delivered", "Message Opened")


class EventBuilder:
    """Builds the events of one shopper. Their ids are the same for the same seed."""

    def __init__(self, shopper: DemoShopper) -> None:
        self._shopper = shopper
        self._count = 0

    def track(
        self, at: datetime, device: str, name: str, properties: JsonObject, *, known: bool | None = None
    ) -> ShopperEvent:
        """Return a track call of the shop's web page or app.

        ``known``: whether the device is logged in; by default, if the shopper has an account. A checkout
        without a login has the email address that is entered there.
        """
        known = self._shopper.has_account if known is None else known
        call = self._segment_call(at, device, "track", known=known)
        call |= {"event": name, "properties": properties}
        if name in _WITH_EMAIL and not known and self._shopper.email:
            call["context"]["traits"] = {"email": self._shopper.email}
        return ShopperEvent(at, self._shopper.number, device, call)

    def identify(self, at: datetime, device: str) -> ShopperEvent:
        """Return the identify call of a login on a device, which links the device to the shopper."""
        call = self._segment_call(at, device, "identify", known=True) | {"traits": self._shopper.traits}
        return ShopperEvent(at, self._shopper.number, device, call)

    def store_order(self, at: datetime, till: str, order: JsonObject) -> ShopperEvent:
        """Return a purchase in a store, where the loyalty card is the only identifier."""
        card = {"loyalty_id": self._shopper.loyalty_id or ""}
        return self.system_event(at, till, "Order Completed", order, "store", card)

    def system_event(
        self,
        at: datetime,
        source: str,
        name: str,
        properties: JsonObject,
        channel: str = "server",
        identifiers: JsonObject | None = None,
    ) -> ShopperEvent:
        """Return an event of another system of the shop; by default with the shopper's own identifiers."""
        body = {
            "id": self._next_id(),
            "type": name,
            "source": source,
            "channel": channel,
            "time": at.isoformat(),
            "identifiers": self._shopper.identifiers if identifiers is None else identifiers,
            "properties": properties,
        }
        return ShopperEvent(at, self._shopper.number, source, body)

    def support_event(self, at: datetime, name: str, properties: JsonObject) -> ShopperEvent:
        """Return an event of the shop's support about the shopper's order or ticket."""
        return self.system_event(at, "support", name, properties, "support")

    def message_event(self, at: datetime, name: str, message_id: str, channel: str) -> ShopperEvent:
        """Return an engagement event of a message; the profile follows from the message id."""
        return self.system_event(at, "mail", name, {"message_id": message_id}, channel, {})

    def _segment_call(self, at: datetime, device: str, kind: str, *, known: bool) -> JsonObject:
        shopper = self._shopper
        context: JsonObject = {"library": {"name": _LIBRARIES[device]}}
        if shopper.zone:
            context["timezone"] = shopper.zone
        call = {
            "type": kind,
            "messageId": self._next_id(),
            "anonymousId": shopper.device_id(device),
            "timestamp": at.isoformat(),
            "context": context,
        }
        return call | {"userId": shopper.user_id} if known else call

    def _next_id(self) -> str:
        self._count += 1
        return f"demo-{self._shopper.number}-{self._count}"
