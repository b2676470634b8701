"""One stream of log lines per process, ours and every library's: JSON in production, plain words locally."""

import logging
import os
import sys

import structlog
from structlog.typing import Processor

_CHATTY = ("uvicorn.error", "httpx2", "httpcore2", "httpx", "httpcore", "alembic", "twilio.http_client")
"""Libraries whose line per HTTP request, or per step of a start, is noise beside our own decisions."""


def configure(*, local: bool, level: int = logging.INFO) -> None:
    """Send structlog and stdlib logging to standard output in one form. Call once, before anything logs."""
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
        last = [structlog.dev.ConsoleRenderer(colors=_wants_colour(), pad_event_to=0)]
    else:
        last = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [out]
    root.setLevel(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _wants_colour() -> bool:
    return "NO_COLOR" not in os.environ and ("FORCE_COLOR" in os.environ or sys.stdout.isatty())
