"""Ids that sort by time: UUIDv7, made here so that nobody reaches for anything else."""

from typing import Any
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh UUIDv7; monotone within a process."""
    return uuid7()


def encode(rows: Any) -> str:
    """JSON for one jsonb parameter."""
    return orjson.dumps(rows, default=str).decode()


RARE_EVENTS = (
    "type NOT IN ('Page Viewed', 'Screen Viewed', 'Product Viewed', 'Product Added', 'Product Removed', "
    "'Cart Viewed', 'Message Delivered', 'Message Opened', 'Message Clicked')"
)
"""All but the events that come by the dozen, which an index of a person's cases can do without."""

NOTIFY = "SELECT pg_notify('waypost_outbox', '')"
