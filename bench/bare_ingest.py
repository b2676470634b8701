"""Bare counterpart of ingest: the same event rows, inserted by asyncpg only."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from bench.events import EventBody
from profiles.db.sql import new_id

CREATE_TABLE = "CREATE TABLE bare_event (LIKE event INCLUDING ALL)"

_INSERT_ONE = """
INSERT INTO bare_event (event_id, source, id, content_hash, type, channel, time, at, identifiers, properties,
  traits, context, problems)
VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $8, $9, '{}', $10, '[]')
"""

_INSERT_MANY = """
INSERT INTO bare_event (event_id, source, id, content_hash, type, channel, time, at, identifiers, properties,
  traits, context, problems)
SELECT event_id, source, id, decode(hash, 'hex'), type, channel, time, now(), identifiers, properties, '{}',
  context, '[]'
FROM jsonb_to_recordset($1) AS e(event_id uuid, source text, id text, hash text, type text, channel text,
  time timestamptz, identifiers jsonb, properties jsonb, context jsonb)
"""


async def insert_one(connection: Any, event: EventBody) -> None:
    """Insert one event with one statement and commit."""
    await connection.execute(
        _INSERT_ONE,
        new_id(), event["source"], event["id"], _digest(event), event["type"], event["channel"],
        datetime.fromisoformat(event["time"]), _json(event["identifiers"]), _json(event["properties"]),
        _json(event["context"]),
    )  # fmt: skip


async def insert_many(connection: Any, events: Sequence[EventBody]) -> None:
    """Insert a batch with one statement and commit."""
    rows = [{**event, "event_id": new_id(), "hash": _digest(event).hex()} for event in events]
    await connection.execute(_INSERT_MANY, orjson.dumps(rows, default=str).decode())


async def open_connections(database_url: str, count: int) -> list[Any]:
    """Open ``count`` connections. No statement is prepared in them."""
    return [await asyncpg.connect(database_url, server_settings={"jit": "off"}) for _ in range(count)]


def _digest(event: EventBody) -> bytes:
    return hashlib.sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).digest()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
