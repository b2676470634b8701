"""Durations in words."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.durations import format_compact_duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=1, minutes=30), "1 hour 30 minutes"),
        (timedelta(minutes=1, seconds=59), "1 minute 59 seconds"),
        (timedelta(days=1, seconds=1), "1 day 1 second"),
        (timedelta(), "0 seconds"),
        (timedelta(milliseconds=900), "0 seconds"),
        (timedelta(milliseconds=-900), "0 seconds"),
        (timedelta(hours=-2), "minus 2 hours"),
    ],
)
def test_a_length_of_time_is_said_in_words(length: timedelta, expected: str) -> None:
    assert expected == format_duration(length)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(days=25), "25d"),
        (timedelta(days=1, hours=12), "1d 12h"),
        (timedelta(minutes=90), "1h 30m"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=1, seconds=0.25), "1m 0.25s"),
        (timedelta(microseconds=1), "0.000001s"),
        (timedelta(), "0s"),
        (timedelta(hours=-26), "-1d 2h"),
    ],
)
def test_a_length_of_time_is_written_and_read_again(length: timedelta, expected: str) -> None:
    assert expected == format_compact_duration(length)
    assert length == parse_duration(expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("25d", timedelta(days=25)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
        ("730 days", timedelta(days=730)),
        (" 1 Day 12 hours ", timedelta(days=1, hours=12)),
        ("5min", timedelta(minutes=5)),
        ("0.25s", timedelta(seconds=0.25)),
        ("1week", timedelta(weeks=1)),
        ("2 weeks", timedelta(weeks=2)),
        ("1 day", timedelta(days=1)),
        ("3 hours", timedelta(hours=3)),
        ("3 hour", timedelta(hours=3)),
        ("5 min", timedelta(minutes=5)),
        ("5 mins", timedelta(minutes=5)),
        ("5 minutes", timedelta(minutes=5)),
        ("7 seconds", timedelta(seconds=7)),
        ("1.5 seconds", timedelta(seconds=1.5)),
        ("1.000001s", timedelta(seconds=1, microseconds=1)),
        ("-2H", timedelta(hours=-2)),
        ("1d1d", timedelta(days=2)),
    ],
)
def test_units_are_read_however_they_are_written(words: str, expected: timedelta) -> None:
    assert expected == parse_duration(words)


@pytest.mark.parametrize(
    "words",
    [
        *("1.5h", "1.0m", "1.5d", "1s?", "1ss", "-", "- 1d -", "1.0000001s", "x1d", "25 d x", "1 fortnight"),
        *("", "25", "d", "1y", "9999999999w", "1d,2h"),
    ],
)
def test_what_is_no_length_is_refused_with_what_is(words: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_duration(words)

    assert str(refused.value) == (
        f"expected a length of time such as 25d, 12h, 90m, 2w or 730 days, got {words!r}"
    )


@settings(max_examples=200, deadline=None)
@given(st.timedeltas())
def test_a_length_is_read_as_it_was_written(length: timedelta) -> None:
    assert length == parse_duration(format_compact_duration(length))
