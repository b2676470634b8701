"""Reads calls of the Segment HTTP API, one JSON object a line, as Segment and RudderStack archive them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import orjson
from pydantic import TypeAdapter, ValidationError

from workers.ingest.line import Bad, Line, Told, content_id

Row = dict[str, Any]

_TIME = TypeAdapter(datetime)
_TIMES = ("timestamp", "originalTimestamp", "receivedAt")
_LEFT_OUT = ("sentAt", "receivedAt", "originalTimestamp", "writeKey")
"""``sentAt`` corrects a sender's clock by when the call arrives, and an archive arrives years later."""


def read(text: TextIO, shift: timedelta) -> Iterator[Line]:
    """Every call, in the file's order, its time moved by ``shift``; empty lines are passed over."""
    for number, line in enumerate(text, start=1):
        if line.strip():
            yield _line(number, line, shift)


def _line(number: int, line: str, shift: timedelta) -> Line:
    try:
        call = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Bad(number, f"expected one JSON object, got {line.strip()[:40]!r} ({error})")
    if not isinstance(call, dict):
        return Bad(number, f"expected a JSON object, got {type(call).__name__}")
    said = next((call[name] for name in _TIMES if call.get(name)), None)
    if said is None:
        return Bad(number, "timestamp is missing; without it the call would count as made now")
    try:
        time = _TIME.validate_python(said)
    except ValidationError:
        return Bad(number, f"timestamp must be ISO 8601, got {str(said)[:40]!r}")
    time = (time if time.tzinfo else time.replace(tzinfo=UTC)) + shift
    body = {name: value for name, value in call.items() if name not in _LEFT_OUT}
    body["timestamp"] = time.isoformat()
    body["messageId"] = _message_id(body, call.get("messageId"), shift)
    who = call.get("userId") or call.get("anonymousId") or ""
    return Told(number, body, time, str(who), str(call.get("event") or call.get("type") or ""))


def _message_id(body: Row, given: Any, shift: timedelta) -> str:
    """The call's own id; a call that has none, or that is moved to another time, is known by its content."""
    if isinstance(given, str) and given and not shift:
        return given
    return content_id("file", body)
