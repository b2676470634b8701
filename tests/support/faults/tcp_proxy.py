"""A cable between a process and a server, which can hold what goes through it or be pulled out."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536


@dataclass(frozen=True)
class Trap:
    """Catches one connection: the first that sends all of ``words``, in this order."""

    words: tuple[bytes, ...]
    holds_answer: bool
    """False: the chunk with the last word, and all after it, waits. True: only its answer does."""


@dataclass(eq=False)
class _Line:
    """One connection through the cable."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    heard: dict[Trap, int] = field(default_factory=dict)
    """How many words of each trap it has sent."""
    forth: asyncio.Event = field(default_factory=asyncio.Event)
    back: asyncio.Event = field(default_factory=asyncio.Event)


class Cable:
    """Forwards TCP to one server, a line a connection. Use it as ``async with Cable(address) as cable``."""

    def __init__(self, address: str) -> None:
        server = urlsplit(f"//{address}")
        self._host, self._server_port = server.hostname or "", server.port or 0
        self._lines: set[_Line] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._traps: list[Trap] = []
        self._holding = self._unplugged = False
        self._listener: asyncio.Server | None = None
        self.caught = 0
        """Connections that a trap holds."""
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.pull()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def address(self) -> str:
        """Where the process connects to."""
        return f"127.0.0.1:{self.port}"

    def set_trap(self, *words: bytes, holds_answer: bool = False) -> None:
        """Hold the next connection that sends these words, whatever its neighbours do."""
        self._traps.append(Trap(words, holds_answer))

    def hold(self) -> None:
        """Let no request through, on any connection, from now on."""
        self._holding = True
        for line in self._lines:
            line.forth.clear()

    def let_go(self) -> None:
        """Let all through that is held."""
        self._holding = False
        for line in self._lines:
            line.forth.set()
            line.back.set()

    def unplug(self) -> None:
        """Break every connection, and every new one until ``plug_in``."""
        self._unplugged = True
        self.pull()

    def plug_in(self) -> None:
        """Let connections come again."""
        self._unplugged = False

    def pull(self) -> None:
        """Break every connection; new ones may come."""
        for line in self._lines:
            line.client.transport.abort()
            line.server.transport.abort()
            line.forth.set()
            line.back.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._unplugged:
            writer.close()
            return
        try:
            answers, server = await asyncio.open_connection(self._host, self._server_port)
        except OSError:
            writer.close()
            return
        line = _Line(writer, server)
        if not self._holding:
            line.forth.set()
        line.back.set()
        self._lines.add(line)
        for pump in (self._requests(line, reader), self._answers(line, answers)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _requests(self, line: _Line, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK):
                self._listen(line, chunk)
                await line.forth.wait()
                line.server.write(chunk)
                await line.server.drain()
        self._end(line)

    async def _answers(self, line: _Line, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK):
                await line.back.wait()
                line.client.write(chunk)
                await line.client.drain()
        self._end(line)

    def _listen(self, line: _Line, chunk: bytes) -> None:
        for trap in list(self._traps):
            position, count = 0, line.heard.get(trap, 0)
            while count < len(trap.words) and (at := chunk.find(trap.words[count], position)) >= 0:
                position, count = at + len(trap.words[count]), count + 1
            line.heard[trap] = count
            if count == len(trap.words):
                self._traps.remove(trap)
                self.caught += 1
                (line.back if trap.holds_answer else line.forth).clear()

    def _end(self, line: _Line) -> None:
        self._lines.discard(line)
        line.client.close()
        line.server.close()
