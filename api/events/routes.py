"""Routes that receive events: the Segment HTTP API and Waypost's own. 2xx only after COMMIT."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, cast

from fastapi import APIRouter, Request, Response

from api.batching import Overloaded, PartlyCommitted
from api.dependencies import AppState, get_app_state
from api.events.native import is_cloud_event, parse_cloud_event, parse_native_event
from api.events.openapi import NATIVE_DOCS, SEGMENT_DOCS
from api.events.parsed import EventWarning, Rejection, shorten_warnings
from api.events.responses import partly_committed, to_response
from api.events.segment import CALL_TYPE_BY_PATH, SegmentRequest, parse_segment_call
from api.events.verification import EventParser, ParseResult, with_verification
from api.http.admission import Admission, get_admission
from api.http.bodies import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_EVENTS_PER_BODY,
    exceeds_depth,
    read_body,
)
from api.http.json_body import json_size, parse_json_body, repair_json
from api.http.keys import ApiKey, Role
from api.http.problems import Problem, overloaded, unprocessable
from profiles.state.event_records import IncomingEvent

router = APIRouter(tags=["Events in"])

EVENT_PATHS = frozenset({*CALL_TYPE_BY_PATH, "/v1/events"})
"""All paths that receive events; open to every web origin."""

KEY_IN_BODY_PATHS = frozenset(CALL_TYPE_BY_PATH)
"""Paths of which the key may be in the body, where the browser client puts it."""

PARSE_SLICE_S = 0.005
"""Seconds of parsing after which other requests get their turn."""

_UNREPAIRABLE_POINTERS = frozenset({"/id", "/source", "/type", "/messageId", "/event"})
"""Fields in which a repaired text rejects the event, because they identify it."""


async def segment(request: Request) -> Response:
    """Ingest one call of the Segment HTTP API, or a batch of them."""
    app_state, admission = get_app_state(request), get_admission(request)
    body = await read_body(request)
    header_key = admission.key
    if header_key is None:
        if _is_telemetry(request, body):
            return to_response([], [])
        # The browser client's. The body is parsed only if a key that is known here occurs in it.
        admission.take_key_from_body(body)
    call = CALL_TYPE_BY_PATH[request.url.path]
    now = datetime.now(UTC)

    def parser(parsed: Any) -> EventParser:
        envelope = parsed if isinstance(parsed, dict) else {}
        key = header_key or app_state.keys.authorize(_key_from_body(envelope), Role.WRITE)
        sender = SegmentRequest(
            source=f"segment/{key.label}",
            received_at=now,
            sent_at=envelope.get("sentAt") if "batch" in envelope else None,
            region=app_state.settings.region,
        )

        def parse_call(raw: dict[str, Any]) -> ParseResult:
            return parse_segment_call(raw, call, sender)

        return with_verification(parse_call, key.role, app_state.identity_tokens, at=now, sender=key.label)

    return await _ingest_body(app_state, admission, "batch", body, parser)


async def native(request: Request) -> Response:
    """Ingest one native event, ``{"events": [...]}``, one CloudEvent, or a list of either."""
    app_state, admission = get_app_state(request), get_admission(request)
    key = cast(ApiKey, admission.key)
    body = await read_body(request)
    now, region = datetime.now(UTC), app_state.settings.region

    def parse_unverified(raw: dict[str, Any]) -> ParseResult:
        if is_cloud_event(raw):
            return parse_cloud_event(raw, now=now, region=region)
        return parse_native_event(raw, now=now, source=f"api/{key.label}", region=region)

    parse = with_verification(parse_unverified, key.role, app_state.identity_tokens, at=now, sender=key.label)
    return await _ingest_body(app_state, admission, "events", body, lambda _: parse)


def _key_from_body(envelope: dict[str, Any]) -> str | None:
    """Return the key that the browser client puts into the body or into each call of a batch, or None."""
    calls = envelope.get("batch")
    first = calls[0] if isinstance(calls, list) and calls and isinstance(calls[0], dict) else {}
    for holder in (envelope, first):
        if isinstance(held := holder.get("writeKey"), str) and held:
            return held
    return None


def _is_telemetry(request: Request, body: bytes) -> bool:
    # The browser client sends telemetry about itself to /v1/m without a key. It is neither parsed nor stored.
    return request.url.path == "/v1/m" and b'"series"' in body and b'"batch"' not in body


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


async def _ingest_body(
    app_state: AppState,
    admission: Admission,
    name: str,
    body: bytes,
    parser: Callable[[Any], EventParser],
) -> Response:
    """Ingest a bare event, or a list of events, perhaps under ``name``. ``parser``: of the parsed body.

    The rejection of a bare event is the response of the request.
    """
    is_trusted = admission.key is not None and admission.key.role >= Role.SERVER
    async with contextlib.AsyncExitStack() as stack:
        if not is_trusted:
            # One at a time, so that a verified request waits for one slice of parsing at most.
            await stack.enter_async_context(app_state.unverified_parsing)
        admission.settle_body(len(body))
        parsed_items, is_single = await _parse_body(admission, name, body, parser)
    if is_single and isinstance(parsed_items[0], Rejection):
        app_state.metrics.events.labels("rejected").inc()
        raise parsed_items[0].to_problem()
    request_id = token_hex(8)
    events = [
        replace(parsed_item, request=request_id)
        for parsed_item in parsed_items
        if isinstance(parsed_item, IncomingEvent)
    ]
    try:
        with app_state.metrics.ingest_seconds.time():
            stored = await app_state.batcher.submit(events, verified=is_trusted)
    except Overloaded as error:
        admission.refuse("queue")
        raise overloaded(error.retry_after_s) from None
    except PartlyCommitted as error:
        raise partly_committed(parsed_items, error.results, app_state.metrics.events) from error
    admission.budget.charge_replay(sum(result.replayed_events for result in stored))
    return to_response(
        parsed_items,
        stored,
        single=is_single,
        counter=app_state.metrics.events,
        problem_counter=app_state.metrics.event_problems,
    )


async def _parse_body(
    admission: Admission, name: str, body: bytes, parser: Callable[[Any], EventParser]
) -> tuple[list[ParseResult], bool]:
    """Return (the parsed items of a body, whether it is a bare event). Gives way to other requests."""
    parsed = parse_json_body(body)
    read = parser(parsed.value)
    items, is_single = _to_body_items(parsed.value, name)
    admission.budget.charge_events(len(items))
    measure = len(body) > MAX_EVENT_BYTES
    parsed_items: list[ParseResult] = []
    slice_end = time.monotonic() + PARSE_SLICE_S
    for item in items:
        parsed_items.append(_parse_item(item, read, clean=parsed.is_clean, measure=measure))
        if time.monotonic() > slice_end:
            # Yields control here, so that other requests do not wait for the rest of the body.
            await asyncio.sleep(0)
            slice_end = time.monotonic() + PARSE_SLICE_S
    return parsed_items, is_single


def _parse_item(item: Any, read: EventParser, *, clean: bool, measure: bool) -> ParseResult:
    """Parse one item of a body. ``clean``: no value needs a repair. ``measure``: check the item's size."""
    if measure and (type(item) is dict or type(item) is list) and json_size(item) > MAX_EVENT_BYTES:
        # First, since all that follows takes time by the size of the item.
        detail = (
            f"the event is over the limit of {MAX_EVENT_BYTES} bytes (a body: {MAX_BODY_BYTES}); "
            "send less of it"
        )
        return Rejection("too_large", detail, "", _readable_event_id(item), status=413)
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
    event = read(item)
    if isinstance(event, IncomingEvent) and (warnings or event.problems):
        return replace(event, problems=shorten_warnings((*event.problems, *warnings)))
    return event


def _readable_event_id(item: Any) -> str | None:
    event_id = item.get("id", item.get("messageId")) if isinstance(item, dict) else None
    return event_id[:255] if isinstance(event_id, str) and event_id.isprintable() else None


# Routes are matched in order, so the busiest is first.
router.add_api_route("/v1/events", native, methods=["POST"], **NATIVE_DOCS)

for _path, _docs in SEGMENT_DOCS.items():
    router.add_api_route(_path, segment, methods=["POST"], **_docs)
