"""Request bodies: reading and inflating them, and limits on bytes, events and depth."""

import asyncio
import zlib
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem

MAX_BODY_BYTES = 1024 * 1024
"""Bytes of one body, both as sent and after gzip."""

MAX_EVENT_BYTES = 64 * 1024
"""Bytes of one event as compact JSON."""

MAX_EVENTS_PER_BODY = 1000

MAX_DEPTH = 16
"""Levels of nested objects and lists; the event itself is the first."""

BODY_TIMEOUT_S = 30.0
"""Seconds a client has to send its body."""

_GZIP_MAGIC = b"\x1f\x8b"

_MAX_GZIP_MEMBERS = 1000

_GZIP_PIECE_BYTES = 16 * 1024


async def read_body(request: Request) -> bytes:
    """Return the body, inflated if its first bytes are those of gzip, whatever the headers state.

    Raises ``Problem``: 413 over ``MAX_BODY_BYTES``, before inflating by ``BodySizeLimitMiddleware``; 400 for
    broken gzip, 408 after ``BODY_TIMEOUT_S``, 415 for another compression.
    ``ClientDisconnect`` where the client hung up.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.body()
    except TimeoutError:
        detail = f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s; send it again"
        raise Problem(408, detail) from None
    if body.startswith(_GZIP_MAGIC):
        return decompress_gzip(body)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise Problem(415, f"content-encoding {encoding[:40]!r} is not read here; send gzip or none")
    return body


def decompress_gzip(body: bytes) -> bytes:
    """Inflate a gzip body of any number of members (RFC 1952, section 2.2), also with zeros behind them.

    Stops one byte over the limit, so that a gzip bomb costs no memory. It reads in small pieces, since what
    follows a member is copied: the many members of a hostile body would cost the square of its size.
    """
    plain, position = bytearray(), 0
    for _ in range(_MAX_GZIP_MEMBERS):
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        while not inflater.eof:
            piece = body[position : position + _GZIP_PIECE_BYTES]
            if not piece:
                raise _invalid_gzip("the stream is cut short")
            try:
                plain += inflater.decompress(piece, MAX_BODY_BYTES + 1 - len(plain))
            except zlib.error as error:
                raise _invalid_gzip(str(error)) from None
            if len(plain) > MAX_BODY_BYTES:
                raise body_too_large(" after gzip")
            position += len(piece) - len(inflater.unconsumed_tail) - len(inflater.unused_data)
        if not body[position : position + 1].strip(b"\0") and not body[position:].strip(b"\0"):
            return bytes(plain)
    raise _invalid_gzip(f"it has more than {_MAX_GZIP_MEMBERS} members")


def _invalid_gzip(why: str) -> Problem:
    return Problem(400, f"the body starts as gzip but cannot be inflated: {why}; send it again whole")


def body_too_large(when: str = "") -> Problem:
    """Return the 413 for a body over ``MAX_BODY_BYTES``."""
    return Problem(413, f"the body is over the limit of {MAX_BODY_BYTES} bytes{when}; send smaller batches")


def declared_size(scope: Scope) -> int | None:
    """Return the Content-Length of a request; None if it is missing or no number."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    # More digits than any body has, and than int() reads.
    return int(declared[:18]) if declared.isdigit() else None


def exceeds_depth(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether objects and lists are nested deeper than ``limit``. Iterates by level, without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > limit:
            return True
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
    return False


class BodySizeLimitMiddleware:
    """Rejects bodies over ``MAX_BODY_BYTES``, also if the framework reads them before the key is checked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on while its body is within the limit; answer 413 if it exceeds it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (declared_size(scope) or 0) > MAX_BODY_BYTES:
            await body_too_large().to_response()(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise body_too_large()
            return message

        await self._app(scope, counted, send)
