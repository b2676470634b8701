"""The texts of a run that stay the same, shown in the Temporal UI: its summary and its details."""

import re
from collections.abc import Iterator
from typing import Any

import structlog

from activities.contracts import RunStart

log = structlog.get_logger("relay")

_MAX_SUMMARY_BYTES = 360
"""A server may refuse a summary of more than 400 bytes."""

_MAX_DETAILS_BYTES = 4000

_MAX_LINES = 50

_MAX_NAME_LENGTH = 80

_MARKDOWN = re.compile(r"([\\`*_\[\]<>!|#])")


def static_summary(start: RunStart, event_name: str, event: dict[str, Any]) -> str:
    """Return one line: the key, the event that started the run, and the number of items. Never raises."""
    try:
        items = len(_item_lines(event))
        about = f" with {items} item{'' if items == 1 else 's'}" if items else ""
        return _cut(_one_line(f"{start.key}: entered by {event_name}{about}"), _MAX_SUMMARY_BYTES)
    except Exception as error:
        log.error("run without a summary", run_id=start.run_id, error=type(error).__name__)
        return ""


def static_details(start: RunStart, event: dict[str, Any]) -> str:
    """Return the Markdown that does not change during a run, with the items at entry. Never raises.

    ``event`` has the shape that its class declares: an author's class may declare any, also for the fields
    ``cart`` and ``products``.
    """
    header = (
        f"Run `{start.run_id}` of **{start.journey}** for customer `{start.customer_id}`.\n\n"
        f"Its messages and the gate's decisions: `GET /v1/runs/{start.run_id}`"
    )
    try:
        lines = _item_lines(event)
        text = "\n".join(f"- {described}" for described in _describe(lines[:_MAX_LINES]))
        left = f"\n- and {len(lines) - _MAX_LINES} more" if len(lines) > _MAX_LINES else ""
        return _cut(f"{header}\n\nAt entry:\n\n{text}{left}" if text else header, _MAX_DETAILS_BYTES)
    except Exception as error:
        log.error("run without a list of its items", run_id=start.run_id, error=type(error).__name__)
        return header


def _item_lines(event: dict[str, Any]) -> list[Any]:
    for name in ("cart", "products"):
        value = event.get(name)
        if isinstance(value, list) and value:
            return value
    return []


def _describe(lines: list[Any]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, dict):
            name = line.get("name") or line.get("product_id")
            yield f"{_short(line.get('quantity') or 1)} × {_short(name)}"
        else:
            yield _short(line)


def _short(value: Any) -> str:
    """Return a value as a few words of plain text: senders write it, and operators read it."""
    if not isinstance(value, str | int | float):
        return "an item"
    return _MARKDOWN.sub(r"\\\1", _one_line(str(value))[:_MAX_NAME_LENGTH])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, max_bytes: int) -> str:
    """Cut to a number of bytes, as Temporal counts."""
    return text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
