"""Form of log lines: errors without variables, no addresses, bounded. JSON, or text on a local stack."""

import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Any, TextIO
from uuid import UUID

from structlog.typing import EventDict, WrappedLogger

from profiles.error_description import chain_of, describe_error, describe_frames, is_logged, short_path
from profiles.redaction import redact_text

MAX_TEXT_LENGTH = 500
"""Characters of one value of a log line."""

MAX_LINE_BYTES = 8 * 1024
"""Bytes of one log line in JSON. A longer line loses its values, and says so."""

_MAX_ELEMENTS = 20

_MAX_DEPTH = 3

_KEPT_WHEN_CUT = ("event", "level", "logger", "timestamp", "error", "route", "run_id")

_CREDENTIALS = re.compile(
    r"\b(Basic|Bearer)\s+[\w.~+/=:-]{4,}|(?<=://)[^\s/@]{1,200}:[^\s/@]{1,200}(?=@)", re.IGNORECASE
)

_CLIENT_LEFT = frozenset(
    (
        "ClientDisconnect",
        "ConnectionResetError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "LocalProtocolError",
    )
)
"""Errors of uvicorn's connections that say that the client has gone away."""


_MASKED_EMAIL = re.compile(r"[^\s@]?\u2026@[\w.\u2026-]{1,50}")
"""An address as ``mask_identifier`` shows it: at most one letter of the mailbox, for operators."""


class ClientLeftFilter(logging.Filter):
    """Drops records about clients that went away before their answer, and errors that are logged already."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is None:
            return True
        return type(error).__name__ not in _CLIENT_LEFT and not is_logged(error)


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes to standard output. For a record that cannot be formatted, its place is written."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def handleError(self, record: logging.LogRecord) -> None:
        """Write where the record is from, without its arguments."""
        error = sys.exc_info()[1]
        kind = type(error).__name__ if error else "error"
        if isinstance(error, OSError):
            return
        place = f"{short_path(record.pathname)}:{record.lineno}"
        self.stream.write(f"a log record of {record.name} at {place} could not be written: {kind}\n")


def describe_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by ``exception``: a list of errors with type, text and frames, no variables."""
    error = _error_of(event.pop("exc_info", None))
    event.pop("stack_info", None)
    event.pop("stack", None)
    if error is None:
        return event
    event["exception"] = [_exception_entry(each) for each in chain_of(error)]
    return event


def _exception_entry(error: BaseException) -> dict[str, Any]:
    frames, left_out = describe_frames(error.__traceback__)
    name, _, text = describe_error(error).partition(": ")
    entry: dict[str, Any] = {"exc_type": name, "exc_value": text}
    entry["frames"] = [{"filename": f.file, "lineno": f.line, "name": f.function} for f in frames]
    if left_out:
        entry["outer_frames_left_out"] = left_out
    return entry


def _error_of(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple) and len(given) == 3:
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def redact_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Cut and redact every value of a log line, except ``exception``, which is both already.

    Messages of asyncio lose all after their first line, which shows the error and its text.
    """
    exception = event.pop("exception", None)
    if event.get("logger") == "asyncio":
        event["event"] = str(event.get("event", "")).partition("\n")[0]
    cleaned: EventDict = {str(name)[:80]: _clean(value, 0) for name, value in event.items()}
    if exception is not None:
        cleaned["exception"] = exception
    return cleaned


def _clean(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _clean_text(value)
        case Enum():
            return _clean(value.value, depth)
        case UUID():
            return str(value)
        case BaseException():
            return describe_error(value)
        case Mapping() if depth < _MAX_DEPTH:
            pairs = list(value.items())[:_MAX_ELEMENTS]
            return {_clean_text(str(name))[:80]: _clean(each, depth + 1) for name, each in pairs}
        case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH:
            return [_clean(each, depth + 1) for each in list(value)[:_MAX_ELEMENTS]]
        case _:
            return _clean_text(str(value))


def _clean_text(text: str) -> str:
    if _MASKED_EMAIL.fullmatch(text):
        return text
    cut = text[: 4 * MAX_TEXT_LENGTH]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else " " for c in cut)
    return redact_text(_CREDENTIALS.sub("[credentials]", cut), MAX_TEXT_LENGTH)


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return the line as JSON, at most ``MAX_LINE_BYTES`` long."""
    line = json.dumps(event, default=lambda value: type(value).__name__)
    if len(line) <= MAX_LINE_BYTES:
        return line
    kept = {name: event[name] for name in _KEPT_WHEN_CUT if name in event}
    errors = [{**each, "frames": each["frames"][-3:]} for each in event.get("exception", [])]
    kept |= {"exception": errors} if errors else {}
    kept["cut"] = f"the line had {len(line)} bytes, {MAX_LINE_BYTES} are written"
    return json.dumps(kept, default=lambda value: type(value).__name__)[:MAX_LINE_BYTES]


def exception_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Turn ``exception`` into text, innermost error last, for the console."""
    errors = event.pop("exception", None)
    if errors:
        event["exception"] = "\n".join(_entry_text(entry) for entry in reversed(errors))
    return event


def _entry_text(entry: dict[str, Any]) -> str:
    frames = [f"  {each['filename']}:{each['lineno']} {each['name']}" for each in entry["frames"]]
    text = f"{entry['exc_type']}: {entry['exc_value']}" if entry["exc_value"] else entry["exc_type"]
    return "\n".join([*frames, text])


def log_uncaught_errors(logger: Any) -> None:
    """Log errors that end the process or a thread, errors in destructors, and warnings, in the same form.

    Python's own texts quote values; of a warning, its category and place are logged.
    """

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            logger.critical("process_failed", exc_info=(kind, error, trace))

    def in_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_type is not SystemExit and found.exc_value is not None:
            logger.error("thread_failed", exc_info=(found.exc_type, found.exc_value, found.exc_traceback))

    def unraisable(found: Any) -> None:
        if found.exc_value is not None:
            logger.warning("error_in_destructor", error=describe_error(found.exc_value))

    def warned(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        logger.warning("python_warning", category=category.__name__, at=f"{short_path(filename)}:{lineno}")

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable
    warnings.showwarning = warned
