"""Golden files: what is stored or public, as text that a later version must reproduce byte for byte.

``WAYPOST_WRITE_GOLDEN=1`` writes all of them anew; names separated by commas write those alone, such as
``WAYPOST_WRITE_GOLDEN=openapi,openapi_without_texts``. A difference that is meant is committed with its
reason.
"""

import json
import os
from difflib import unified_diff
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("golden")

_SWITCH = "WAYPOST_WRITE_GOLDEN"

_MAX_LINES = 60


def as_json(value: Any) -> bytes:
    """Indented JSON with keys in the order given, so that a diff shows single values."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def assert_golden(name: str, content: bytes) -> None:
    """Compare with the golden file of that name, or write it where the switch says so."""
    path = FOLDER / name
    if _is_to_be_written(path.stem):
        path.write_bytes(content)
    expected = path.read_bytes()
    if expected != content:
        raise AssertionError(
            f"{name} has changed, and it is stored or public. If that is meant, write it anew with "
            f"{_SWITCH}={path.stem} and say why in the commit.\n{_difference(expected, content)}"
        )


def _is_to_be_written(name: str) -> bool:
    names = os.environ.get(_SWITCH, "").split(",")
    return "1" in names or name in names


def _difference(expected: bytes, content: bytes) -> str:
    before, after = _lines(expected), _lines(content)
    lines = list(unified_diff(before, after, "golden", "now", lineterm="", n=2))
    more = [f"… {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
    return "\n".join([*(line[:300] for line in lines[:_MAX_LINES]), *more])


def _lines(content: bytes) -> list[str]:
    """Lines to compare; a document in a single one is spread out first."""
    text = content.decode()
    return (json.dumps(json.loads(text), indent=1) if "\n" not in text and text else text).splitlines()
