"""OpenAPI documentation of the event routes. Their bodies are parsed by content, not by a FastAPI model."""

from typing import Any

from api.events.native import NativeEvent
from api.events.responses import EventResults
from api.events.segment import CALL_TYPE_BY_PATH, SegmentCall
from api.http.bodies import MAX_BODY_BYTES, MAX_DEPTH, MAX_EVENT_BYTES, MAX_EVENTS_PER_BODY
from api.http.problems import Responses, problem_responses

_LIMITS_TEXT = (
    f"Limits: {MAX_EVENT_BYTES // 1024} KiB an event, {MAX_BODY_BYTES // 1024} KiB and "
    f"{MAX_EVENTS_PER_BODY} events a body (after gzip too), depth {MAX_DEPTH}. One bad event never rejects "
    "a batch; a request that holds one bare event answers 422 for it. 429 and 503 have Retry-After, and "
    "nothing is written. Sending the same again is always safe. "
)

_TRUST_TEXT = (
    "A write key may be public, so the identifiers of its events count as unverified, unless "
    "`context.waypost_token` holds identity tokens (one, or a list) that prove every user_id, loyalty_id, "
    "email and phone of the event: see POST /v1/identity/tokens. Events under a server or an admin key are "
    "verified. A token is never kept; one that proves nothing is reported under `problems`."
)

_SEGMENT_TEXT = (
    "The Segment HTTP API; unmodified Segment and RudderStack libraries work when pointed here. The "
    "body is judged by its content, never by its Content-Type, and may be gzip. The write key comes as "
    "Basic or Bearer, or as `writeKey` in the body, as the browser client sends it. `messageId` is the "
    "event's id; a call without one gets an id made from its content and the day, so a retry is a "
    "duplicate, but so is a second, equal call on the same day: send one. `timestamp` is corrected by "
    "`sentAt` as Segment does. The source of all events is `segment/<label of the key>`. An identifier "
    "that is malformed or a placeholder is left out and reported under `problems`. "
)

_NATIVE = (
    'One event, `{"events": [...]}`, a CloudEvent (structured or batched: recognised by `specversion`),'
    " or a list. `id` and `source` together identify an event; `source` defaults to `api/<label of the "
    "key>`. `time` is RFC 3339 with an offset; without it the event happened when it arrives. "
)

_TRACK_EXAMPLE = {
    "messageId": "m-1",
    "userId": "42",
    "event": "Product Added",
    "timestamp": "2026-11-21T10:00:00Z",
    "properties": {"cart_id": "c-1", "product_id": "p-1", "sku": "p-1-red", "name": "Lamp", "price": 39.0},
    "context": {"traits": {"email": "ada@example.com"}, "timezone": "Europe/Berlin"},
}

_SEGMENT_EXAMPLES: dict[str | None, dict[str, Any]] = {
    "track": _TRACK_EXAMPLE,
    "identify": {
        "messageId": "m-2",
        "userId": "42",
        "anonymousId": "a-9",
        "traits": {
            "email": "ada@example.com",
            "first_name": "Ada",
            "consents": {"email": True, "sms": False},
        },
    },
    "alias": {"messageId": "m-3", "userId": "42", "previousId": "a-9"},
    "page": {
        "messageId": "m-4",
        "anonymousId": "a-9",
        "name": "Lamps",
        "properties": {"url": "https://shop.example/lamps"},
    },
    "screen": {"messageId": "m-5", "anonymousId": "a-9", "name": "Lamps"},
    "group": {
        "messageId": "m-6",
        "userId": "42",
        "groupId": "g-1",
        "traits": {"name": "Analytical Engines Ltd"},
    },
    None: {"batch": [{"type": "track", **_TRACK_EXAMPLE}]},
}


_RESPONSES: Responses = {
    200: {"model": EventResults, "description": "One result an event; committed"},
    **problem_responses(
        {
            400: "The body is not JSON, or broken gzip",
            401: "No key, or an unknown one",
            413: "Over a limit",
            422: "The one event of the request is refused",
            429: "Too much is waiting; see Retry-After",
            503: "Postgres is away; see Retry-After",
        }
    ),
}


def _route_docs(
    summary: str, description: str, schema: dict[str, Any], example: Any, operation: str
) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {
        "summary": summary,
        "description": description + _LIMITS_TEXT + _TRUST_TEXT,
        "responses": _RESPONSES,
        "operation_id": operation,
        "openapi_extra": {
            "requestBody": {"required": True, "content": content},
            "security": [{"HTTPBearer": []}],
        },
    }


def _segment_docs(path: str, call: str | None) -> dict[str, Any]:
    call_schema = SegmentCall.model_json_schema()
    call_schema.pop("$defs", None)
    schema = (
        call_schema
        if call
        else {"type": "object", "properties": {"batch": {"type": "array", "items": call_schema}}}
    )
    return _route_docs(
        f"Segment: {call or 'batch'}",
        _SEGMENT_TEXT,
        schema,
        _SEGMENT_EXAMPLES[call],
        "segment" + path.replace("/", "_"),
    )


def _native_docs() -> dict[str, Any]:
    schema = NativeEvent.model_json_schema()
    sources = schema.pop("$defs")["Source"]
    schema["properties"]["channel"] = sources | {"default": "server"}
    example = schema["examples"][0]
    return _route_docs("Native events and CloudEvents", _NATIVE, schema, example, "native_events")


SEGMENT_DOCS = {path: _segment_docs(path, call) for path, call in CALL_TYPE_BY_PATH.items()}

NATIVE_DOCS = _native_docs()
