"""What a shopper does, written down the way the shop's systems tell it to Waypost."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.demo.people import DemoShopper

JsonObject = dict[str, Any]

_LIBRARIES = {"web": "analytics.js", "mobile": "analytics-ios"}


@dataclass(frozen=True, slots=True)
class ShopperEvent:
    """One event on its way to the API."""

    at: datetime
    shopper: int
    origin: str
    """web or mobile (Segment calls), else the native source: pos/berlin-3, carrier, mail…"""
    body: JsonObject

    @property
    def is_segment(self) -> bool:
        """Whether it is told as a call of the Segment HTTP API."""
        return self.origin in _LIBRARIES

    @property
    def is_passive(self) -> bool:
        """Whether no journey waits for it, so that the hour it is told at does not matter."""
        return self.body.get("type") in ("Message Delivered", "Message Opened")


class EventBuilder:
    """Writes one shopper's acts, each with an id that is the same for the same seed."""

    def __init__(self, shopper: DemoShopper) -> None:
        self._shopper = shopper
        self._count = 0

    def track(
        self,
        at: datetime,
        device: str,
        name: str,
        properties: JsonObject,
        *,
        known: bool,
        email: str | None = None,
    ) -> ShopperEvent:
        """A track call of the shop's web page or app. ``email``: as typed in at checkout."""
        call = self._segment_call(at, device, "track", known=known) | {
            "event": name,
            "properties": properties,
        }
        if email:
            call["context"]["traits"] = {"email": email}
        return ShopperEvent(at, self._shopper.number, device, call)

    def identify(self, at: datetime, device: str) -> ShopperEvent:
        """Signing in on a device: from here on it is this person's."""
        call = self._segment_call(at, device, "identify", known=True) | {"traits": self._shopper.traits}
        return ShopperEvent(at, self._shopper.number, device, call)

    def store_order(self, at: datetime, till: str, order: JsonObject) -> ShopperEvent:
        """A purchase in a store: all the till knows of the person is the loyalty card."""
        return self._native_event(
            at, till, "Order Completed", order, "store", {"loyalty_id": self._shopper.loyalty_id or ""}
        )

    def system_event(
        self, at: datetime, source: str, name: str, properties: JsonObject, *, channel: str = "server"
    ) -> ShopperEvent:
        """What another system of the shop says about the person's order."""
        return self._native_event(at, source, name, properties, channel, self._shopper.identifiers)

    def message_event(self, at: datetime, name: str, message_id: str, channel: str) -> ShopperEvent:
        """What became of a message; its id says whose it is."""
        return self._native_event(at, "mail", name, {"message_id": message_id}, channel, {})

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

    def _native_event(
        self,
        at: datetime,
        source: str,
        name: str,
        properties: JsonObject,
        channel: str,
        identifiers: JsonObject,
    ) -> ShopperEvent:
        body = {
            "id": self._next_id(),
            "type": name,
            "source": source,
            "channel": channel,
            "time": at.isoformat(),
            "identifiers": identifiers,
            "properties": properties,
        }
        return ShopperEvent(at, self._shopper.number, source, body)

    def _next_id(self) -> str:
        self._count += 1
        return f"demo-{self._shopper.number}-{self._count}"
