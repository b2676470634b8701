"""Events in: the Segment HTTP API and Waypost's own, one answer an event, 2xx only after COMMIT."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from api.batching import Overloaded
from api.dependencies import Doors, doors
from api.events.native import cloud_event, is_cloud_event, native_event
from api.events.openapi import NATIVE_DOCS, SEGMENT_DOCS
from api.events.parsed import Note, Rejection
from api.events.responses import answered
from api.events.segment import Sender, segment_call
from api.events.verification import Heard, Reader, vouched
from api.http.bodies import MAX_BODY, MAX_DEPTH, MAX_EVENT, MAX_EVENTS, is_deep, read_body, too_many
from api.http.json_body import Parsed, mended, parse
from api.http.keys import Key, Role, header_key
from api.http.problems import overloaded, unprocessable
from profiles.state.event_records import IncomingEvent

router = APIRouter(tags=["Events in"])

CALL_OF_PATH = {
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

PATHS = frozenset({*CALL_OF_PATH, "/v1/events"})
"""All paths that take events; open to every web origin."""

_BEYOND_MENDING = frozenset({"/id", "/source", "/type", "/messageId", "/event"})


@dataclass(frozen=True, slots=True)
class _Items:
    """What a body holds."""

    items: Sequence[Any]
    single: bool
    """A bare event, whose refusal is the request's."""


async def segment(request: Request) -> Response:
    """Take one call of the Segment HTTP API, or a batch of them."""
    open_doors = doors(request)
    given = header_key(request)
    key = open_doors.keys.admit(given, Role.WRITE) if given is not None else None
    body = await read_body(request)
    parsed = parse(body)
    envelope = parsed.value if isinstance(parsed.value, dict) else {}
    if key is None and _is_telemetry(request, envelope):
        return answered([], [])
    key = key or open_doors.keys.admit(_body_key(envelope), Role.WRITE)
    sender = Sender(
        source=f"segment/{key.label}",
        received_at=datetime.now(UTC),
        sent_at=envelope.get("sentAt") if "batch" in envelope else None,
        region=open_doors.settings.region,
    )
    call = CALL_OF_PATH[request.url.path]
    found = _items(parsed.value, "batch")

    def read(raw: dict[str, Any]) -> Heard:
        return segment_call(raw, call, sender)

    judged = vouched(read, key.role, open_doors.identity_tokens, at=sender.received_at)
    return await _taken(open_doors, found, parsed, len(body), judged)


async def native(request: Request) -> Response:
    """Take one native event, ``{"events": [...]}``, one CloudEvent, or a list of either."""
    open_doors = doors(request)
    key: Key = open_doors.keys.admit(header_key(request), Role.WRITE)
    body = await read_body(request)
    parsed = parse(body)
    now, region = datetime.now(UTC), open_doors.settings.region

    def read(raw: dict[str, Any]) -> Heard:
        if is_cloud_event(raw):
            return cloud_event(raw, now=now, region=region)
        return native_event(raw, now=now, source=f"api/{key.label}", region=region)

    judged = vouched(read, key.role, open_doors.identity_tokens, at=now)
    return await _taken(open_doors, _items(parsed.value, "events"), parsed, len(body), judged)


def _body_key(envelope: dict[str, Any]) -> str | None:
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


def _items(value: Any, name: str) -> _Items:
    """The events of a body. Raises ``Problem`` 413 for too many, 422 for what holds none."""
    if isinstance(value, dict) and name not in value:
        return _Items([value], single=True)
    items = value.get(name) if isinstance(value, dict) else value
    if not isinstance(items, list):
        where = f"/{name}" if isinstance(value, dict) else ""
        detail = f"{where or 'the body'} must be an object or a list of objects; got {type(items).__name__}"
        raise unprocessable(detail, (where, detail))
    if len(items) > MAX_EVENTS:
        raise too_many(len(items))
    return _Items(items, single=False)


async def _taken(open_doors: Doors, found: _Items, parsed: Parsed, size: int, read: Reader) -> Response:
    heard = [_heard(item, read, clean=parsed.clean, measure=size > MAX_EVENT) for item in found.items]
    if found.single and isinstance(heard[0], Rejection):
        open_doors.meters.events.labels("rejected").inc()
        raise heard[0].problem()
    good = [one for one in heard if isinstance(one, IncomingEvent)]
    try:
        with open_doors.meters.ingest_seconds.time():
            stored = await open_doors.batcher.submit(good)
    except Overloaded:
        raise overloaded() from None
    return answered(heard, stored, single=found.single, meter=open_doors.meters.events)


def _heard(item: Any, read: Reader, *, clean: bool, measure: bool) -> Heard:
    """One item of a body as an event, or why not."""
    if is_deep(item):
        detail = f"the event nests deeper than the limit of {MAX_DEPTH} objects and lists; flatten it"
        return Rejection("too_deep", detail, "", _own_id(item))
    if not isinstance(item, dict):
        return Rejection("invalid", f"an event must be an object; got {type(item).__name__}")
    notes: list[Note] = []
    if not clean:
        item, notes = mended(item)
        for note in notes:
            if note["pointer"] in _BEYOND_MENDING:
                return Rejection("bad_text", f"{note['detail']}; not in this field", note["pointer"])
    if measure and len(orjson.dumps(item)) > MAX_EVENT:
        detail = f"the event is over the limit of {MAX_EVENT} bytes (a body: {MAX_BODY}); send less of it"
        return Rejection("too_large", detail, "", _own_id(item), status=413)
    heard = read(item)
    if notes and isinstance(heard, IncomingEvent):
        return replace(heard, problems=(*heard.problems, *notes))
    return heard


def _own_id(item: Any) -> str | None:
    told = item.get("id", item.get("messageId")) if isinstance(item, dict) else None
    return told[:255] if isinstance(told, str) and told.isprintable() else None


# Routes are tried in order: the busiest comes first.
router.add_api_route("/v1/events", native, methods=["POST"], **NATIVE_DOCS)

for _path in CALL_OF_PATH:
    router.add_api_route(_path, segment, methods=["POST"], **SEGMENT_DOCS[_path])
