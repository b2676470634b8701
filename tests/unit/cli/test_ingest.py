"""Files of events: what is read from a line, what is said of one that is none, and ids that stay the same."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from cli.ingest import formats
from cli.ingest.formats import ParsedLine
from cli.ingest.lines import InvalidLine, open_lines
from cli.ingest.main import replay_file
from workers.errors import UserError
from workers.ingest_client import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    IngestClient,
    split_bodies,
)
from workers.settings import IngestSettings

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"

VIEW = "2019-10-01 00:00:00 UTC,view,44600062,2103,,shiseido,35.79,541312140,s-1"

CART = "2019-10-01 00:00:05 UTC,cart,44600062,2103,apparel.shoes.keds,asics,35.79,541312140,s-1"

BOUGHT = "2019-10-01 00:01:00 UTC,purchase,44600062,2103,,shiseido,35.79,541312140,s-1"

ALSO = "2019-10-01 00:01:00 UTC,purchase,17,2103,,,4.21,541312140,s-1"

LATER = "2019-10-01 00:01:01 UTC,remove_from_cart,5,2103,,,1.00,7,s-2"

NO_SHIFT = timedelta()


def written(folder: Path, *lines: str, name: str = "log.csv", packed: bool = False) -> Path:
    """A file of these lines."""
    file = folder / name
    text = "\n".join(lines) + "\n"
    file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return file


def of_rees46(file: Path, shift: timedelta = NO_SHIFT) -> list[ParsedLine | InvalidLine]:
    with open_lines(file) as (text, _):
        return list(formats.read_rees46(text, shift))


def of_segment(file: Path, shift: timedelta = NO_SHIFT) -> list[ParsedLine | InvalidLine]:
    with open_lines(file) as (text, _):
        return list(formats.read_segment(text, shift))


def parsed(lines: list[ParsedLine | InvalidLine]) -> list[ParsedLine]:
    """All lines, each of which must be an event."""
    told = [line for line in lines if isinstance(line, ParsedLine)]
    assert told == lines
    return told


@pytest.mark.parametrize("packed", [False, True])
def test_rows_become_events_of_the_segment_spec(tmp_path: Path, packed: bool) -> None:
    told = parsed(of_rees46(written(tmp_path, HEADER, VIEW, CART, LATER, packed=packed)))

    assert [(one.line_number, one.event_name) for one in told] == [
        (2, "Product Viewed"),
        (3, "Product Added"),
        (4, "Product Removed"),
    ]
    assert told[1].body["identifiers"] == {"user_id": "541312140"}
    assert told[1].body["time"] == "2019-10-01T00:00:05+00:00"
    assert told[1].body["properties"] == {
        "product_id": "44600062",
        "name": "Asics keds",
        "category": "apparel.shoes.keds",
        "brand": "asics",
        "price": 35.79,
    }


def test_what_a_session_buys_at_one_instant_is_one_order(tmp_path: Path) -> None:
    [order, removed] = parsed(of_rees46(written(tmp_path, HEADER, BOUGHT, ALSO, LATER)))

    assert (order.line_number, order.event_name, removed.event_name) == (
        2,
        "Order Completed",
        "Product Removed",
    )
    assert [line["product_id"] for line in order.body["properties"]["products"]] == ["44600062", "17"]
    assert order.body["properties"]["total"] == 40.0


def test_the_last_order_of_a_file_is_not_forgotten(tmp_path: Path) -> None:
    assert len(parsed(of_rees46(written(tmp_path, HEADER, BOUGHT)))) == 1


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("2019-10-01 00:00:00 UTC,view,1", "columns"),
        (VIEW.replace("view", "stare"), "stare"),
        (VIEW.replace("2019-10-01 00:00:00 UTC", "yesterday"), "yesterday"),
        (VIEW.replace("35.79", "cheap"), "cheap"),
        (VIEW.replace("541312140", ""), "user_id"),
    ],
)
def test_a_bad_row_is_named_by_line_and_reason_and_the_others_go_on(
    tmp_path: Path, row: str, word: str
) -> None:
    [bad, told] = of_rees46(written(tmp_path, HEADER, row, CART))

    assert isinstance(bad, InvalidLine)
    assert (bad.line_number, word in bad.reason) == (2, True)
    assert isinstance(told, ParsedLine)


def test_a_file_with_other_columns_is_refused_by_their_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"event_time.*missing"):
        of_rees46(written(tmp_path, "when,what", "now,view"))


def test_ids_come_from_the_content_so_a_second_reading_has_the_same(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER, VIEW, CART, BOUGHT, LATER)
    ids = [line.body["id"] for line in parsed(of_rees46(file))]

    assert [line.body["id"] for line in parsed(of_rees46(file))] == ids
    assert len(set(ids)) == 4


def test_a_moved_event_is_another_event(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER, VIEW)
    [then], [now] = parsed(of_rees46(file)), parsed(of_rees46(file, timedelta(days=2000)))

    assert now.time - then.time == timedelta(days=2000)
    assert now.body["id"] != then.body["id"]


def test_segment_calls_keep_their_ids_and_lose_the_senders_clock(tmp_path: Path) -> None:
    call = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "m-1",
        "userId": "42",
        "timestamp": "2024-05-01T10:00:00Z",
        "sentAt": "2024-05-01T10:00:01Z",
        "properties": {"product_id": "p-1"},
    }
    [told] = parsed(of_segment(written(tmp_path, json.dumps(call), "")))

    assert (told.body["messageId"], told.person, told.event_name) == ("m-1", "42", "Product Viewed")
    assert told.time == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert "sentAt" not in told.body


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("{not json", "JSON"),
        ("[1]", "list"),
        ('{"type": "track", "event": "A", "userId": "1"}', "timestamp"),
        ('{"type": "track", "event": "A", "userId": "1", "timestamp": "soon"}', "soon"),
    ],
)
def test_a_bad_segment_line_is_named_with_its_reason(tmp_path: Path, line: str, word: str) -> None:
    [bad] = of_segment(written(tmp_path, line))

    assert isinstance(bad, InvalidLine)
    assert (bad.line_number, word in bad.reason) == (1, True)


def test_a_segment_call_without_an_id_gets_a_stable_one(tmp_path: Path) -> None:
    file = written(
        tmp_path, '{"type": "track", "event": "A", "userId": "1", "timestamp": "2024-05-01T10:00:00Z"}'
    )
    shifts = (NO_SHIFT, NO_SHIFT, timedelta(days=1))
    [one], [again], [moved] = (parsed(of_segment(file, shift)) for shift in shifts)

    assert one.body["messageId"] == again.body["messageId"] != moved.body["messageId"]


def test_batches_stay_below_the_limits_of_the_api() -> None:
    small = list(split_bodies("events", ({"id": str(n)} for n in range(MAX_BATCH_EVENTS + 1))))
    large = list(split_bodies("events", ({"id": str(n), "text": "x" * 50_000} for n in range(40))))

    assert [len(orjson.loads(body)["events"]) for body in small] == [MAX_BATCH_EVENTS, 1]
    assert max(map(len, large)) < MAX_BATCH_BYTES + 60_000 < 1024 * 1024
    assert sum(len(orjson.loads(body)["events"]) for body in large) == 40


async def test_without_an_api_it_says_how_to_start_one() -> None:
    async with IngestClient("http://127.0.0.1:9", "dev-write") as door:
        with pytest.raises(UserError, match="waypost dev"):
            await door.require_api()


async def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rees46, segment"):
        await replay_file(written(tmp_path, HEADER), format="amplitude", as_live=False)


@pytest.mark.parametrize(
    ("servers", "pages", "used"),
    [
        ("", "dev-write", "dev-write"),
        ("", "sha256:abc, web:secret", "secret"),
        ("", "web:sha256:abc,b", "b"),
        ("", "a:b,c", "b"),
        ("till:trusted", "public", "trusted"),
        ("sha256:abc", "public", "public"),
    ],
)
def test_the_first_key_that_is_written_out_is_used_a_server_key_before_a_write_key(
    monkeypatch: pytest.MonkeyPatch, servers: str, pages: str, used: str
) -> None:
    monkeypatch.setenv("WAYPOST_SERVER_KEYS", servers)
    monkeypatch.setenv("WAYPOST_WRITE_KEYS", pages)

    assert IngestSettings().api_key == used
