"""Parsers of Waypost's own event format and of CloudEvents, as docs/reference/events.md describes them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from api.events.parsed import (
    CLOCK_HINT,
    EventWithDerivedTime,
    IdentifierCollector,
    Rejection,
    canonical_event_type,
    event_warning,
    is_plausible_time,
    is_set_clock,
    reject_without_identifier,
)
from api.http.problems import json_pointer
from profiles.events import MessageReplied, Source
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.state.event_records import IncomingEvent

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]

FIELD_EXPECTATIONS = {
    "id": "the channel's own id of the event, 1 to 255 characters; a retry must carry the same",
    "type": "the event's name, such as Order Completed",
    "source": "who sends, such as pos/berlin-3",
    "channel": "one of " + ", ".join(Source),
    "time": "RFC 3339 with an offset, such as 2026-11-21T10:00:00+01:00, between 1970 and 2100",
    "identifiers": 'an object such as {"email": "ada@example.com"}',
    "properties": "an object",
    "traits": "an object",
    "context": "an object",
    "specversion": '"1.0"',
    "data": "an object with identifiers and properties",
}
"""Field → what it must be, for rejections."""

_CLOUD_EVENT_DATA_FIELDS = ("identifiers", "properties", "traits", "context", "channel")


def _require_rfc3339(value: Any) -> Any:
    # Pydantic would also accept numbers and dates without a time; the contract requires RFC 3339.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or "T" not in value.upper().replace(" ", "T", 1) or len(value) < 20:
        raise ValueError("not RFC 3339 with an offset")
    return value


EventTime = Annotated[AwareDatetime, BeforeValidator(_require_rfc3339)]


class NativeEvent(BaseModel):
    """One event as a channel sends it to ``POST /v1/events``."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "id": "evt-1",
                    "type": "Order Completed",
                    "source": "pos/berlin-3",
                    "channel": "store",
                    "time": "2026-11-21T10:00:00+01:00",
                    "identifiers": {"email": "ada@example.com", "loyalty_id": "L7"},
                    "properties": {
                        "order_id": "o-1",
                        "products": [{"product_id": "p-1", "sku": "p-1-red", "name": "Lamp", "price": 39.0}],
                    },
                }
            ]
        },
    )

    id: ShortText = Field(description=FIELD_EXPECTATIONS["id"])
    type: ShortText = Field(description=FIELD_EXPECTATIONS["type"])
    source: ShortText | None = Field(
        default=None, description="The sender; unique together with id. Missing: api/<key label>"
    )
    channel: Source = Field(default=Source.SERVER, description="Where it happened")
    time: EventTime | None = Field(
        default=None, description=FIELD_EXPECTATIONS["time"] + "; missing: when it arrives"
    )
    identifiers: dict[str, Any] = Field(
        default_factory=dict,
        description=f"The profile: {', '.join(IDENTIFIER_TYPES)}; each a value or a list of values",
    )
    properties: dict[str, Any] = Field(
        default_factory=dict, description="What happened, as in the Segment spec"
    )
    traits: dict[str, Any] = Field(
        default_factory=dict, description="Attributes of the profile, consents included"
    )
    context: dict[str, Any] = Field(default_factory=dict, description="Circumstances, such as timezone")


_NATIVE_EVENT_ADAPTER = TypeAdapter(NativeEvent)


def parse_native_event(
    raw: dict[str, Any], *, now: datetime, source: str, region: str | None
) -> IncomingEvent | Rejection:
    """Parse one native event. ``source`` and ``now`` are the defaults of its source and time."""
    try:
        # A null field is the same as a missing one.
        event = _NATIVE_EVENT_ADAPTER.validate_python(
            {name: value for name, value in raw.items() if value is not None}
        )
    except ValidationError as error:
        return to_rejection(error, raw)
    event_type, warnings = canonical_event_type(event.type, event.properties, "/type")
    context = event.context
    if event_type != event.type:
        context = {**context, "aliased_from": event.type}
    if event.time is not None and not is_plausible_time(event.time):
        return Rejection(
            "bad_time", f"/time must be {FIELD_EXPECTATIONS['time']}; got {raw['time']}", "/time", event.id
        )
    identifiers = IdentifierCollector(region)
    for kind, value in event.identifiers.items():
        identifiers.add_all(kind, value, json_pointer(("identifiers", kind)))
    is_sms_reply = event_type == MessageReplied.event_name and event.channel is Source.SMS
    if is_sms_reply and not identifiers.has_candidates:
        identifiers.add("phone", event.properties.get("from"), "/properties/from")
    if refused := reject_without_identifier(identifiers, event.properties, event.id, event_type):
        return refused
    unknown_fields = [
        event_warning("unknown_field", json_pointer((name,)), "is no field and not kept")
        for name in (event.model_extra or {})
    ]
    time = event.time.astimezone(UTC) if event.time else None
    stated_time = time
    if time is not None and not is_set_clock(time):
        warnings = (*warnings, event_warning("bad_time", "/time", CLOCK_HINT))
        time = None
    return EventWithDerivedTime(
        source=event.source or source,
        id=event.id,
        type=event_type,
        channel=event.channel.value,
        time=time or now,
        identifiers=identifiers.pairs,
        given_emails=tuple(identifiers.given_emails.items()),
        properties=event.properties,
        traits=event.traits,
        context=context,
        problems=(*identifiers.problems, *unknown_fields, *warnings),
        stated_time=stated_time,
        pointers=identifiers.pointers,
    )


def to_rejection(error: ValidationError, raw: dict[str, Any]) -> Rejection:
    """Return the rejection of an event that does not fit its format, with all faults; the first sets code."""
    faults = [
        (json_pointer(fault["loc"]), _describe_fault(fault))
        for fault in error.errors(include_url=False, include_context=False)
    ]
    missing = error.errors()[0]["type"] == "missing"
    event_id = raw.get("id", raw.get("messageId"))
    return Rejection(
        "missing" if missing else "invalid",
        "; ".join(detail for _, detail in faults[:5]),
        faults[0][0],
        event_id if isinstance(event_id, str) else None,
        tuple(faults),
    )


def _describe_fault(fault: ErrorDetails) -> str:
    loc, value = fault["loc"], fault["input"]
    where, expected = json_pointer(loc), FIELD_EXPECTATIONS.get(str(loc[0]) if loc else "", fault["msg"])
    if fault["type"] == "missing":
        return f"{where} is missing; send {expected}"
    shown = type(value).__name__ if isinstance(value, dict | list) else repr(value)[:60]
    return f"{where} must be {expected}; got {shown}"


def is_cloud_event(raw: dict[str, Any]) -> bool:
    """Whether an object claims to be a CloudEvent."""
    return "specversion" in raw


def parse_cloud_event(raw: dict[str, Any], *, now: datetime, region: str | None) -> IncomingEvent | Rejection:
    """Parse one CloudEvent. It must have its own source and id, as the specification requires."""
    event_id = raw.get("id") if isinstance(raw.get("id"), str) else None
    if raw["specversion"] != "1.0":
        return _reject_field("specversion", event_id, "is not a version that is read here")
    if raw.get("source") in (None, ""):
        return _reject_field("source", event_id, "is missing", code="missing")
    data = raw.get("data", {})
    if "data_base64" in raw or not isinstance(data, dict):
        return _reject_field("data", event_id, "cannot be read")
    native = {
        name: raw[name] for name in ("id", "source", "type", "time", "channel") if raw.get(name) is not None
    }
    if any(name in data for name in ("identifiers", "properties", "traits")):
        native |= {name: data[name] for name in _CLOUD_EVENT_DATA_FIELDS if data.get(name) is not None}
    else:
        native["properties"] = data
    subject = raw.get("subject")
    if isinstance(subject, str):
        kind, _, value = subject.partition(":")
        named = native.get("identifiers", {})
        if kind in IDENTIFIER_TYPES and value and isinstance(named, dict):
            native["identifiers"] = {kind: value, **named}
    return parse_native_event(native, now=now, source="", region=region)


def _reject_field(name: str, event_id: str | None, why: str, *, code: str = "invalid") -> Rejection:
    return Rejection(code, f"/{name} {why}; send {FIELD_EXPECTATIONS[name]}", f"/{name}", event_id)
