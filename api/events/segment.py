"""Calls of the Segment HTTP API as events: what an unmodified client library sends, judged by its content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from api.events.native import to_rejection
from api.events.parsed import (
    EventWarning,
    EventWithDerivedTime,
    IdentifierCollector,
    Rejection,
    is_plausible_time,
    reject_without_identifier,
    shift_time,
    whole_float_to_int,
)
from profiles.events import Source
from profiles.identity.identifiers import IDENTIFIER_TYPES, contains_email_or_phone, normalize_identifier
from profiles.state.event_records import IncomingEvent

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class SegmentCall(BaseModel):
    """One call, as the Segment spec has it; what is not named here is not kept."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    type: str | None = Field(
        default=None, description="track, identify, alias, page, screen or group; in a batch only"
    )
    event: ShortText | None = Field(default=None, description="Name of a track call, such as Order Completed")
    name: str | None = Field(default=None, description="Name of a page or screen")
    category: str | None = None
    messageId: ShortText | None = Field(
        default=None, description="Id of the event; a retry must carry the same"
    )
    userId: Any = None
    anonymousId: Any = None
    previousId: Any = None
    groupId: Any = None
    timestamp: Any = Field(default=None, description="ISO 8601; UTC where it has no offset")
    originalTimestamp: Any = None
    sentAt: Any = Field(default=None, description="By the sender's clock; corrects timestamp")
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_SEGMENT_CALL_ADAPTER = TypeAdapter(SegmentCall)

_DATETIME_ADAPTER = TypeAdapter(datetime)


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """What is known of a request besides its calls."""

    source: str
    """Source of all its events: segment/<label of the write key>."""
    received_at: datetime
    sent_at: Any = None
    """The batch's, for calls that have none of their own."""
    region: str | None = None


def parse_segment_call(
    raw: dict[str, Any], call: str | None, sender: SegmentRequest
) -> IncomingEvent | Rejection:
    """Read one call. ``call``: what its path says it is; None in a batch, where each says so itself."""
    try:
        said = _SEGMENT_CALL_ADAPTER.validate_python(raw)
    except ValidationError as error:
        return to_rejection(error, raw)
    kind = call or said.type or ("track" if said.event else "")
    if kind not in CALL_TYPES:
        why = f"/type is {kind[:40]!r}; send one of {', '.join(CALL_TYPES)}"
        return Rejection("unknown_type", why, "/type", said.messageId)
    if kind == "track" and said.event is None:
        why = "/event is missing; send the event's name, such as Order Completed"
        return Rejection("missing", why, "/event", said.messageId)
    identifiers = _collect_identifiers(said, kind, sender.region)
    properties, context = _properties_and_context(said, kind)
    event_type, alias = _resolve_event_type(said, kind, properties)
    if alias:
        context["aliased_from"] = alias
    message_id = said.messageId or _derive_message_id(raw, kind, sender)
    if refused := reject_without_identifier(identifiers, properties, message_id, event_type):
        return refused
    time, said_time, notes = _resolve_time(said, sender)
    return EventWithDerivedTime(
        source=sender.source,
        id=message_id,
        type=event_type,
        channel=detect_channel(kind, raw, context),
        time=time,
        identifiers=identifiers.pairs,
        properties=properties,
        traits=(said.traits or {}) if kind == "identify" else {},
        context=context,
        problems=(*identifiers.problems, *notes),
        stated_time=said_time,
    )


def _collect_identifiers(said: SegmentCall, kind: str, region: str | None) -> IdentifierCollector:
    """Who a call is about. Traits of a group are the group's, and name no person."""
    found = IdentifierCollector(region)
    context = said.context or {}
    device = _object_or_empty(context.get("device"))
    places = [
        (said.traits or {} if kind != "group" else {}, "/traits"),
        (_object_or_empty(context.get("traits")), "/context/traits"),
        (said.properties or {}, "/properties"),
    ]
    found.add("user_id", said.userId, "/userId")
    for name, fields in IDENTIFIER_FIELDS.items():
        found.add_first(name, [(of.get(one), f"{where}/{one}") for of, where in places for one in fields])
    # The advertising id beside it is shared by every app of the device, and reset at will.
    found.add("push_token", device.get("token"), "/context/device/token")
    found.add("anonymous_id", said.anonymousId, "/anonymousId")
    if kind == "alias" and not _is_self_alias(said):
        found.add(_previous_id_type(said, context), said.previousId, "/previousId")
    return found


def _object_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_self_alias(said: SegmentCall) -> bool:
    """Whether an alias names one id twice, which joins nothing."""
    try:
        return normalize_identifier("user_id", whole_float_to_int(said.userId)) == normalize_identifier(
            "user_id", whole_float_to_int(said.previousId)
        )
    except ValueError:
        return False


def _previous_id_type(said: SegmentCall, context: dict[str, Any]) -> str:
    """What a previousId is: as its context says, an address where it reads as one, else anonymous."""
    told = context.get("previous_id_type", context.get("previousIdType"))
    if told in IDENTIFIER_TYPES:
        return str(told)
    previous = said.previousId
    if isinstance(previous, str) and "@" in previous and contains_email_or_phone(previous):
        return "email"
    return "anonymous_id"


def _properties_and_context(said: SegmentCall, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    properties, context = dict(said.properties or {}), dict(said.context or {})
    if kind in ("page", "screen"):
        for name, value in (("name", said.name), ("category", said.category)):
            if value is not None:
                properties.setdefault(name, value)
    elif kind == "group":
        properties = {
            **properties,
            "group_id": whole_float_to_int(said.groupId),
            "group_traits": said.traits or {},
        }
    return properties, context


def _resolve_event_type(said: SegmentCall, kind: str, properties: dict[str, Any]) -> tuple[str, str | None]:
    """(the event's name, what it was called where that is an alias); an alias also gets its message_id."""
    name = said.event if kind == "track" and said.event else EVENT_TYPE_BY_CALL[kind]
    known = MESSAGE_ALIASES.get(name.lower())
    if known is None:
        return name, None
    for place in MESSAGE_ID_PROPERTIES:
        value = properties.get(place)
        if isinstance(value, str) and value:
            properties["message_id"] = value
            break
    return known, name


def _derive_message_id(raw: dict[str, Any], kind: str, sender: SegmentRequest) -> str:
    """An id for a call that brings none: the same for every retry of a day, another for other content."""
    content = {name: value for name, value in raw.items() if name not in ("sentAt", "writeKey")}
    day = sender.received_at.astimezone(UTC).date().isoformat()
    told = orjson.dumps([kind, day, content], option=orjson.OPT_SORT_KEYS, default=str)
    return "content-" + hashlib.sha256(told).hexdigest()[:40]


def _resolve_time(
    said: SegmentCall, sender: SegmentRequest
) -> tuple[datetime, datetime | None, list[EventWarning]]:
    """(when it happened, when the sender's clock said so, problems).

    As Segment does: timestamp + (received - sentAt), so that a wrong clock at the sender cancels out.
    """
    notes: list[EventWarning] = []
    told = said.timestamp if said.timestamp is not None else said.originalTimestamp
    stamp = _parse_time(told, "/timestamp", notes)
    if stamp is None:
        return sender.received_at, None, notes
    sent = _parse_time(said.sentAt if said.sentAt is not None else sender.sent_at, "/sentAt", notes)
    time = shift_time(stamp, sender.received_at - sent) if sent else stamp
    if time is None or not is_plausible_time(time):
        notes.append(_bad_time_warning("/timestamp", "lies outside of 1970 to 2100"))
        return sender.received_at, stamp if is_plausible_time(stamp) else None, notes
    return time, stamp, notes


def _parse_time(value: Any, where: str, notes: list[EventWarning]) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        time = _DATETIME_ADAPTER.validate_python(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValidationError, OverflowError):
        notes.append(_bad_time_warning(where, "is not ISO 8601"))
        return None


def _bad_time_warning(where: str, why: str) -> EventWarning:
    return {
        "code": "bad_time",
        "pointer": where,
        "detail": f"{where} {why}; taken as now; send a time such as 2026-11-21T10:00:00Z",
    }


EVENT_TYPE_BY_CALL = {
    "identify": "Identified",
    "alias": "Aliased",
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "group": "Group Joined",
}
"""The event that a call other than ``track`` becomes; ``track`` brings its own name."""

CALL_TYPES = ("track", *EVENT_TYPE_BY_CALL)

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

_CHANNEL_BY_NAME = {source.value: source.value for source in Source} | {
    "browser": "web",
    "client": "web",
    "app": "mobile",
    "pos": "store",
    "sources": "server",
}

_MOBILE_LIBRARY_MARKS = ("ios", "android", "react-native", "flutter", "swift", "kotlin", "unity", "xamarin")

_WEB_LIBRARY_MARKS = ("analytics.js", "analytics-next", "javascript", "gtm")


def detect_channel(call: str, raw: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Where a call comes from: what it says, else its library, else its kind."""
    for said in (raw.get("channel"), context.get("channel")):
        if isinstance(said, str) and said.lower() in _CHANNEL_BY_NAME:
            return _CHANNEL_BY_NAME[said.lower()]
    library = context.get("library")
    name = str(library.get("name", "")).lower() if isinstance(library, Mapping) else ""
    if call == "screen" or any(mark in name for mark in _MOBILE_LIBRARY_MARKS):
        return "mobile"
    if call == "page" or any(mark in name for mark in _WEB_LIBRARY_MARKS) or "page" in context:
        return "web"
    return "server"
