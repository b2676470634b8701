"""CloudEvents 1.0 in the JSON format, structured and batched, as native events.

``data`` carries what a native event carries besides its envelope (identifiers, properties, traits, context,
channel). ``subject`` may name the person as type:value, and ``channel`` may be an extension attribute.
"""

from datetime import datetime
from typing import Any

from api.heard import Rejection
from api.native import EXPECTED, native_event
from profiles.identifiers import IDENTIFIER_TYPES
from profiles.incoming import IncomingEvent

_DATA = ("identifiers", "properties", "traits", "context", "channel")


def is_cloud_event(raw: dict[str, Any]) -> bool:
    """Whether an object calls itself a CloudEvent."""
    return "specversion" in raw


def cloud_event(raw: dict[str, Any], *, now: datetime, region: str | None) -> IncomingEvent | Rejection:
    """Read one CloudEvent; source and id are its own, as the specification demands."""
    event_id = raw.get("id") if isinstance(raw.get("id"), str) else None
    if raw["specversion"] != "1.0":
        return _refused("specversion", event_id, "is not a version that is read here")
    if raw.get("source") in (None, ""):
        return _refused("source", event_id, "is missing", code="missing")
    data = raw.get("data", {})
    if "data_base64" in raw or not isinstance(data, dict):
        return _refused("data", event_id, "cannot be read")
    native = {
        name: raw[name] for name in ("id", "source", "type", "time", "channel") if raw.get(name) is not None
    }
    if any(name in data for name in ("identifiers", "properties", "traits")):
        native |= {name: data[name] for name in _DATA if data.get(name) is not None}
    else:
        native["properties"] = data
    subject = raw.get("subject")
    if isinstance(subject, str):
        kind, _, value = subject.partition(":")
        named = native.get("identifiers", {})
        if kind in IDENTIFIER_TYPES and value and isinstance(named, dict):
            native["identifiers"] = {kind: value, **named}
    return native_event(native, now=now, source="", region=region)


def _refused(name: str, event_id: str | None, why: str, *, code: str = "invalid") -> Rejection:
    return Rejection(code, f"/{name} {why}; send {EXPECTED[name]}", f"/{name}", event_id)
