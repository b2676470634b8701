"""What every process shares: logging (JSON in production, text locally) and signals."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

import structlog
from structlog.typing import Processor

from workers import log_format

_PACKAGES = ("activities", "api", "journeys", "local", "policy", "profiles", "workers")

_NAMED_LOGGERS = ("api", "relay", "sweeper", "worker")

_NOISY_LOGGERS = (
    "uvicorn.error",
    "httpx2",
    "httpcore2",
    "httpx",
    "httpcore",
    "alembic",
    "twilio.http_client",
    "asyncpg",
    "sqlalchemy",
    "aiohttp",
    "python_http_client",
    "python_multipart",
)
"""Loggers set to WARNING: they write a line per HTTP request or start-up step, with headers or parameters."""


def configure_logging(*, local: bool, level: str = "INFO") -> None:
    """Send structlog and stdlib logging to standard output in one format. Call once, before the first log.

    ``level`` is that of Waypost's own loggers. Libraries log from INFO, since at DEBUG they write requests,
    keys and parameters. Errors and warnings that nothing handles are logged in the same form.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if local else "iso", utc=not local),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Processor]
    if local:
        console = structlog.dev.ConsoleRenderer(
            colors=_use_color(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
        last = [log_format.exception_text, console]
    else:
        last = [log_format.render_json]
    out = log_format.LogHandler()
    out.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                log_format.describe_exception,
                log_format.redact_values,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [out]
    least = logging.getLevelNamesMapping()[level]
    root.setLevel(max(least, logging.INFO))
    for own in (*_PACKAGES, *_NAMED_LOGGERS):
        logging.getLogger(own).setLevel(least)
    for chatty in _NOISY_LOGGERS:
        logging.getLogger(chatty).setLevel(max(least, logging.WARNING))
    logging.getLogger("uvicorn.error").addFilter(log_format.ClientLeftFilter())
    log_format.log_uncaught_errors(structlog.get_logger("waypost"))


def _use_color() -> bool:
    return "NO_COLOR" not in os.environ and ("FORCE_COLOR" in os.environ or sys.stdout.isatty())


async def run_until_signal(work: "asyncio.Future[Any]") -> None:
    """Wait for SIGTERM or SIGINT, then cancel ``work``. If ``work`` ends by itself, raise its exception."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await wait_unless_stopped(stop, work)


async def wait_unless_stopped(stop: asyncio.Event, work: "asyncio.Future[Any]") -> bool:
    """Wait for ``work``; returns True if it ended, False if ``stop`` was set first.

    In the second case the work is cancelled. Raises what the work raised.
    """
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, work], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if work.done():
        work.result()
        return True
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return False
