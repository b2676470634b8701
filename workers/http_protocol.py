"""HTTP/1.1 on a socket, with time limits on headers and bodies, and a size limit on headers."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_TIMEOUT_S = 10.0
"""Seconds from the beginning of a connection, or of its next request, to the end of the headers."""

BODY_TIMEOUT_S = 32.0
"""Seconds from the end of the headers to the end of the body. A route that reads it answers before that."""

MAX_HEADER_BYTES = 64 * 1024
"""Bytes of the request line and the headers together."""

_FRAMING_PER_BODY_BYTE = 8
"""Bytes of chunk sizes and trailers that a byte of a body may come with; a chunk of one byte has five."""

_LINGER_S = 1.0
"""Seconds after a response to such a connection, in which the client may read it."""


class TimedHttpProtocol(HttpToolsProtocol):
    """Ends connections of which headers or body do not arrive in time, whatever is done with the request.

    uvicorn limits only the time between two requests. A client that sends a byte a minute would otherwise
    keep a connection, and what was read of its request, for ever.
    """

    _timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _framing_bytes = 0
    """Of a chunked body: bytes that are not body, beyond those that are allowed."""
    _in_headers = True
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._in_headers:
            # A new request on a connection that was kept open.
            if self._timer is None:
                self._start_timer(HEADER_TIMEOUT_S)
            self._header_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        super().data_received(data)
        if max(self._header_bytes if self._in_headers else 0, self._framing_bytes) > MAX_HEADER_BYTES:
            self._refuse("431 Request Header Fields Too Large", "the headers or trailers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        if self._timer is None:
            self._start_timer(HEADER_TIMEOUT_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers of a chunked body are read by nothing.
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_refused:
            return
        self._in_headers = False
        self._header_bytes = 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES:
            self._refuse("431 Request Header Fields Too Large", "the headers are too large")
            return
        self._start_timer(BODY_TIMEOUT_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = max(0, self._framing_bytes - (1 + _FRAMING_PER_BODY_BYTE) * len(body))
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._in_headers, self._framing_bytes = True, 0
        if not self._is_refused:
            super().on_message_complete()

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        self._refuse("408 Request Timeout", "the request did not arrive in time; send it again")

    def _refuse(self, status: str, detail: str) -> None:
        """Answer and end the connection. A request that is being answered already gets no second answer."""
        self._is_refused = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            body = b'{"type":"about:blank","title":"%s","status":%s,"detail":"%s"}' % (
                status[4:].encode(),
                status[:3].encode(),
                detail.encode(),
            )
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s" % (status.encode(), len(body), body)
            )
        self.transport.close()
        # close() waits until the client has read everything, which a hostile one never does.
        self.loop.call_later(_LINGER_S, self.transport.abort)
