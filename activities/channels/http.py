"""HTTP for provider adapters: tracked connections, bounded responses, retry times and sanitized details.

A tracked connection tells its caller whether a byte of the request may have been sent.
"""

import math
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from profiles.redaction import PLACEHOLDER, redact_text

MAX_BODY_BYTES = 64 * 1024
"""Maximum number of bytes read of a response; providers are untrusted input (OWASP API10)."""

DEFAULT_RETRY_AFTER = timedelta(seconds=10)
"""Wait after a 429 without a time."""

MAX_RETRY_AFTER = timedelta(hours=1)
"""Longest wait that a provider may ask for, in case its clock is wrong."""

PERMANENT_STATUSES = frozenset({400, 413, 415, 422})
"""Statuses that a retry of the same message would get again. An operator may fix the cause of all others."""

_ADDRESS_PATTERN = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;]+|\+?\d(?:[\s().-]{0,2}\d){6,}")

_SECONDS_PATTERN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")

_MAX_DETAIL_LENGTH = 300

_MAX_MATCHED_LENGTH = 2000
"""Characters of a provider's message that are read: matching addresses costs quadratic time."""


class NotConnected(Exception):
    """No byte of the request was sent: DNS, the connection or TLS failed, or the time ran out."""


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """Status, headers (names in lower case) and at most ``MAX_BODY_BYTES`` of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    complete: bool = True
    """False: the body is incomplete, because of the provider or of the limit."""


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> timedelta:
    """Return the wait that a 429 asks for, between one second and ``MAX_RETRY_AFTER``.

    Reads ``X-RateLimit-Reset`` (SendGrid: epoch seconds), then ``Retry-After`` (RFC 9110), and rounds up, so
    that no call is made before the reset. ``DEFAULT_RETRY_AFTER`` where neither can be read.
    """
    epoch_s = _parse_seconds(headers.get("x-ratelimit-reset"))
    if epoch_s is not None:
        wait: timedelta | None = timedelta(seconds=math.ceil(epoch_s - now.timestamp()))
    else:
        wait = _retry_after(headers.get("retry-after"), now)
    return DEFAULT_RETRY_AFTER if wait is None else min(max(wait, timedelta(seconds=1)), MAX_RETRY_AFTER)


def sanitize_detail(words: str) -> str:
    """Replace mail addresses, and numbers as long as a phone's, in a provider's message.

    Details of failures are stored in Temporal histories, which must not contain addresses, and in Postgres,
    which rejects NUL and lone surrogates. So unprintable characters become spaces.
    """
    cut = words if len(words) <= _MAX_MATCHED_LENGTH else words[:_MAX_MATCHED_LENGTH].rpartition(" ")[0]
    printable = "".join(letter if letter.isprintable() else " " for letter in cut)
    replaced = _ADDRESS_PATTERN.sub(PLACEHOLDER, " ".join(printable.split()))
    return redact_text(replaced, _MAX_DETAIL_LENGTH)


def _retry_after(value: str | None, now: datetime) -> timedelta | None:
    seconds = _parse_seconds(value)
    if seconds is not None:
        return timedelta(seconds=math.ceil(seconds))
    if value is None:
        return None
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


def _parse_seconds(value: str | None) -> float | None:
    """Parse a plain decimal number of seconds; None for anything else, and for more than 12 digits."""
    return float(value) if value and _SECONDS_PATTERN.fullmatch(value) else None


class TrackedConnection:
    """The connection of one request, shared by the thread that uses it and the caller, which may abort it.

    ``connect_timeout`` limits the time from construction to the first byte of the request, with waits for
    the pool, DNS and TLS included. So a claim is never used late. All times are in seconds.
    """

    def __init__(self, *, timeout: float, connect_timeout: float) -> None:
        self.timeout = timeout
        self._connect_deadline = time.monotonic() + connect_timeout
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = False

    @property
    def request_started(self) -> bool:
        """Whether a byte of the request may have been sent."""
        return self._socket is not None

    def abort(self) -> None:
        """Abort the request from another thread: it is never sent, or its socket is shut down."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # already closed by the server

    @contextmanager
    def connecting(self, connection: HTTPConnection) -> Iterator[None]:
        """Convert every failure to connect to ``NotConnected``. After the block, bytes may be sent."""
        connection.timeout = self._connect_deadline - time.monotonic()
        if self._aborted or connection.timeout <= 0:
            raise NotConnected("time ran out before the request began")
        try:
            yield
        except (OSError, HTTPException, UnicodeError) as exc:
            raise NotConnected(f"{type(exc).__name__} while connecting") from exc
        with self._lock:
            if self._aborted or time.monotonic() > self._connect_deadline:
                connection.close()
                raise NotConnected("time ran out before the request began")
            self._socket = connection.sock
        connection.sock.settimeout(self.timeout)


class _TrackedHttpConnection(HTTPConnection):
    def __init__(self, host: str, *, wire: TrackedConnection, **options: Any) -> None:
        super().__init__(host, **options)
        self._tracked = wire

    def connect(self) -> None:
        with self._tracked.connecting(self):
            super().connect()


class _TrackedHttpsConnection(_TrackedHttpConnection, HTTPSConnection):
    pass


class _TrackedHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, wire: TrackedConnection, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._tracked, self._tls = wire, tls

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_TrackedHttpConnection, wire=self._tracked), req)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_TrackedHttpsConnection, wire=self._tracked), req, context=self._tls)


def build_opener(wire: TrackedConnection, tls: ssl.SSLContext) -> urllib.request.OpenerDirector:
    """Build an opener that follows no redirects, raises for no status, and uses the proxy settings."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _TrackedHandler(wire, tls),
    ):
        director.add_handler(handler)
    return director


def read_response(response: HTTPResponse) -> ProviderResponse:
    """Read a response with at most ``MAX_BODY_BYTES`` of its body; an incomplete body is marked."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    with response:
        try:
            body = response.read(MAX_BODY_BYTES)
            whole = not response.length and not response.read(1)
        except (HTTPException, OSError):
            return ProviderResponse(response.status, headers, complete=False)
    return ProviderResponse(response.status, headers, body, whole)
