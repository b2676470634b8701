"""Describes errors for logs, histories and operators: type and place, and no value of a customer.

The text of an exception may quote what was being handled: an address, a name, a key, a URL. It is kept only
for types with texts about the environment. Postgres errors keep their message without its DETAIL line, and
not even the message where it quotes values.
"""

import errno
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pydantic import ValidationError

from profiles.redaction import redact_text

MAX_FRAMES = 12
"""Frames described of one traceback, the innermost ones."""

MAX_CAUSES = 4
"""Errors described of a chain of causes."""

MAX_DESCRIPTION_LENGTH = 300

_MAX_FUNCTION_LENGTH = 80

_TYPES_WITH_SAFE_TEXT = (ImportError, AttributeError, NameError, RecursionError, MemoryError)
"""Their texts name modules, attributes and variables of the code."""

_SQLSTATE_CLASSES_WITH_VALUES = ("22", "23")
"""SQLSTATE classes of data and constraints, with messages that may quote values."""

_MAX_FAULTS = 10

_SDK_BRIDGE = "/temporalio/"

_ROOT = str(Path(__file__).resolve().parents[1])

_INSTALLED = "site-packages"


def describe_error(error: BaseException) -> str:
    """Return an error's type, and of its text what holds no customer's data; at most 300 characters.

    Never raises. The type is that of the driver where SQLAlchemy wrapped its error.
    """
    error = _unwrap(error)
    name = type(error).__name__
    text = _safe_text(error)
    return redact_text(f"{name}: {text}" if text else name, MAX_DESCRIPTION_LENGTH)


class Frame(NamedTuple):
    """One frame of a traceback, without its variables."""

    file: str
    """Path below the installation."""
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


def describe_frames(trace: TracebackType | None) -> tuple[list[Frame], int]:
    """Return the innermost ``MAX_FRAMES`` frames, outermost first, and how many outer ones are left out."""
    places: deque[Frame] = deque(maxlen=MAX_FRAMES)
    count = 0
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(Frame(code.co_filename, trace.tb_lineno, code.co_name[:_MAX_FUNCTION_LENGTH]))
        count += 1
        trace = trace.tb_next
    frames = [frame._replace(file=short_path(frame.file)) for frame in places]
    return frames, count - len(frames)


def describe_traceback(error: BaseException) -> str:
    """Return the frames of an error, a line each; empty for one that was not raised."""
    frames, left_out = describe_frames(error.__traceback__)
    lines = [f"({left_out} outer frames left out)"] if left_out else []
    return "\n".join([*lines, *map(str, frames)])


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and then its causes, as a traceback shows them, at most ``MAX_CAUSES``."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and len(seen) < MAX_CAUSES:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def short_path(file: str) -> str:
    """Return a source file's path below the installation, or its last three parts."""
    if _INSTALLED in file:
        return file.rpartition(_INSTALLED)[2].lstrip("/")
    if file.startswith(_ROOT):
        return file[len(_ROOT) :].lstrip("/")
    if file.startswith(sys.base_prefix):
        return "/".join(file.split("/")[-2:])
    return "/".join(file.split("/")[-3:])


def _unwrap(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):
        return original.__cause__ or original
    return error


def _safe_text(error: BaseException) -> str:
    match error:
        case _ if getattr(error, "sqlstate", None):
            return _postgres_text(error)
        case ValidationError():
            return _validation_text(error)
        case UnicodeError():
            return ""
        case OSError():
            # The system's own words. Libraries also raise OSError with texts of theirs.
            known = error.errno is not None and error.errno in errno.errorcode
            return f"[{errno.errorcode[error.errno or 0]}] {error.strerror or ''}".strip() if known else ""
        case _ if type(error).__module__.startswith("temporalio."):
            return _temporal_text(error)
        case BaseExceptionGroup():
            inner = ", ".join(dict.fromkeys(type(each).__name__ for each in error.exceptions[:5]))
            return f"{len(error.exceptions)} errors: {inner}"
        case _ if isinstance(error, _TYPES_WITH_SAFE_TEXT) or _is_of_temporal_sdk(error):
            return str(error)
        case _:
            return ""


def _postgres_text(error: BaseException) -> str:
    state = str(getattr(error, "sqlstate", ""))
    if state[:2] in _SQLSTATE_CLASSES_WITH_VALUES:
        names = (getattr(error, name, None) for name in ("table_name", "column_name", "constraint_name"))
        return " ".join([f"SQLSTATE {state}", *(str(name) for name in names if name)])
    message = str(error.args[0]) if error.args else ""
    return f"SQLSTATE {state} {message}".strip()


def _validation_text(error: ValidationError) -> str:
    """Return kinds of faults and names of missing fields. Other places may be names that a sender chose."""
    faults = error.errors(include_url=False, include_input=False)[:_MAX_FAULTS]
    texts = [f"missing {f['loc'][-1]}" if f["type"] == "missing" and f["loc"] else f["type"] for f in faults]
    count = error.error_count()
    kinds = ", ".join(dict.fromkeys(texts))
    return f"{count} {'fault' if count == 1 else 'faults'} of {error.title}: {kinds}"


def _is_of_temporal_sdk(error: BaseException) -> bool:
    """Return whether it is the SDK's RuntimeError, which is about the connection."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (
        type(error) is RuntimeError and trace is not None and _SDK_BRIDGE in trace.tb_frame.f_code.co_filename
    )


def _temporal_text(error: BaseException) -> str:
    """Return the text of Temporal's errors, which is about the server, and of an activity's own error."""
    status = getattr(getattr(error, "status", None), "name", "")
    message = str(getattr(error, "message", ""))
    return f"{status} {message}".strip()


def mark_logged(error: BaseException) -> None:
    """Mark an error as logged, so that the server that it is raised to does not log it again."""
    error.__dict__["_waypost_logged"] = True


def is_logged(error: BaseException) -> bool:
    """Return whether an error is marked as logged."""
    return bool(error.__dict__.get("_waypost_logged"))
