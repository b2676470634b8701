"""Readers of event files: REES46's shop logs (eCommerce behavior data) and Segment calls, one per line.

REES46 logs have views, carts and purchases of signed-in users. A reader yields a ``ParsedLine`` with the
body of the request, or an ``InvalidLine``, for each event. A line that is no event costs no other line.
"""

import csv
import hashlib
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from cli.ingest.lines import InvalidLine, RawLine, TextLine
from workers.errors import UserError

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """One event. ``line_number``: the line of the event, or its first line."""

    line_number: int
    body: JsonObject
    time: datetime
    person: str
    event_name: str


FileLine = ParsedLine | InvalidLine


def content_id(prefix: str, content: Any) -> str:
    """Return an id that is the same for the same content, so that a second replay yields duplicates."""
    encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)
    return f"{prefix}-{hashlib.sha256(encoded).hexdigest()[:40]}"


REES46_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)

REES46_SOURCE = "rees46"

_EVENT_NAMES = {"view": "Product Viewed", "cart": "Product Added", "remove_from_cart": "Product Removed"}


_DELIMITERS = (",", ";", "\t", "|")

_MAX_LINES_PER_ROW = 20
"""Lines of a row with line breaks in quotes. A quote that is not closed by then is taken for a stray one."""

_DECIMAL_COMMA = re.compile(r"-?\d+,\d{1,2}")


def read_rees46(lines: Iterable[RawLine], shift: timedelta) -> Iterator[FileLine]:
    """Yield every row as a native event, in the file's order, with its time moved by ``shift``.

    The log has one row per item and no order ids, so all purchases of a session at one time are one order.
    Sessions are no identifiers: every row has its user, and a session shared by two users must not join them.
    Columns are separated by a comma, a semicolon, a tab or a bar. Raises ``UserError`` if columns are
    missing, or are there twice.
    """
    rows = iter(lines)
    first = next(rows, TextLine(1, ""))
    delimiter, header = _read_header(first)
    orders: dict[tuple[str, str], list[tuple[int, JsonObject]]] = {}
    for number, values in _read_rows(rows, delimiter, len(header)):
        if isinstance(values, str):
            yield InvalidLine(number, values)
            continue
        if _to_names(values) == header:
            yield InvalidLine(number, "repeats the first line; leave it out when you join files")
            continue
        row: JsonObject = dict(zip(header, values, strict=True))
        fault, time = _validate_row(row)
        if time is None:
            yield InvalidLine(number, fault)
            continue
        row["time"] = time + shift
        yield from _complete_orders(orders, before=row["time"])
        if row["event_type"] == "purchase":
            orders.setdefault((row["user_id"], row["user_session"]), []).append((number, row))
        else:
            yield _to_parsed_line(number, _EVENT_NAMES[row["event_type"]], row, _to_product(row))
    yield from _complete_orders(orders, before=None)


def _read_header(first: RawLine) -> tuple[str, list[str]]:
    """Return (delimiter, names of the columns). Raises ``UserError``."""
    text = first.text if isinstance(first, TextLine) else ""
    expected = f"expected a REES46 file with the columns {', '.join(REES46_COLUMNS)}"
    if isinstance(first, InvalidLine):
        raise UserError(f"{expected}; the first line {first.reason}")
    for delimiter in _DELIMITERS:
        header = _to_names(_split_row(text, delimiter) or [])
        if set(REES46_COLUMNS) <= set(header):
            break
    else:
        header = _to_names(_split_row(text, ",") or [])
        missing = [name for name in REES46_COLUMNS if name not in header]
        raise UserError(f"{expected}; {', '.join(missing)} missing, the first line is {text[:120]!r}")
    if twice := [name for name, count in Counter(header).items() if count > 1 and name in REES46_COLUMNS]:
        raise UserError(f"{expected}, each once; {', '.join(twice)} is there twice: take one column out")
    return delimiter, header


def _to_names(values: Iterable[str]) -> list[str]:
    return [value.strip().lower() for value in values]


def _read_rows(
    lines: Iterator[RawLine], delimiter: str, columns: int
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (number of its first line, its values or its fault) of each row. Empty lines are skipped."""
    ahead: deque[RawLine] = deque()
    while (line := ahead.popleft() if ahead else next(lines, None)) is not None:
        if isinstance(line, InvalidLine):
            yield line.line_number, line.reason
            continue
        if not line.text.strip():
            continue
        values = _split_row(line.text, delimiter)
        text, taken = line.text, 0
        while values is None and taken < _MAX_LINES_PER_ROW - 1:
            # A quote is open. It is closed in a later line, or a stray one.
            if taken == len(ahead):
                if (following := next(lines, None)) is None:
                    break
                ahead.append(following)
            continued = ahead[taken]
            # A line that is a row by itself is no part of a value: the quote is a stray one.
            if isinstance(continued, InvalidLine) or _is_row(continued.text, delimiter, columns):
                break
            text, taken = f"{text}\n{continued.text}", taken + 1
            values = _split_row(text, delimiter)
        if values is None or (taken and len(values) != columns):
            yield line.number, "has a quote that is not closed; take it out, or write it twice in quotes"
        elif len(values) != columns:
            yield line.number, f"expected {columns} columns, got {len(values)}"
        else:
            for _ in range(taken):
                ahead.popleft()
            yield line.number, values


def _is_row(text: str, delimiter: str, columns: int) -> bool:
    return len(_split_row(text, delimiter) or ()) == columns


def _split_row(text: str, delimiter: str) -> list[str] | None:
    """Return the values of a row; None where a quote is not closed."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        if "unexpected end" in str(error) or "\n" in text:
            return None
    try:
        # A quoted value with text behind it.
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []


def _validate_row(row: JsonObject) -> tuple[str, datetime | None]:
    """Return (the fault of the row, None), or ("", its time)."""
    kind = row["event_type"]
    if kind != "purchase" and kind not in _EVENT_NAMES:
        return f"event_type must be one of purchase, {', '.join(_EVENT_NAMES)}; got {kind[:40]!r}", None
    for name in ("product_id", "user_id"):
        if not row[name].strip():
            return f"{name} is empty", None
    if _DECIMAL_COMMA.fullmatch(row["price"].strip()):
        row["price"] = row["price"].replace(",", ".")
    try:
        if not math.isfinite(float(row["price"] or 0)):
            raise ValueError
    except ValueError:
        return f"price must be a number, got {row['price'][:40]!r}", None
    try:
        return "", datetime.strptime(row["event_time"].removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S").replace(
            tzinfo=UTC
        )
    except ValueError:
        return f"event_time must read as 2019-10-01 00:00:00 UTC, got {row['event_time'][:40]!r}", None


def _complete_orders(
    orders: dict[tuple[str, str], list[tuple[int, JsonObject]]], *, before: datetime | None
) -> Iterator[ParsedLine]:
    """Remove and yield the orders that no later row can extend: those before a time, or all for None."""
    for key, lines in list(orders.items()):
        number, first = lines[0]
        if before is not None and first["time"] >= before:
            continue
        del orders[key]
        products = [_to_product(row) for _, row in lines]
        order = {
            "order_id": f"{first['user_session']}-{int(first['time'].timestamp())}",
            "total": round(sum(product.get("price") or 0.0 for product in products), 2),
            "currency": "USD",
            "products": products,
        }
        yield _to_parsed_line(number, "Order Completed", first, order)


def _to_parsed_line(number: int, name: str, row: JsonObject, properties: JsonObject) -> ParsedLine:
    content = {
        "type": name,
        "channel": "web",
        "time": row["time"].isoformat(),
        "identifiers": {"user_id": row["user_id"]},
        "properties": properties,
        "context": {"session_id": row["user_session"]},
    }
    body = {"id": content_id(REES46_SOURCE, content), "source": REES46_SOURCE, **content}
    return ParsedLine(number, body, row["time"], row["user_id"], name)


def _to_product(row: JsonObject) -> JsonObject:
    """Return a product of the log. It has no name, so brand and category are used as name."""
    kind = row["category_code"].rpartition(".")[2].replace("_", " ")
    product = {
        "product_id": row["product_id"],
        "name": " ".join(filter(None, (row["brand"].capitalize(), kind))) or f"Product {row['product_id']}",
        "category": row["category_code"],
        "brand": row["brand"],
        "price": float(row["price"] or 0),
    }
    return {field: value for field, value in product.items() if value != ""}


_DATETIME_ADAPTER = TypeAdapter(datetime)

_TIMESTAMP_FIELDS = ("timestamp", "originalTimestamp", "receivedAt")

_OMITTED_FIELDS = ("sentAt", "receivedAt", "originalTimestamp", "writeKey")
"""Not sent: the API would correct the time by ``sentAt`` and the arrival, which may be years later."""


def read_segment(lines: Iterable[RawLine], shift: timedelta) -> Iterator[FileLine]:
    """Yield every call, in the file's order, with its time moved by ``shift``. Empty lines are skipped."""
    for line in lines:
        if isinstance(line, InvalidLine):
            yield line
        elif line.text.strip():
            yield _parse_call(line.number, line.text, shift)


def _parse_call(number: int, line: str, shift: timedelta) -> FileLine:
    try:
        call = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        what = f"expected one JSON object, got {line.strip()[:40]!r} ({error})"
        return InvalidLine(number, f"{what}; write one call a line, for example with jq -c '.[]'")
    if not isinstance(call, dict):
        return InvalidLine(number, f"expected a JSON object, got {type(call).__name__}")
    timestamp = next((call[name] for name in _TIMESTAMP_FIELDS if call.get(name)), None)
    if timestamp is None:
        return InvalidLine(number, "timestamp is missing; without it the call would count as made now")
    try:
        time = _DATETIME_ADAPTER.validate_python(timestamp)
    except ValidationError:
        return InvalidLine(number, f"timestamp must be ISO 8601, got {str(timestamp)[:40]!r}")
    time = (time if time.tzinfo else time.replace(tzinfo=UTC)) + shift
    body = {name: value for name, value in call.items() if name not in _OMITTED_FIELDS}
    body["timestamp"] = time.isoformat()
    body["messageId"] = _message_id(body, call.get("messageId"), shift)
    person = call.get("userId") or call.get("anonymousId") or ""
    return ParsedLine(number, body, time, str(person), str(call.get("event") or call.get("type") or ""))


def _message_id(body: JsonObject, given: Any, shift: timedelta) -> str:
    """Return the call's own id, or an id made from its content if it has none or its time was shifted."""
    if isinstance(given, str) and given and not shift:
        return given
    return content_id("file", body)
