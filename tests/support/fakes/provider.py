"""A provider's server on loopback: scripted call by call, with a ledger of what it took."""

import asyncio
import json
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from tests.support.deadlines import scaled
from tests.support.fakes.http import Request, drip, head, read_body, read_head, reset, write
from tests.support.fakes.ledger import Delivery, DeliveryLedger
from tests.support.fakes.mode import Mode, Then

GARBAGE = b"\x16\x03\x01\x00\xa5 this is not the protocol you are looking for\r\n\r\n" * 4


@dataclass(frozen=True)
class ReceivedRequest:
    """A call as it came in, and how it was treated."""

    request: Request
    mode: str
    at: float = field(default_factory=time.time)
    """Epoch seconds at which its head was read."""


class FakeProvider(ABC):
    """Takes calls on ``url``. Use it as ``async with FakeSendGrid() as fake``.

    The next calls take the modes of ``script`` in their order; after those, ``default``.
    """

    name: str

    def __init__(
        self, ledger: DeliveryLedger | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.ledger = ledger or DeliveryLedger()
        self.calls: list[ReceivedRequest] = []
        self.default: Mode = Mode.named("accept")
        self._script: deque[Mode] = deque()
        self._released = asyncio.Event()
        self._arrived = asyncio.Event()
        self._port, self._tls = port, tls
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    # What a provider is

    @abstractmethod
    def deliveries(self, request: Request, provider_id: str) -> list[Delivery]:
        """Read what the request would deliver; raises ``ValueError`` where it is no message."""

    @abstractmethod
    def answer(self, mode: Mode, provider_id: str, request: Request) -> tuple[int, dict[str, str], str]:
        """Give status, headers and body for a call treated so."""

    @abstractmethod
    def new_id(self) -> str:
        """Make the provider's own id of a message."""

    # What a test does with it

    @property
    def url(self) -> str:
        """Where it listens; the port stays the same over ``refuse`` and ``listen``."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def delivered(self) -> list[Delivery]:
        """What people received from this provider."""
        return [one for one in self.ledger.deliveries if one.provider == self.name]

    def script(self, *modes: Mode | str) -> None:
        """Treat the next calls so, in this order, ahead of nothing already scripted."""
        self._script.extend(Mode.named(mode) if isinstance(mode, str) else mode for mode in modes)

    def release(self) -> None:
        """Let every call that hangs have its answer; calls that come later hang again."""
        self._released.set()
        self._released = asyncio.Event()

    async def arrived(self, count: int, *, within_s: float = 10.0) -> None:
        """Wait until so many calls have come in (and, where taken, are in the ledger)."""
        async with asyncio.timeout(scaled(within_s)):
            while len(self.calls) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._talk, "127.0.0.1", self._port, ssl=self._tls, backlog=256, reuse_address=True
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse connections until ``listen``; calls under way go on."""
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.refuse()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    # What happens on a connection

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._talks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_head(reader)
        if request is None:
            return
        mode = self._script.popleft() if self._script else self.default
        released = self._released
        if mode.reads or mode.takes:
            request = await read_body(request, reader)
        provider_id = self.new_id()
        mode = self._take(request, mode, provider_id)
        self.calls.append(ReceivedRequest(request, mode.name))
        self._arrived.set()
        await self._show(mode, provider_id, request, released, writer)

    def _take(self, request: Request, mode: Mode, provider_id: str) -> Mode:
        """Put what the call delivers into the ledger; a call that is no message is rejected instead."""
        if not mode.takes:
            return mode
        try:
            for delivery in self.deliveries(request, provider_id):
                self.ledger.add(delivery)
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            return Mode.named(
                "reject", body=json.dumps({"errors": [{"message": str(exc)}], "message": str(exc)})
            )
        return mode

    async def _show(
        self,
        mode: Mode,
        provider_id: str,
        request: Request,
        released: asyncio.Event,
        writer: asyncio.StreamWriter,
    ) -> None:
        status, headers, body = self.answer(mode, provider_id, request)
        if mode.reset_in_s is not None:
            headers = {**headers, "X-RateLimit-Reset": str(int(time.time() + mode.reset_in_s))}
        match mode.then:
            case Then.HANG:
                await released.wait()
                await write(writer, status, headers, body)
            case Then.RESET:
                reset(writer)
            case Then.CLOSE:
                return
            case Then.GARBAGE:
                writer.write(GARBAGE)
                await writer.drain()
            case Then.CUT:
                writer.write(head(status, headers, len(body) + 100) + body.encode()[: len(body) // 2])
                await writer.drain()
            case Then.DRIP:
                writer.write(head(status, headers, 1_000_000))
                await drip(writer, b" " * 1_000_000)
            case Then.DRIP_HEAD:
                await drip(writer, head(status, headers, 1_000_000))
            case Then.ANSWER:
                await write(writer, status, headers, body)
