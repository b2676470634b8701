"""Files as shops send them: a line that cannot be read is lost and reported, the others are read."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any, BinaryIO, cast

import pytest

from cli.ingest.formats import ParsedLine, read_rees46, read_segment
from cli.ingest.lines import MAX_LINE_BYTES, InvalidLine, read_lines
from workers.errors import UserError

HEADER = "event_time,event_type,product_id,category_code,brand,price,user_id,user_session"

NO_SHIFT = timedelta()


def row(number: int, brand: str = "asics", price: str = "35.79") -> str:
    return f"2019-10-01 00:00:{number:02} UTC,cart,p-{number},shoes,{brand},{price},u-{number},s-{number}"


def call(number: int, **more: Any) -> str:
    fields = {"type": "track", "event": "Product Added", "userId": f"u-{number}", "messageId": f"m-{number}"}
    return json.dumps({**fields, "timestamp": "2024-05-01T10:00:00Z", **more}, ensure_ascii=False)


def outcome(read: Callable[..., Any], content: bytes) -> tuple[list[str], dict[int, str]]:
    """People of the events, and line → reason of the lines that are none."""
    found = list(read(read_lines(io.BytesIO(content)), NO_SHIFT))
    people = [line.person for line in found if isinstance(line, ParsedLine)]
    return people, {line.line_number: line.reason for line in found if isinstance(line, InvalidLine)}


def lines(*texts: str, end: str = "\n") -> str:
    return "".join(text + end for text in texts)


CALLS = lines(call(1), call(2), call(3))

ROWS = lines(HEADER, row(1), row(2), row(3))

READABLE = [
    pytest.param(CALLS.encode("utf-8-sig"), id="byte order mark, as spreadsheets write"),
    pytest.param(CALLS.encode("utf-16"), id="UTF-16 with its mark, as 'Unicode text' of a spreadsheet"),
    pytest.param(CALLS.encode("utf-16-le"), id="UTF-16 without a mark, as shells of Windows write"),
    pytest.param(CALLS.encode("utf-16-be"), id="UTF-16 of the other byte order"),
    pytest.param(CALLS.encode("utf-32"), id="UTF-32"),
    pytest.param(lines(call(1), call(2), call(3), end="\r\n").encode(), id="CRLF"),
    pytest.param(lines(call(1), call(2), call(3), end="\r").encode(), id="CR, as old exports"),
    pytest.param(lines(call(1), "", "  ", call(2), "", call(3)).encode(), id="empty lines"),
    pytest.param(CALLS.encode().rstrip(b"\n"), id="no line end at the end"),
    pytest.param(
        ("\ufeff" + lines(call(1)) + "\ufeff" + lines(call(2), call(3))).encode(), id="joined, with marks"
    ),
    pytest.param(gzip.compress(CALLS.encode()), id="gzip"),
    pytest.param(
        b"".join(gzip.compress(lines(call(n)).encode()) for n in (1, 2, 3)),
        id="gzip of several members, as logs",
    ),
    pytest.param(
        gzip.compress(lines(call(1)).encode()[:-20]) + gzip.compress((CALLS[len(call(1)) - 19 :]).encode()),
        id="a member that ends within a line",
    ),
    pytest.param(gzip.compress(CALLS.encode()) + bytes(512), id="gzip padded with zeros, as tapes"),
    pytest.param(gzip.compress(CALLS.encode("utf-16")), id="UTF-16 within gzip"),
]


@pytest.mark.parametrize("content", READABLE)
def test_every_encoding_and_line_end_is_read(content: bytes) -> None:
    assert outcome(read_segment, content) == (["u-1", "u-2", "u-3"], {})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(ROWS.encode("utf-8-sig"), id="byte order mark"),
        pytest.param(ROWS.encode("utf-16"), id="UTF-16"),
        pytest.param(ROWS.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(ROWS.replace("\n", "\r").encode(), id="CR"),
        pytest.param(ROWS.replace(",", ";").encode(), id="semicolons, as spreadsheets of Europe"),
        pytest.param(ROWS.replace(",", ";").replace("35.79", "35,79").encode(), id="with decimal commas"),
        pytest.param(ROWS.replace(",", "\t").encode(), id="tabs"),
        pytest.param(ROWS.replace(",", "|").encode(), id="bars"),
        pytest.param(
            ROWS.replace("event_time", " Event_Time ").encode(), id="names in other case, with blanks"
        ),
        pytest.param(ROWS.replace("asics", '"asics, inc"').encode(), id="a comma in quotes"),
        pytest.param(ROWS.replace("asics", '"asics\ninc"').encode(), id="a line break in quotes"),
        pytest.param(ROWS.replace("asics", '5" lamp').encode(), id="a quote within a value"),
        pytest.param(ROWS.replace("asics", '"asics"x').encode(), id="text behind a quoted value"),
    ],
)
def test_every_dialect_of_a_table_is_read(content: bytes) -> None:
    assert outcome(read_rees46, content) == (["u-1", "u-2", "u-3"], {})


BAD_CALLS = [
    pytest.param(call(2, event="Café").encode("latin-1"), "is not UTF-8", id="Latin-1"),
    pytest.param(call(2, event="x" * 1_200_000).encode(), "longer than 512 KiB", id="1.2 MB in a line"),
    pytest.param(b"\0" * 300, "NUL byte", id="zeros, as after a crash"),
    pytest.param(b"\0" * (MAX_LINE_BYTES * 5), "longer than", id="megabytes of zeros"),
    pytest.param(call(2).encode()[:40], "expected one JSON object", id="cut JSON"),
    pytest.param(call(2).replace("track", "tr\0ck").encode(), "NUL byte", id="a NUL byte"),
    pytest.param(b"[", "jq -c", id="the start of a list"),
    pytest.param(call(2, event="A").replace('"A"', '"\\ud800"').encode(), "JSON", id="half a surrogate pair"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_CALLS)
@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])
def test_a_bad_line_costs_itself_and_no_other(bad: bytes, reason: str, is_gzip: bool) -> None:
    content = call(1).encode() + b"\n" + bad + b"\n" + call(3).encode() + b"\n"
    people, reasons = outcome(read_segment, gzip.compress(content) if is_gzip else content)

    assert people == ["u-1", "u-3"]
    assert list(reasons) == [2]
    assert reason in reasons[2]


BAD_ROWS = [
    pytest.param(row(2, brand='"asics'), "quote that is not closed", id="a stray quote"),
    pytest.param(row(2, brand="a" * 140_000), "columns, got 0", id="a value over the reader's limit"),
    pytest.param(row(2).replace(",", ";"), "expected 8 columns, got 1", id="another delimiter"),
    pytest.param(row(2) + ",", "expected 8 columns, got 9", id="a comma too many"),
    pytest.param(HEADER, "repeats the first line", id="the header again, as in joined files"),
    pytest.param(row(2, price="nan"), "price must be a number", id="a price that is no number"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_ROWS)
def test_a_bad_row_costs_itself_and_no_other(bad: str, reason: str) -> None:
    people, reasons = outcome(read_rees46, lines(HEADER, row(1), bad, row(3)).encode())

    assert people == ["u-1", "u-3"]
    assert list(reasons) == [3]
    assert reason in reasons[3]


@pytest.mark.parametrize("count", [200, 5000])
def test_a_stray_quote_swallows_no_rows(count: int) -> None:
    """With 5,000 rows behind it the field exceeded the reader's limit."""
    rest = [row(n % 60) for n in range(count)]
    people, reasons = outcome(read_rees46, lines(HEADER, row(2, brand='"asics'), *rest).encode())

    assert len(people) == count
    assert list(reasons) == [2]


def test_two_stray_quotes_cost_two_rows() -> None:
    rows = [row(1), row(2, brand='"a'), row(3), row(4, brand='"b'), row(5)]
    people, reasons = outcome(read_rees46, lines(HEADER, *rows).encode())

    assert people == ["u-1", "u-3", "u-5"]
    assert ["quote that is not closed" in reason for reason in reasons.values()] == [True, True]


@pytest.mark.parametrize("between", [1, 10, 30])
def test_a_quote_that_a_later_row_seems_to_close_swallows_nothing(between: int) -> None:
    rows = [row(1, brand='"asics'), *(row(2) for _ in range(between)), row(3, brand='asics"')]
    people, reasons = outcome(read_rees46, lines(HEADER, *rows).encode())

    assert people == [*["u-2"] * between, "u-3"]
    assert list(reasons) == [2]


def test_a_value_of_more_than_20_lines_is_taken_for_a_stray_quote() -> None:
    long = row(1, brand='"' + "text\n" * 30 + '"')
    people, reasons = outcome(read_rees46, lines(HEADER, long, row(2)).encode())

    assert people == ["u-2"]
    assert "quote that is not closed" in reasons[2]


class _Zeros(io.RawIOBase):
    """A file of 16 MiB without a line end."""

    def __init__(self) -> None:
        self.left = 16 * 1024 * 1024

    def read(self, size: int = -1) -> bytes:
        self.left -= size
        return b"x" * size if self.left > 0 else b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0


def test_a_line_of_any_length_takes_bounded_memory() -> None:
    tracemalloc.start()
    try:
        [found] = read_lines(cast(BinaryIO, _Zeros()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(found, InvalidLine)
    assert peak < 8 * MAX_LINE_BYTES


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_gzip_file_yields_what_is_there_and_names_the_place(kept: float) -> None:
    whole = [call(n, properties={"order": hash((n, "x")) % 10**9}) for n in range(5000)]
    packed = gzip.compress(lines(*whole).encode())
    people, reasons = outcome(read_segment, packed[: int(len(packed) * kept)])

    assert len(people) > 5000 * kept * 0.9
    assert people == [f"u-{n}" for n in range(len(people))]
    assert list(reasons) == [len(people) + 1]
    assert "the file was cut" in reasons[len(people) + 1]


def test_a_damaged_gzip_file_yields_what_comes_before_the_damage() -> None:
    packed = bytearray(gzip.compress(lines(*(call(n) for n in range(1000))).encode()))
    middle = len(packed) // 2
    packed[middle : middle + 40] = b"\xff" * 40
    people, reasons = outcome(read_segment, bytes(packed))

    assert people[:300] == [f"u-{n}" for n in range(300)]
    assert "damaged" in str(reasons)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(HEADER.replace("brand", "user_id"), "brand missing", id="a column is missing"),
        pytest.param(f"{HEADER},user_id", "user_id is there twice", id="a column is there twice"),
        pytest.param("", "missing", id="an empty file"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_by_name(content: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        outcome(read_rees46, lines(content, row(1)).encode())


def test_a_quote_that_is_closed_at_the_wrong_place_is_named() -> None:
    people, reasons = outcome(read_rees46, lines(HEADER, row(1, brand='"asics'), 'and"', row(2)).encode())

    assert people == ["u-2"]
    assert "quote that is not closed" in reasons[2]
    assert "expected 8 columns, got 1" in reasons[3]
