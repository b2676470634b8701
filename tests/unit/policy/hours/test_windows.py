"""The checks of the gate at their edges."""

from datetime import UTC, time, timedelta

import pytest

from policy.hours.windows import Window, format_spans, intersect_spans, since_midnight
from tests.support.builders.gate import DAY, HOUR, MINUTE


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (time(8, 30, 15), timedelta(hours=8, minutes=30, seconds=15)),
        (time(23, 59, 59, 999_999), DAY - timedelta(microseconds=1)),
        (time(), timedelta()),
    ],
)
def test_a_clock_shows_so_much_since_midnight(clock: time, expected: timedelta) -> None:
    assert expected == since_midnight(clock)


def test_a_window_that_closes_at_midnight_lasts_to_the_end_of_the_day() -> None:
    assert Window(time(20), time()).span == (20 * HOUR, DAY)
    assert Window(time(), time()).span == (timedelta(), DAY)


@pytest.mark.parametrize(
    ("opens", "closes", "said"),
    [
        (
            time(8),
            time(8),
            "expected a window that ends after it begins, got 08:00:00 to 08:00:00; write one",
        ),
        (
            time(22),
            time(6),
            "expected a window that ends after it begins, got 22:00:00 to 06:00:00; write one",
        ),
        (time(8, tzinfo=UTC), time(9), "expected local times without an offset, got 08:00:00"),
        (time(8), time(9, tzinfo=UTC), "expected local times without an offset, got 08:00:00"),
    ],
)
def test_a_window_that_is_none_is_refused(opens: time, closes: time, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Window(opens, closes)


def test_what_every_rule_leaves_open_has_no_empty_windows() -> None:
    morning, noon, evening = (8 * HOUR, 12 * HOUR), (12 * HOUR, 14 * HOUR), (18 * HOUR, 20 * HOUR)

    assert intersect_spans([(evening, morning), ((timedelta(), DAY),)]) == (morning, evening)
    assert intersect_spans([(morning,), (noon,)]) == ()
    assert intersect_spans([(morning, noon), ((11 * HOUR, 13 * HOUR),)]) == (
        (11 * HOUR, 12 * HOUR),
        (12 * HOUR, 13 * HOUR),
    )
    assert intersect_spans([]) == ((timedelta(), DAY),)


def test_windows_are_said_in_words() -> None:
    day, morning = (timedelta(), DAY), (8 * HOUR, 12 * HOUR + 59 * MINUTE)

    assert format_spans((day,)) == "all day"
    assert format_spans(()) == "not at all"
    assert format_spans((morning, (13 * HOUR, DAY))) == "08:00 to 12:59 and 13:00 to 24:00"
