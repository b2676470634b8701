"""Events in: the Segment HTTP API and Waypost's own, one answer an event, 2xx only after COMMIT."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from api.events.segment import SegmentRequest, parse_segment_call
from api.events.verification import EventParser, ParseResult, with_verification
from api.http.bodies import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_EVENTS_PER_BODY,
    exceeds_depth,
    read_body,
    too_many_events,
)
from api.http.json_body import ParsedBody, parse_json_body, repair_json
from api.http.keys import ApiKey, Role, key_from_header
from api.http.problems import overloaded, unprocessable
from profiles.state.event_records import IncomingEvent

router = APIRouter(tags=["Events in"])

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
"""Segment's paths, short forms included; None where each call says itself what it is."""

EVENT_PATHS = frozenset({*CALL_TYPE_BY_PATH, "/v1/events"})
"""All paths that take events; open to every web origin."""

_UNREPAIRABLE_POINTERS = frozenset({"/id", "/source", "/type", "/messageId", "/event"})


@dataclass(frozen=True, slots=True)
class _BodyItems:
    """What a body holds."""

    items: Sequence[Any]
    is_single: bool
    """A bare event, whose refusal is the request's."""


async def segment(request: Request) -> Response:
    """Take one call of the Segment HTTP API, or a batch of them."""
    open_doors = get_app_state(request)
    given = key_from_header(request)
    key = open_doors.keys.authorize(given, Role.WRITE) if given is not None else None
    body = await read_body(request)
    parsed = parse_json_body(body)
    envelope = parsed.value if isinstance(parsed.value, dict) else {}
    if key is None and _is_telemetry(request, envelope):
        return to_response([], [])
    key = key or open_doors.keys.authorize(_key_from_body(envelope), Role.WRITE)
    sender = SegmentRequest(
        source=f"segment/{key.label}",
        received_at=datetime.now(UTC),
        sent_at=envelope.get("sentAt") if "batch" in envelope else None,
        region=open_doors.settings.region,
    )
    call = CALL_TYPE_BY_PATH[request.url.path]
    found = _to_body_items(parsed.value, "batch")

    def read(raw: dict[str, Any]) -> ParseResult:
        return parse_segment_call(raw, call, sender)

    judged = with_verification(read, key.role, open_doors.identity_tokens, at=sender.received_at)
    return await _ingest_items(open_doors, found, parsed, len(body), judged)


async def native(request: Request) -> Response:
    """Take one native event, ``{"events": [...]}``, one CloudEvent, or a list of either."""
    open_doors = get_app_state(request)
    key: ApiKey = open_doors.keys.authorize(key_from_header(request), Role.WRITE)
    body = await read_body(request)
    parsed = parse_json_body(body)
    now, region = datetime.now(UTC), open_doors.settings.region

    def read(raw: dict[str, Any]) -> ParseResult:
        if is_cloud_event(raw):
            return parse_cloud_event(raw, now=now, region=region)
        return parse_native_event(raw, now=now, source=f"api/{key.label}", region=region)

    judged = with_verification(read, key.role, open_doors.identity_tokens, at=now)
    return await _ingest_items(open_doors, _to_body_items(parsed.value, "events"), parsed, len(body), judged)


def _key_from_body(envelope: dict[str, Any]) -> str | None:
    """The key as the browser client puts it into the body, or into each call of a batch."""
    calls = envelope.get("batch")
    first = calls[0] if isinstance(calls, list) and calls and isinstance(calls[0], dict) else {}
    for holder in (envelope, first):
        if isinstance(held := holder.get("writeKey"), str) and held:
            return held
    return None


def _is_telemetry(request: Request, envelope: dict[str, Any]) -> bool:
    # The browser client reports on itself to /v1/m without a key; nothing of it is kept.
    return (
        request.url.path == "/v1/m" and isinstance(envelope.get("series"), list) and "batch" not in envelope
    )


def _to_body_items(value: Any, name: str) -> _BodyItems:
    """The events of a body. Raises ``Problem`` 413 for too many, 422 for what holds none."""
    if isinstance(value, dict) and name not in value:
        return _BodyItems([value], is_single=True)
    items = value.get(name) if isinstance(value, dict) else value
    if not isinstance(items, list):
        where = f"/{name}" if isinstance(value, dict) else ""
        detail = f"{where or 'the body'} must be an object or a list of objects; got {type(items).__name__}"
        raise unprocessable(detail, (where, detail))
    if len(items) > MAX_EVENTS_PER_BODY:
        raise too_many_events(len(items))
    return _BodyItems(items, is_single=False)


async def _ingest_items(
    open_doors: AppState, found: _BodyItems, parsed: ParsedBody, size: int, read: EventParser
) -> Response:
    heard = [
        _parse_item(item, read, clean=parsed.is_clean, measure=size > MAX_EVENT_BYTES) for item in found.items
    ]
    if found.is_single and isinstance(heard[0], Rejection):
        open_doors.metrics.events.labels("rejected").inc()
        raise heard[0].to_problem()
    good = [one for one in heard if isinstance(one, IncomingEvent)]
    try:
        with open_doors.metrics.ingest_seconds.time():
            stored = await open_doors.batcher.submit(good)
    except Overloaded:
        raise overloaded() from None
    return to_response(heard, stored, single=found.is_single, counter=open_doors.metrics.events)


def _parse_item(item: Any, read: EventParser, *, clean: bool, measure: bool) -> ParseResult:
    """One item of a body as an event, or why not."""
    if exceeds_depth(item):
        detail = f"the event nests deeper than the limit of {MAX_DEPTH} objects and lists; flatten it"
        return Rejection("too_deep", detail, "", _readable_event_id(item))
    if not isinstance(item, dict):
        return Rejection("invalid", f"an event must be an object; got {type(item).__name__}")
    notes: list[EventWarning] = []
    if not clean:
        item, notes = repair_json(item)
        for note in notes:
            if note["pointer"] in _UNREPAIRABLE_POINTERS:
                return Rejection("bad_text", f"{note['detail']}; not in this field", note["pointer"])
    if measure and len(orjson.dumps(item)) > MAX_EVENT_BYTES:
        detail = f"the event is over the limit of {MAX_EVENT_BYTES} bytes (a body: {MAX_BODY_BYTES}); send less of it"
        return Rejection("too_large", detail, "", _readable_event_id(item), status=413)
    heard = read(item)
    if notes and isinstance(heard, IncomingEvent):
        return replace(heard, problems=(*heard.problems, *notes))
    return heard


def _readable_event_id(item: Any) -> str | None:
    told = item.get("id", item.get("messageId")) if isinstance(item, dict) else None
    return told[:255] if isinstance(told, str) and told.isprintable() else None


# Routes are tried in order: the busiest comes first.
router.add_api_route("/v1/events", native, methods=["POST"], **NATIVE_DOCS)

for _path in CALL_TYPE_BY_PATH:
    router.add_api_route(_path, segment, methods=["POST"], **SEGMENT_DOCS[_path])
