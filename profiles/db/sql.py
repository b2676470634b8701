"""Ids that sort by time: UUIDv7, made here so that nobody reaches for anything else."""

from typing import Any
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh UUIDv7; monotone within a process."""
    return uuid7()


def encode_jsonb(value: Any) -> str:
    """JSON for one jsonb parameter."""
    return orjson.dumps(value, default=str).decode()


RARE_EVENT_TYPES_PREDICATE = (
    "type NOT IN ('Page Viewed', 'Screen Viewed', 'Product Viewed', 'Product Added', 'Product Removed', "
    "'Cart Viewed', 'Message Delivered', 'Message Opened', 'Message Clicked')"
)
"""All but the events that come by the dozen, which an index of a person's cases can do without."""

NOTIFY_OUTBOX = "SELECT pg_notify('waypost_outbox', '')"
