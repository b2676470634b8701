"""Segment's words in Waypost's: names of calls and of message events, and where a call comes from."""

from collections.abc import Mapping
from typing import Any

from profiles.events import Source

EVENT_OF_CALL = {
    "identify": "Identified",
    "alias": "Aliased",
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "group": "Group Joined",
}
"""The event that a call other than ``track`` becomes; ``track`` brings its own name."""

CALLS = ("track", *EVENT_OF_CALL)

MESSAGE_ALIASES = {
    "email delivered": "Message Delivered",
    "email opened": "Message Opened",
    "email link clicked": "Message Clicked",
    "email clicked": "Message Clicked",
    "email bounced": "Message Bounced",
    "email replied": "Message Replied",
    "email unsubscribed": "Message Unsubscribed",
    "email marked as spam": "Message Complained",
    "unsubscribed": "Message Unsubscribed",
    "sms delivered": "Message Delivered",
    "sms link clicked": "Message Clicked",
    "sms clicked": "Message Clicked",
    "sms bounced": "Message Bounced",
    "sms failed": "Message Bounced",
    "sms replied": "Message Replied",
    "sms unsubscribed": "Message Unsubscribed",
    "push notification tapped": "Message Clicked",
    "push notification received": "Message Delivered",
    "push notification bounced": "Message Bounced",
}
"""Names of the Segment email and mobile specs and their kin, in small letters."""

IDENTIFIER_FIELDS = {
    "loyalty_id": ("loyalty_id",),
    "email": ("email",),
    "phone": ("phone",),
    "email_sha256": ("email_sha256", "hashed_email"),
}
"""Identifiers that stand in traits, context.traits or properties, each by the names it has there."""

MESSAGE_ID_PROPERTIES = ("message_id", "messageId", "email_id", "send_id", "sms_id")
"""Where such an event carries the id of the message, in this order."""

_CHANNELS = {source.value: source.value for source in Source} | {
    "browser": "web",
    "client": "web",
    "app": "mobile",
    "pos": "store",
    "sources": "server",
}
_MOBILE = ("ios", "android", "react-native", "flutter", "swift", "kotlin", "unity", "xamarin")
_WEB = ("analytics.js", "analytics-next", "javascript", "gtm")


def channel_of(call: str, raw: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Where a call comes from: what it says, else its library, else its kind."""
    for said in (raw.get("channel"), context.get("channel")):
        if isinstance(said, str) and said.lower() in _CHANNELS:
            return _CHANNELS[said.lower()]
    library = context.get("library")
    name = str(library.get("name", "")).lower() if isinstance(library, Mapping) else ""
    if call == "screen" or any(mark in name for mark in _MOBILE):
        return "mobile"
    if call == "page" or any(mark in name for mark in _WEB) or "page" in context:
        return "web"
    return "server"
