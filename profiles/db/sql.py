"""Ids (UUIDv7), jsonb parameters, and SQL fragments that several packages use."""

from typing import Any
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7, so that ids sort by time. Monotonic within a process."""
    return uuid7()


def encode_jsonb(value: Any) -> str:
    """Encode a value as JSON for one jsonb parameter."""
    return orjson.dumps(value, default=str).decode()


RARE_EVENT_TYPES_PREDICATE = (
    "type NOT IN ('Page Viewed', 'Screen Viewed', 'Product Viewed', 'Product Added', 'Product Removed', "
    "'Cart Viewed', 'Message Delivered', 'Message Opened', 'Message Clicked')"
)
"""All types but the frequent ones, which the index of a profile's tickets and returns leaves out."""

NOTIFY_OUTBOX = "SELECT pg_notify('waypost_outbox', '')"
"""Wakes the outbox listener when the transaction commits."""
