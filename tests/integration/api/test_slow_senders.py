"""A real socket: slow headers and bodies end in time, large headers are refused, hang-ups are no errors."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from tests.support.deadlines import scaled
from tests.support.environments.api import settings
from workers import http_protocol
from workers.http_protocol import MAX_HEADER_BYTES, TimedHttpProtocol

KEY = b"Authorization: Bearer write-key-of-tests\r\n"
EVENT = b'{"id":"e","type":"T","source":"s","identifiers":{"user_id":"u"}}'


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """The API on a free port, as ``waypost api`` serves it; yields the port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=TimedHttpProtocol, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        # Signals stay with the test runner.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(server.serve([listening]))
        async with asyncio.timeout(scaled(10)):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait on
                await asyncio.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def port(database_url: str) -> AsyncIterator[int]:
    async with served(create_app(settings(database_url))) as port:
        yield port


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_TIMEOUT_S", 0.2)
    monkeypatch.setattr(http_protocol, "BODY_TIMEOUT_S", 0.4)


async def answer_to(port: int, *parts: bytes, pause_s: float = 0.0, close: bool = False) -> bytes:
    """What comes back until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if close:
            return b""
        async with asyncio.timeout(scaled(10)):
            return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def post(path: bytes, *headers: bytes) -> bytes:
    """The beginning of a request."""
    return b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, b"".join(headers))


def test_the_limits_are_those_that_the_documentation_states() -> None:
    assert (http_protocol.HEADER_TIMEOUT_S, http_protocol.BODY_TIMEOUT_S) == (10.0, 32.0)


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((), id="nothing at all"),
        pytest.param((b"POST /v1/events HTTP/1.1\r\n",), id="half of the headers"),
        pytest.param(
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /he"), id="half of a second request"
        ),
    ],
)
async def test_headers_that_do_not_end_are_answered_408_and_closed(
    port: int, parts: tuple[bytes, ...]
) -> None:
    answer = await answer_to(port, *parts)

    assert b"408 Request Timeout" in answer


@pytest.mark.usefixtures("short_limits")
async def test_a_header_byte_now_and_then_does_not_extend_the_time(port: int) -> None:
    began = asyncio.get_running_loop().time()
    answer = await answer_to(port, b"GET / HTTP/1.1\r\n", *[b"a"] * 60, pause_s=0.05)

    assert b"408" in answer or answer == b"reset"
    assert asyncio.get_running_loop().time() - began < 60 * 0.05 + scaled(2)


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(post(b"/v1/events", KEY, b"Content-Length: 100\r\n"), id="with a good key"),
        pytest.param(post(b"/v1/t", b"Content-Length: 100\r\n"), id="with a key in the body, perhaps"),
        pytest.param(post(b"/unsubscribe/x", b"Content-Length: 100\r\n"), id="on a route without a key"),
        pytest.param(post(b"/v1/events", KEY, b"Transfer-Encoding: chunked\r\n"), id="chunked"),
    ],
)
async def test_a_body_that_does_not_end_is_closed(port: int, request_head: bytes) -> None:
    async with asyncio.timeout(scaled(5)):
        await answer_to(port, request_head, b"1\r\n{")


async def test_without_a_key_nobody_waits_for_the_body(port: int) -> None:
    paths = (b"/v1/events", b"/v1/identity/tokens", b"/v1/runs/x/cancel", b"/v1/journeys/j/runs/k/signals/e")
    for path in paths:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(path, b"Content-Type: application/json\r\nContent-Length: 100\r\n"))
        async with asyncio.timeout(scaled(2)):
            first = await reader.readline()
        writer.close()

        assert (path, b"401") == (path, first.split()[1])


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((b"GET / HTTP/1.1\r\nX: ", *[b"a" * 60_000] * 10), id="a header without end"),
        pytest.param((b"GET /" + b"a" * 200_000,), id="a path without end"),
        pytest.param((b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",), id="many headers at once"),
        pytest.param(
            (post(b"/v1/events", b"Authorization: Basic " + b"A" * 512 * 1024 + b"\r\n"),),
            id="a key of 512 KiB",
        ),
        pytest.param(
            (
                post(b"/v1/events", KEY, b"Transfer-Encoding: chunked\r\n"),
                b"0\r\nX: ",
                *[b"a" * 60_000] * 10,
            ),
            id="a trailer without end",
        ),
    ],
)
async def test_headers_beyond_64_kib_are_refused(port: int, parts: tuple[bytes, ...]) -> None:
    answer = await answer_to(port, *parts)

    assert MAX_HEADER_BYTES == 65536
    assert b"HTTP/1.1 431 " in answer or answer == b"reset"


async def test_an_ordinary_request_in_small_pieces_is_served(port: int) -> None:
    head = post(b"/v1/events", KEY, b"Transfer-Encoding: chunked\r\nConnection: close\r\n")
    chunks = [b"1\r\n%c\r\n" % byte for byte in EVENT]
    answer = await answer_to(port, *[head[n : n + 7] for n in range(0, len(head), 7)], *chunks, b"0\r\n\r\n")

    assert b"HTTP/1.1 200 OK" in answer
    assert b'"status":"accepted"' in answer


async def test_a_client_that_hangs_up_in_mid_body_is_no_error(
    port: int, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = [
        post(b"/v1/events", KEY, b"Content-Length: 100\r\n"),
        post(b"/v1/t", b"Content-Length: 100\r\n"),
        post(
            b"/unsubscribe/x", b"Content-Length: 100\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        ),
        b"PUT /v1/profiles/user_id/u/consents HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer admin-key-of-tests\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n",
    ]
    with caplog.at_level(logging.WARNING):
        for head in heads:
            await answer_to(port, head, b'{"canary', close=True)
        # Answered after the hang-ups were noticed.
        await answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    written = caplog.text + "".join(capsys.readouterr())
    assert [word for word in ("Traceback", "error", "ERROR", "canary") if word in written] == []
