"""Ids (UUIDv7), rows as dataclasses, jsonb parameters, and SQL fragments that several packages use."""

import base64
from dataclasses import fields
from typing import Any, TypeVar, cast
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

Row = TypeVar("Row")


def new_id() -> UUID:
    """Return a new UUIDv7, so that ids sort by time. Monotonic within a process."""
    return uuid7()


def encode_jsonb(value: Any) -> str:
    """Encode a value as JSON for one jsonb parameter."""
    return orjson.dumps(value, default=str).decode()


def encode_base64url(data: bytes) -> str:
    """Return the URL-safe base64 of some bytes, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Return the bytes of ``encode_base64url``. Raises ValueError for any other text."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


async def fetch_as(connection: Any, row_class: type[Row], statement: str, *arguments: Any) -> list[Row]:
    """Run a statement and return its rows as a dataclass, which has a field for each column."""
    return [row_class(**row) for row in await connection.fetch(statement, *arguments)]


def from_row(row_class: type[Row], row: Any, **values: Any) -> Row:
    """Return a dataclass from the columns named as its fields. ``values`` replace columns or add fields."""
    columns = dict(row)
    names = (field.name for field in fields(cast("Any", row_class)) if field.name in columns)
    return row_class(**{name: columns[name] for name in names} | values)


RARE_EVENT_TYPES_PREDICATE = (
    "type NOT IN ('Page Viewed', 'Screen Viewed', 'Product Viewed', 'Product Added', 'Product Removed', "
    "'Cart Viewed', 'Message Delivered', 'Message Opened', 'Message Clicked')"
)
"""All types but the frequent ones, which the index of a profile's tickets and returns leaves out."""

NOTIFY_OUTBOX = "SELECT pg_notify('waypost_outbox', '')"
"""Wakes the outbox listener when the transaction commits."""
