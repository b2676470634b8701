"""Golden files: what is stored or public, as text that a later version must reproduce byte for byte.

``WAYPOST_WRITE_GOLDEN=1`` writes all of them anew; names separated by commas write those alone, such as
``WAYPOST_WRITE_GOLDEN=openapi,openapi_without_texts``. A difference that is meant is committed with its
reason.
"""

import json
import os
import re
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("golden")

_SWITCH = "WAYPOST_WRITE_GOLDEN"

_MAX_LINES = 60

_NOW = re.compile(rb"20[23]\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d:\d\d|Z)")
"""An instant of the machine's clock; those of the scenarios lie in 2040."""


def as_json(value: Any) -> bytes:
    """Indented JSON with keys in the order given, so that a diff shows single values."""
    return (json.dumps(value, indent=1, ensure_ascii=False, default=_column) + "\n").encode()


def stamped(value: Any) -> bytes:
    """Rows of tables as JSON; an instant of the machine's clock is replaced by a word."""
    return _NOW.sub(b"<stamped>", as_json(value))


def _column(value: Any) -> str:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case bytes():
            return value.hex()
    return str(value)


def assert_golden(name: str, content: bytes) -> None:
    """Compare with the golden file of that name, or write it where the switch says so."""
    path = FOLDER / name
    if {"1", path.stem} & set(os.environ.get(_SWITCH, "").split(",")):
        path.write_bytes(content)
    expected = path.read_bytes()
    if expected != content:
        lines = list(unified_diff(_lines(expected), _lines(content), "golden", "now", lineterm="", n=2))
        more = [f"… {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
        raise AssertionError(
            f"{name} has changed, and it is stored or public. If that is meant, write it anew with "
            f"{_SWITCH}={path.stem} and say why in the commit.\n"
            + "\n".join([*(line[:300] for line in lines[:_MAX_LINES]), *more])
        )


def _lines(content: bytes) -> list[str]:
    """Lines to compare; a document in a single one is spread out first."""
    text = content.decode()
    return (json.dumps(json.loads(text), indent=1) if "\n" not in text and text else text).splitlines()
