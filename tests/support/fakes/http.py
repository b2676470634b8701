"""HTTP/1.1 as a fake provider needs it: one request per connection, and every way to answer badly."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from http import HTTPStatus

_BODY_LIMIT = 32 * 1024 * 1024

_DRIP_EVERY_S = 0.05


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def read_head(reader: asyncio.StreamReader) -> Request | None:
    """Read request line and headers; None where the other side went away."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = head.split("\r\n")
    method, path, _ = line.split(" ", 2)
    pairs = (header.partition(":") for header in rest if header)
    return Request(method, path, {name.lower(): value.strip() for name, _, value in pairs})


async def read_body(request: Request, reader: asyncio.StreamReader) -> Request:
    """Read as many bytes as the head announced."""
    length = min(int(request.headers.get("content-length", "0")), _BODY_LIMIT)
    return Request(request.method, request.path, request.headers, await reader.readexactly(length))


def head(status: int, headers: dict[str, str], length: int) -> bytes:
    """Build the head of an answer; the connection ends after it."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {length}", "Connection: close", "", ""]).encode("latin-1")


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by a TCP reset."""
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def write(writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: str) -> None:
    """Send a whole answer."""
    data = body.encode()
    writer.write(head(status, headers, len(data)) + data)
    await writer.drain()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte at a time."""
    for position in range(len(data)):
        writer.write(data[position : position + 1])
        await writer.drain()
        await asyncio.sleep(_DRIP_EVERY_S)
