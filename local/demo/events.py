"""What a shopper does, written down the way the shop's systems tell it to Waypost."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.demo.people import Shopper

Row = dict[str, Any]

_LIBRARIES = {"web": "analytics.js", "mobile": "analytics-ios"}


@dataclass(frozen=True, slots=True)
class Act:
    """One event on its way to the API."""

    at: datetime
    shopper: int
    door: str
    """web or mobile (Segment calls), else the native source: pos/berlin-3, carrier, mail…"""
    body: Row

    @property
    def is_segment(self) -> bool:
        """Whether it is told as a call of the Segment HTTP API."""
        return self.door in _LIBRARIES

    @property
    def is_passive(self) -> bool:
        """Whether no journey waits for it, so that the hour it is told at does not matter."""
        return self.body.get("type") in ("Message Delivered", "Message Opened")


class Pen:
    """Writes one shopper's acts, each with an id that is the same for the same seed."""

    def __init__(self, shopper: Shopper) -> None:
        self._shopper = shopper
        self._written = 0

    def track(
        self, at: datetime, device: str, name: str, properties: Row, *, known: bool, email: str | None = None
    ) -> Act:
        """A track call of the shop's web page or app. ``email``: as typed in at checkout."""
        call = self._call(at, device, "track", known=known) | {"event": name, "properties": properties}
        if email:
            call["context"]["traits"] = {"email": email}
        return Act(at, self._shopper.number, device, call)

    def identify(self, at: datetime, device: str) -> Act:
        """Signing in on a device: from here on it is this person's."""
        call = self._call(at, device, "identify", known=True) | {"traits": self._shopper.traits}
        return Act(at, self._shopper.number, device, call)

    def receipt(self, at: datetime, till: str, order: Row) -> Act:
        """A purchase in a store: all the till knows of the person is the loyalty card."""
        return self._native(
            at, till, "Order Completed", order, "store", {"loyalty_id": self._shopper.loyalty_id or ""}
        )

    def told(self, at: datetime, source: str, name: str, properties: Row, *, channel: str = "server") -> Act:
        """What another system of the shop says about the person's order."""
        return self._native(at, source, name, properties, channel, self._shopper.identifiers)

    def engagement(self, at: datetime, name: str, message_id: str, channel: str) -> Act:
        """What became of a message; its id says whose it is."""
        return self._native(at, "mail", name, {"message_id": message_id}, channel, {})

    def _call(self, at: datetime, device: str, kind: str, *, known: bool) -> Row:
        shopper = self._shopper
        context: Row = {"library": {"name": _LIBRARIES[device]}}
        if shopper.zone:
            context["timezone"] = shopper.zone
        call = {
            "type": kind,
            "messageId": self._id(),
            "anonymousId": shopper.device(device),
            "timestamp": at.isoformat(),
            "context": context,
        }
        return call | {"userId": shopper.user_id} if known else call

    def _native(
        self, at: datetime, source: str, name: str, properties: Row, channel: str, identifiers: Row
    ) -> Act:
        body = {
            "id": self._id(),
            "type": name,
            "source": source,
            "channel": channel,
            "time": at.isoformat(),
            "identifiers": identifiers,
            "properties": properties,
        }
        return Act(at, self._shopper.number, source, body)

    def _id(self) -> str:
        self._written += 1
        return f"demo-{self._shopper.number}-{self._written}"
