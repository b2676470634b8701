"""Routes that receive events: the Segment HTTP API and Waypost's own. 2xx only after COMMIT."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from api.batching import Overloaded
from api.dependencies import AppState, get_app_state
from api.events.native import is_cloud_event, parse_cloud_event, parse_native_event
from api.events.openapi import NATIVE_DOCS, SEGMENT_DOCS
from api.events.parsed import EventWarning, Rejection
from api.events.responses import to_response
from api.events.segment import CALL_TYPE_BY_PATH, SegmentRequest, parse_segment_call
from api.events.verification import EventParser, ParseResult, with_verification
from api.http.bodies import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_EVENTS_PER_BODY,
    exceeds_depth,
    read_body,
)
from api.http.json_body import ParsedBody, parse_json_body, repair_json
from api.http.keys import ApiKey, Role, key_from_header
from api.http.problems import Problem, overloaded, unprocessable
from profiles.state.event_records import IncomingEvent

router = APIRouter(tags=["Events in"])

EVENT_PATHS = frozenset({*CALL_TYPE_BY_PATH, "/v1/events"})
"""All paths that receive events; open to every web origin."""

_UNREPAIRABLE_POINTERS = frozenset({"/id", "/source", "/type", "/messageId", "/event"})
"""Fields in which a repaired text rejects the event, because they identify it."""


async def segment(request: Request) -> Response:
    """Ingest one call of the Segment HTTP API, or a batch of them."""
    app_state = get_app_state(request)
    secret = key_from_header(request)
    key = app_state.keys.authorize(secret, Role.WRITE) if secret is not None else None
    body = await read_body(request)
    parsed = parse_json_body(body)
    envelope = parsed.value if isinstance(parsed.value, dict) else {}
    if key is None and _is_telemetry(request, envelope):
        return to_response([], [])
    key = key or app_state.keys.authorize(_key_from_body(envelope), Role.WRITE)
    sender = SegmentRequest(
        source=f"segment/{key.label}",
        received_at=datetime.now(UTC),
        sent_at=envelope.get("sentAt") if "batch" in envelope else None,
        region=app_state.settings.region,
    )
    call = CALL_TYPE_BY_PATH[request.url.path]

    def parse_call(raw: dict[str, Any]) -> ParseResult:
        return parse_segment_call(raw, call, sender)

    parse = with_verification(
        parse_call, key.role, app_state.identity_tokens, at=sender.received_at, sender=key.label
    )
    return await _ingest_items(app_state, "batch", parsed, len(body), parse)


async def native(request: Request) -> Response:
    """Ingest one native event, ``{"events": [...]}``, one CloudEvent, or a list of either."""
    app_state = get_app_state(request)
    key: ApiKey = app_state.keys.authorize(key_from_header(request), Role.WRITE)
    body = await read_body(request)
    parsed = parse_json_body(body)
    now, region = datetime.now(UTC), app_state.settings.region

    def parse_unverified(raw: dict[str, Any]) -> ParseResult:
        if is_cloud_event(raw):
            return parse_cloud_event(raw, now=now, region=region)
        return parse_native_event(raw, now=now, source=f"api/{key.label}", region=region)

    parse = with_verification(parse_unverified, key.role, app_state.identity_tokens, at=now, sender=key.label)
    return await _ingest_items(app_state, "events", parsed, len(body), parse)


def _key_from_body(envelope: dict[str, Any]) -> str | None:
    """Return the key that the browser client puts into the body or into each call of a batch, or None."""
    calls = envelope.get("batch")
    first = calls[0] if isinstance(calls, list) and calls and isinstance(calls[0], dict) else {}
    for holder in (envelope, first):
        if isinstance(held := holder.get("writeKey"), str) and held:
            return held
    return None


def _is_telemetry(request: Request, envelope: dict[str, Any]) -> bool:
    # The browser client sends telemetry about itself to /v1/m without a key. It is not stored.
    return (
        request.url.path == "/v1/m" and isinstance(envelope.get("series"), list) and "batch" not in envelope
    )


def _to_body_items(value: Any, name: str) -> tuple[Sequence[Any], bool]:
    """Return (items of a body, whether it is a bare event). Raises ``Problem`` 413 or 422."""
    if isinstance(value, dict) and name not in value:
        return [value], True
    items = value.get(name) if isinstance(value, dict) else value
    if not isinstance(items, list):
        where = f"/{name}" if isinstance(value, dict) else ""
        detail = f"{where or 'the body'} must be an object or a list of objects; got {type(items).__name__}"
        raise unprocessable(detail, (where, detail))
    if len(items) > MAX_EVENTS_PER_BODY:
        limit = f"the limit is {MAX_EVENTS_PER_BODY}; send smaller batches"
        raise Problem(413, f"the body holds {len(items)} events, {limit}")
    return items, False


async def _ingest_items(
    app_state: AppState, name: str, parsed: ParsedBody, size: int, read: EventParser
) -> Response:
    """Ingest a bare event, or a list of events, perhaps under ``name``.

    The rejection of a bare event is the response of the request.
    """
    items, is_single = _to_body_items(parsed.value, name)
    measure = size > MAX_EVENT_BYTES
    parsed_items = [_parse_item(item, read, clean=parsed.is_clean, measure=measure) for item in items]
    if is_single and isinstance(parsed_items[0], Rejection):
        app_state.metrics.events.labels("rejected").inc()
        raise parsed_items[0].to_problem()
    events = [parsed_item for parsed_item in parsed_items if isinstance(parsed_item, IncomingEvent)]
    try:
        with app_state.metrics.ingest_seconds.time():
            stored = await app_state.batcher.submit(events)
    except Overloaded:
        raise overloaded() from None
    return to_response(parsed_items, stored, single=is_single, counter=app_state.metrics.events)


def _parse_item(item: Any, read: EventParser, *, clean: bool, measure: bool) -> ParseResult:
    """Parse one item of a body. ``clean``: no value needs a repair. ``measure``: check the item's size."""
    if exceeds_depth(item):
        detail = f"the event nests deeper than the limit of {MAX_DEPTH} objects and lists; flatten it"
        return Rejection("too_deep", detail, "", _readable_event_id(item))
    if not isinstance(item, dict):
        return Rejection("invalid", f"an event must be an object; got {type(item).__name__}")
    warnings: list[EventWarning] = []
    if not clean:
        item, warnings = repair_json(item)
        for warning in warnings:
            if warning["pointer"] in _UNREPAIRABLE_POINTERS:
                return Rejection("bad_text", f"{warning['detail']}; not in this field", warning["pointer"])
    if measure and len(orjson.dumps(item)) > MAX_EVENT_BYTES:
        detail = (
            f"the event is over the limit of {MAX_EVENT_BYTES} bytes (a body: {MAX_BODY_BYTES}); "
            "send less of it"
        )
        return Rejection("too_large", detail, "", _readable_event_id(item), status=413)
    event = read(item)
    if warnings and isinstance(event, IncomingEvent):
        return replace(event, problems=(*event.problems, *warnings))
    return event


def _readable_event_id(item: Any) -> str | None:
    event_id = item.get("id", item.get("messageId")) if isinstance(item, dict) else None
    return event_id[:255] if isinstance(event_id, str) and event_id.isprintable() else None


# Routes are matched in order, so the busiest is first.
router.add_api_route("/v1/events", native, methods=["POST"], **NATIVE_DOCS)

for _path, _docs in SEGMENT_DOCS.items():
    router.add_api_route(_path, segment, methods=["POST"], **_docs)
