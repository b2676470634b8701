"""What a file of events holds, line by line: an event ready to be sent, or why a line is none."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import orjson

Row = dict[str, Any]

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Told:
    """One event; ``number`` is the line it stands in, or begins in."""

    number: int
    body: Row
    time: datetime
    who: str
    name: str


@dataclass(frozen=True, slots=True)
class Bad:
    """One line that is no event."""

    number: int
    reason: str


Line = Told | Bad


@contextmanager
def opened(file: Path) -> Iterator[tuple[TextIO, BinaryIO]]:
    """The file's text, and the file underneath, whose position tells how far one is.

    Whether it is gzip is judged by its first bytes.
    """
    with file.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if packed:
            with gzip.open(raw, "rt", encoding="utf-8", errors="replace", newline="") as text:
                yield cast(TextIO, text), raw
        else:
            with file.open(encoding="utf-8", errors="replace", newline="") as text:
                yield text, cast(BinaryIO, text.buffer)


def content_id(prefix: str, content: Any) -> str:
    """An id that is the same for the same content, so that a second replay is known as one."""
    told = orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)
    return f"{prefix}-{hashlib.sha256(told).hexdigest()[:40]}"
