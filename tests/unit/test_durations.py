"""Durations in words."""

from datetime import timedelta

import pytest

from policy.durations import in_words


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=1, minutes=30), "1 hour 30 minutes"),
        (timedelta(days=1, seconds=1), "1 day 1 second"),
        (timedelta(), "0 seconds"),
        (timedelta(milliseconds=900), "0 seconds"),
        (timedelta(hours=-2), "minus 2 hours"),
    ],
)
def test_a_length_of_time_is_said_in_words(length: timedelta, expected: str) -> None:
    assert expected == in_words(length)
