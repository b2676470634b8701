"""Reads REES46's shop logs (eCommerce behavior data): views, carts and purchases of signed-in users."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from workers.faults import Fault
from workers.ingest.line import Bad, Line, Told, content_id

COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)

SOURCE = "rees46"

_EVENTS = {"view": "Product Viewed", "cart": "Product Added", "remove_from_cart": "Product Removed"}

Row = dict[str, Any]


def read(text: TextIO, shift: timedelta) -> Iterator[Line]:
    """Every row as a native event, in the file's order, its time moved by ``shift``.

    What one session bought at one instant is one order, since the log has a row an item and no order ids.
    Sessions are no identifiers: every row names its user, and a session shared by two must not join them.
    Raises ``Fault`` where the columns are others.
    """
    rows = csv.reader(text)
    header = next(rows, [])
    if missing := [name for name in COLUMNS if name not in header]:
        raise Fault(
            f"expected a REES46 file with the columns {', '.join(COLUMNS)}; {', '.join(missing)} "
            f"missing, the first line is {','.join(header)[:120]!r}"
        )
    orders: dict[tuple[str, str], list[tuple[int, Row]]] = {}
    for values in rows:
        number = rows.line_num
        if len(values) != len(header):
            yield Bad(number, f"expected {len(header)} columns, got {len(values)}")
            continue
        row: Row = dict(zip(header, values, strict=True))
        fault, time = _checked(row)
        if time is None:
            yield Bad(number, fault)
            continue
        row["time"] = time + shift
        yield from _orders(orders, before=row["time"])
        if row["event_type"] == "purchase":
            orders.setdefault((row["user_id"], row["user_session"]), []).append((number, row))
        else:
            yield _told(number, _EVENTS[row["event_type"]], row, _product(row))
    yield from _orders(orders, before=None)


def _checked(row: Row) -> tuple[str, datetime | None]:
    """(why the row is no event, None), or ("", its time)."""
    kind = row["event_type"]
    if kind != "purchase" and kind not in _EVENTS:
        return f"event_type must be one of purchase, {', '.join(_EVENTS)}; got {kind[:40]!r}", None
    for name in ("product_id", "user_id"):
        if not row[name].strip():
            return f"{name} is empty", None
    try:
        float(row["price"] or 0)
    except ValueError:
        return f"price must be a number, got {row['price'][:40]!r}", None
    try:
        return "", datetime.strptime(row["event_time"].removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S").replace(
            tzinfo=UTC
        )
    except ValueError:
        return f"event_time must read as 2019-10-01 00:00:00 UTC, got {row['event_time'][:40]!r}", None


def _orders(
    orders: dict[tuple[str, str], list[tuple[int, Row]]], *, before: datetime | None
) -> Iterator[Told]:
    """The orders that no later row can add to."""
    for key, lines in list(orders.items()):
        number, first = lines[0]
        if before is not None and first["time"] >= before:
            continue
        del orders[key]
        products = [_product(row) for _, row in lines]
        order = {
            "order_id": f"{first['user_session']}-{int(first['time'].timestamp())}",
            "total": round(sum(product.get("price") or 0.0 for product in products), 2),
            "currency": "USD",
            "products": products,
        }
        yield _told(number, "Order Completed", first, order)


def _told(number: int, name: str, row: Row, properties: Row) -> Told:
    content = {
        "type": name,
        "channel": "web",
        "time": row["time"].isoformat(),
        "identifiers": {"user_id": row["user_id"]},
        "properties": properties,
        "context": {"session_id": row["user_session"]},
    }
    body = {"id": content_id(SOURCE, content), "source": SOURCE, **content}
    return Told(number, body, row["time"], row["user_id"], name)


def _product(row: Row) -> Row:
    """A product of the log; it has no names, so brand and kind stand for one."""
    kind = row["category_code"].rpartition(".")[2].replace("_", " ")
    product = {
        "product_id": row["product_id"],
        "name": " ".join(filter(None, (row["brand"].capitalize(), kind))) or f"Product {row['product_id']}",
        "category": row["category_code"],
        "brand": row["brand"],
        "price": float(row["price"] or 0),
    }
    return {field: value for field, value in product.items() if value != ""}
