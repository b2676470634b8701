"""The heartbeat of a process: a file that says when each of its loops last made progress.

A health check of a container reads it (``waypost alive``). It says what a check of the dependencies cannot:
whether this process works.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

log = structlog.get_logger("heartbeat")

WRITE_INTERVAL_S = 2.0

MAX_FILE_AGE_S = 15.0
"""Seconds after which an unchanged file means that the process is stopped, blocked or gone."""

_MAX_ERROR_LENGTH = 200


@dataclass(slots=True)
class Pulse:
    """Progress of one loop. Times are those of the system's monotonic clock, which all processes share."""

    max_age_s: float
    turned_at: float
    """When the loop last came round, with or without success."""
    succeeded_at: float
    """When it last did its work; at first, when the process started."""
    error: str = ""
    """Why it has not since; empty if it has."""

    def turn(self) -> None:
        """Record that the loop came round."""
        self.turned_at = time.monotonic()

    def succeed(self) -> None:
        """Record that the loop did its work."""
        self.turned_at = self.succeeded_at = time.monotonic()
        self.error = ""

    def fail(self, error: BaseException) -> None:
        """Record that the loop could not do its work, and goes on."""
        self.turn()
        self.error = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR_LENGTH]


class Heartbeat:
    """The loops of one process. ``file`` None: nothing is written."""

    def __init__(self, process: str, file: Path | None = None) -> None:
        self._process = process
        self._file = file
        self._pulses: dict[str, Pulse] = {}

    def pulse(self, name: str, max_age_s: float) -> Pulse:
        """Register a loop that comes round within ``max_age_s`` seconds."""
        now = time.monotonic()
        self._pulses[name] = Pulse(max_age_s, now, now)
        return self._pulses[name]

    def drop(self, name: str) -> None:
        """Forget a loop that has ended as it should."""
        self._pulses.pop(name, None)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Write the file every ``WRITE_INTERVAL_S`` seconds, from the event loop; remove it at the end."""
        if self._file is None:
            yield
            return
        writing = asyncio.create_task(self._write_forever(self._file))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait([writing])
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    async def _write_forever(self, file: Path) -> None:
        while True:
            try:
                self.write(file)
            except OSError as error:
                log.error("heartbeat cannot be written", file=str(file), error=str(error))
            await asyncio.sleep(WRITE_INTERVAL_S)

    def write(self, file: Path) -> None:
        """Write the file at once, whole or not at all. Raises OSError."""
        content = {
            "process": self._process,
            "pid": os.getpid(),
            "written_at": time.monotonic(),
            "loops": {name: asdict(pulse) for name, pulse in self._pulses.items()},
        }
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_text(json.dumps(content))
        new.replace(file)


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a heartbeat says now."""

    process: str
    faults: tuple[str, ...]
    """Loops that do not come round. Empty: the process is alive."""
    troubles: tuple[str, ...]
    """Loops that come round, and cannot do their work. A restart does not mend them."""


def read_heartbeat(file: Path) -> Vitals:
    """Return what the heartbeat in a file says. A missing, old or unreadable one is a fault. Never raises."""
    try:
        content = json.loads(file.read_text())
        now = time.monotonic()
        process, age = str(content["process"]), now - float(content["written_at"])
        pulses = {name: Pulse(**pulse) for name, pulse in content["loops"].items()}
    except FileNotFoundError:
        return Vitals("process", (f"no heartbeat in {file}: the process has not started, or has ended",), ())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Vitals("process", (f"the heartbeat in {file} cannot be read: {error}",), ())
    # A file of before a restart of the machine lies in the future of its clock.
    if not -1 <= age <= MAX_FILE_AGE_S:
        return Vitals(process, (f"stopped or blocked: no heartbeat for {abs(age):.0f} s",), ())
    faults = [
        f"{name} hangs: no progress for {now - pulse.turned_at:.0f} s"
        for name, pulse in pulses.items()
        if now - pulse.turned_at > pulse.max_age_s
    ]
    troubles = [
        f"{name} has done no work for {now - pulse.succeeded_at:.0f} s"
        + (f" ({pulse.error})" if pulse.error else "")
        for name, pulse in pulses.items()
        if now - pulse.succeeded_at > pulse.max_age_s
    ]
    return Vitals(process, tuple(faults), tuple(troubles))
