"""Parser of calls of the Segment HTTP API, as unmodified client libraries send them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.events.native import ShortText, to_rejection
from api.events.parsed import (
    CLOCK_HINT,
    EventWarning,
    EventWithDerivedTime,
    IdentifierCollector,
    Rejection,
    canonical_event_type,
    event_warning,
    is_plausible_time,
    is_set_clock,
    reject_without_identifier,
    shift_time,
    whole_float_to_int,
)
from profiles.events import Source
from profiles.identity.identifiers import IDENTIFIER_TYPES, normalize_identifier
from profiles.redaction import contains_email_or_phone
from profiles.state.event_records import IncomingEvent

EVENT_TYPE_BY_CALL = {
    "identify": "Identified",
    "alias": "Aliased",
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "group": "Group Joined",
}
"""The event that a call other than ``track`` becomes; ``track`` brings its own name."""

CALL_TYPES = ("track", *EVENT_TYPE_BY_CALL)

CALL_TYPE_BY_PATH = {
    "/v1/track": "track",
    "/v1/identify": "identify",
    "/v1/alias": "alias",
    "/v1/page": "page",
    "/v1/screen": "screen",
    "/v1/group": "group",
    "/v1/batch": None,
    "/v1/t": "track",
    "/v1/i": "identify",
    "/v1/a": "alias",
    "/v1/p": "page",
    "/v1/s": "screen",
    "/v1/g": "group",
    "/v1/b": None,
    "/v1/m": None,
}
"""Paths of the Segment HTTP API → call type. None for batches, in which each call has a ``type``."""

IDENTIFIER_FIELDS = {
    "loyalty_id": ("loyalty_id",),
    "email": ("email",),
    "phone": ("phone",),
    "email_sha256": ("email_sha256", "hashed_email"),
}
"""Identifiers that stand in traits, context.traits or properties, each by the names it has there."""

_MAX_ADDRESS_LENGTH = 320
"""Characters of an email address (RFC 5321 section 4.5.3.1). Longer texts are not searched for one."""

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

MAX_CLOCK_ERROR = timedelta(days=1)

CLOCK_TOLERANCE = timedelta(minutes=5)

MAX_QUEUE_TIME = timedelta(days=30)
"""How long a client keeps events that it could not send."""

_SENT_AT_HINT = "is not of the clock that stated the timestamp, and ignored; send the time of sending"

_TIME_HINT = "taken as now; send a time such as 2026-11-21T10:00:00Z"

_WEB_LIBRARY_MARKS = ("analytics.js", "analytics-next", "javascript", "gtm")


class SegmentCall(BaseModel):
    """One call as defined by the Segment spec. Other fields are not stored."""

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
    """What the calls of a request share."""

    source: str
    """Source of all its events: segment/<label of the write key>."""
    received_at: datetime
    sent_at: Any = None
    """``sentAt`` of the batch, for calls without one."""
    region: str | None = None


def parse_segment_call(
    raw: dict[str, Any], call: str | None, sender: SegmentRequest
) -> IncomingEvent | Rejection:
    """Parse one call. ``call``: its type by the path; None in a batch, where each call has a ``type``."""
    try:
        parsed = _SEGMENT_CALL_ADAPTER.validate_python(raw)
    except ValidationError as error:
        return to_rejection(error, raw)
    kind = call or parsed.type or ("track" if parsed.event else "")
    if kind not in CALL_TYPES:
        detail = f"/type is {kind[:40]!r}; send one of {', '.join(CALL_TYPES)}"
        return Rejection("unknown_type", detail, "/type", parsed.messageId)
    if kind == "track" and parsed.event is None:
        detail = "/event is missing; send the event's name, such as Order Completed"
        return Rejection("missing", detail, "/event", parsed.messageId)
    identifiers = _collect_identifiers(parsed, kind, sender.region)
    properties, context = _properties_and_context(parsed, kind)
    event_type, alias, name_faults = _resolve_event_type(parsed, kind, properties)
    if alias:
        context["aliased_from"] = alias
    message_id = parsed.messageId or _derive_message_id(raw, kind, sender)
    if refused := reject_without_identifier(identifiers, properties, message_id, event_type):
        return refused
    time, stated_time, warnings = _resolve_time(parsed, sender)
    return EventWithDerivedTime(
        source=sender.source,
        id=message_id,
        type=event_type,
        channel=detect_channel(kind, raw, context),
        time=time,
        identifiers=identifiers.pairs,
        given_emails=tuple(identifiers.given_emails.items()),
        properties=properties,
        traits=_traits(parsed) if kind == "identify" else {},
        context=context,
        problems=(*identifiers.problems, *name_faults, *warnings),
        stated_time=stated_time,
        pointers=identifiers.pointers,
    )


def _collect_identifiers(parsed: SegmentCall, kind: str, region: str | None) -> IdentifierCollector:
    """Collect the identifiers of a call. Traits of a group call belong to the group and are left out."""
    identifiers = IdentifierCollector(region)
    context = parsed.context or {}
    device = _object_or_empty(context.get("device"))
    places = [
        (parsed.traits or {} if kind != "group" else {}, "/traits"),
        (_object_or_empty(context.get("traits")), "/context/traits"),
        (parsed.properties or {}, "/properties"),
    ]
    identifiers.add("user_id", parsed.userId, "/userId")
    for name, fields in IDENTIFIER_FIELDS.items():
        identifiers.add_first(
            name,
            [(holder.get(field), f"{pointer}/{field}") for holder, pointer in places for field in fields],
        )
    # The advertising id is not used: all apps of a device share it, and its owner may reset it.
    identifiers.add("push_token", device.get("token"), "/context/device/token")
    identifiers.add("anonymous_id", parsed.anonymousId, "/anonymousId")
    if kind == "alias" and not _is_self_alias(parsed):
        identifiers.add(_previous_id_type(parsed, context), parsed.previousId, "/previousId")
    return identifiers


def _object_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_self_alias(parsed: SegmentCall) -> bool:
    """Whether an alias names one id twice, so that it links nothing."""
    ids = (whole_float_to_int(parsed.userId), whole_float_to_int(parsed.previousId))
    try:
        return len({normalize_identifier("user_id", each) for each in ids}) == 1
    except ValueError:
        return False


def _previous_id_type(parsed: SegmentCall, context: dict[str, Any]) -> str:
    """Return the identifier type of previousId: by the context, else email or anonymous_id by its form."""
    id_type = context.get("previous_id_type", context.get("previousIdType"))
    if id_type in IDENTIFIER_TYPES:
        return str(id_type)
    previous = parsed.previousId
    if not isinstance(previous, str) or len(previous) > _MAX_ADDRESS_LENGTH:
        return "anonymous_id"
    if "@" in previous and contains_email_or_phone(previous):
        return "email"
    return "anonymous_id"


def _properties_and_context(parsed: SegmentCall, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    properties, context = dict(parsed.properties or {}), dict(parsed.context or {})
    if kind in ("page", "screen"):
        for name, value in (("name", parsed.name), ("category", parsed.category)):
            if value is not None:
                properties.setdefault(name, value)
    elif kind == "group":
        properties["group_id"] = whole_float_to_int(parsed.groupId)
        properties["group_traits"] = parsed.traits or {}
    return properties, context


def _traits(parsed: SegmentCall) -> dict[str, Any]:
    """Return the traits of an identify call, also those that some libraries send in the context only."""
    in_context = _object_or_empty((parsed.context or {}).get("traits"))
    return {**in_context, **(parsed.traits or {})}


def _resolve_event_type(
    parsed: SegmentCall, kind: str, properties: dict[str, Any]
) -> tuple[str, str | None, tuple[EventWarning, ...]]:
    """Return (event name, original name if it is an alias, warnings). Set ``message_id`` of a message."""
    if kind != "track" or not parsed.event:
        return EVENT_TYPE_BY_CALL[kind], None, ()
    event_type, warnings = canonical_event_type(parsed.event, properties, "/event")
    if event_type == parsed.event:
        return event_type, None, warnings
    if event_type.startswith("Message "):
        values = (properties.get(place) for place in MESSAGE_ID_PROPERTIES)
        if message_id := next((value for value in values if isinstance(value, str) and value), None):
            properties["message_id"] = message_id
    return event_type, parsed.event, warnings


def _derive_message_id(raw: dict[str, Any], kind: str, sender: SegmentRequest) -> str:
    """Derive the id of a call without one: the same for every retry on a day, another for other content."""
    content = {name: value for name, value in raw.items() if name not in ("sentAt", "writeKey")}
    day = sender.received_at.astimezone(UTC).date().isoformat()
    serialized = orjson.dumps([kind, day, content], option=orjson.OPT_SORT_KEYS, default=str)
    return "content-" + hashlib.sha256(serialized).hexdigest()[:40]


def _resolve_time(
    parsed: SegmentCall, sender: SegmentRequest
) -> tuple[datetime, datetime | None, list[EventWarning]]:
    """Return (event time, time as the sender stated it, warnings).

    As Segment does: timestamp + (received - sentAt), which cancels an error of the sender's clock.
    """
    warnings: list[EventWarning] = []
    raw_time = parsed.timestamp if parsed.timestamp is not None else parsed.originalTimestamp
    stated_time = _parse_time(raw_time, "/timestamp", warnings)
    if stated_time is None:
        return sender.received_at, None, warnings
    sent = _parse_time(parsed.sentAt if parsed.sentAt is not None else sender.sent_at, "/sentAt", warnings)
    time: datetime | None = stated_time
    if sent is not None:
        if is_clock_of(sent, stated_time, sender.received_at):
            time = shift_time(stated_time, sender.received_at - sent)
        else:
            warnings.append(event_warning("bad_time", "/sentAt", _SENT_AT_HINT))
    if time is None or not is_plausible_time(time):
        warnings.append(
            event_warning("bad_time", "/timestamp", f"lies outside of 1970 to 2100; {_TIME_HINT}")
        )
        return sender.received_at, stated_time if is_plausible_time(stated_time) else None, warnings
    if not is_set_clock(time):
        warnings.append(event_warning("bad_time", "/timestamp", CLOCK_HINT))
        return sender.received_at, stated_time, warnings
    return time, stated_time, warnings


def is_clock_of(sent: datetime, stated: datetime, received_at: datetime) -> bool:
    """Return whether ``sentAt`` is of the clock that stated an event's time, and so corrects it.

    A clock that is off by more than ``MAX_CLOCK_ERROR`` must have stated the event's time too: no later than
    it sent the call, and no earlier than a client keeps events.
    """
    if abs(received_at - sent) <= MAX_CLOCK_ERROR:
        return True
    return -CLOCK_TOLERANCE <= sent - stated <= MAX_QUEUE_TIME


def _parse_time(value: Any, pointer: str, warnings: list[EventWarning]) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        time = _DATETIME_ADAPTER.validate_python(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValidationError, OverflowError):
        warnings.append(event_warning("bad_time", pointer, f"is not ISO 8601; {_TIME_HINT}"))
        return None


def detect_channel(call: str, raw: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Return the channel of a call: as it states, else by its library, else by its type."""
    for name_in_call in (raw.get("channel"), context.get("channel")):
        if isinstance(name_in_call, str) and name_in_call.lower() in _CHANNEL_BY_NAME:
            return _CHANNEL_BY_NAME[name_in_call.lower()]
    library = context.get("library")
    name = str(library.get("name", "")).lower() if isinstance(library, Mapping) else ""
    if call == "screen" or any(mark in name for mark in _MOBILE_LIBRARY_MARKS):
        return "mobile"
    if call == "page" or any(mark in name for mark in _WEB_LIBRARY_MARKS) or "page" in context:
        return "web"
    return "server"
